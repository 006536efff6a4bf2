/** What a checkpointer must do with the writes of tasks: their order, and which of two counts. */
import { randomUUID } from "node:crypto";
import type { RunnableConfig } from "@langchain/core/runnables";
import { ERROR, INTERRUPT, RESUME } from "@langchain/langgraph-checkpoint";
import type { Contract } from "./contract.js";
import { equals } from "./expectations.js";
import { metadata, newCheckpoint } from "./samples.js";

export function writeCases({ describe, it, opened }: Contract): void {
  const saver = () => opened().checkpointer;
  const put = (threadId: string = randomUUID(), after?: RunnableConfig, fields = {}) => {
    const config = after ?? { configurable: { thread_id: threadId, checkpoint_ns: "" } };
    const checkpoint = newCheckpoint(fields);
    return saver().put(config, checkpoint, metadata, checkpoint.channel_versions);
  };
  const writesAt = async (at: RunnableConfig) => (await saver().getTuple(at))?.pendingWrites ?? [];
  const valuesAt = async (at: RunnableConfig) => (await writesAt(at)).map(([, , value]) => value);

  describe("writes", () => {
    it("come in the order of their task paths", async () => {
      const at = await put();
      await saver().putWrites(at, [["a", "second"]], "aaa", "~__pregel_pull, b");
      await saver().putWrites(at, [["a", "first"]], "zzz", "~__pregel_pull, a");
      await saver().putWrites(at, [["a", "input"]], "mmm");
      equals(await valuesAt(at), ["input", "first", "second"]);
    });

    it("come in the order of code points, not of bytes, UTF-16 units or a language", async () => {
      const at = await put();
      const paths = ["B", "Z", "a", "\u00e9", "\ue000", "\u{1f9e8}"];
      for (const path of [...paths].reverse()) await saver().putWrites(at, [["a", path]], `${path} task`, path);
      equals(await valuesAt(at), paths);
    });

    it("of one path come by task, and of one task in the order they were made", async () => {
      const at = await put();
      const many = Array.from({ length: 12 }, (_, index): [string, unknown] => ["a", index]);
      await saver().putWrites(at, [["a", "later task"]], "task-2", "path");
      await saver().putWrites(at, many, "task-1", "path");
      equals(await valuesAt(at), [...many.map(([, value]) => value), "later task"]);
    });

    it("of a task stay as they were first told", async () => {
      const at = await put();
      await saver().putWrites(at, [["a", "first"]], "task");
      await saver().putWrites(
        at,
        [
          ["a", "second"],
          ["b", "more"],
        ],
        "task",
      );
      equals(await writesAt(at), [
        ["task", "a", "first"],
        ["task", "b", "more"],
      ]);
    });

    it("that report on a task are replaced by what is told later, and come before its others", async () => {
      const at = await put();
      await saver().putWrites(at, [[ERROR, { message: "first" }]], "task");
      await saver().putWrites(at, [[INTERRUPT, ["who?"]]], "task");
      await saver().putWrites(at, [["a", 1]], "task");
      await saver().putWrites(
        at,
        [
          [INTERRUPT, ["when?"]],
          [RESUME, ["me"]],
        ],
        "task",
      );
      await saver().putWrites(at, [[ERROR, { message: "last" }]], "task");
      equals(await writesAt(at), [
        ["task", RESUME, ["me"]],
        ["task", INTERRUPT, ["when?"]],
        ["task", ERROR, { message: "last" }],
        ["task", "a", 1],
      ]);
    });

    it("belong to one checkpoint of one namespace", async () => {
      const threadId = randomUUID();
      const at = await put(threadId);
      const later = await put(threadId, at);
      const inChild = { configurable: { ...at.configurable, checkpoint_ns: "child:1" } };
      await saver().putWrites(at, [["a", 1]], "task");
      await saver().putWrites(inChild, [["a", 2]], "task");
      equals([await valuesAt(at), await valuesAt(later)], [[1], []]);
    });

    it("may come at the same time as their checkpoint, or before it", async () => {
      const threadId = randomUUID();
      const checkpoint = newCheckpoint();
      const config = { configurable: { thread_id: threadId, checkpoint_ns: "" } };
      const at = { configurable: { ...config.configurable, checkpoint_id: checkpoint.id } };
      await saver().putWrites(at, [["a", "before"]], "task-1");
      await Promise.all([
        saver().putWrites(at, [["a", "with"]], "task-2"),
        saver().put(config, checkpoint, metadata, {}),
      ]);
      equals(await valuesAt(at), ["before", "with"]);
    });

    it("of 50 threads may come at once", async () => {
      const threadIds = Array.from({ length: 50 }, () => randomUUID());
      await Promise.all(
        threadIds.map(async (threadId) => {
          const at = await put(threadId);
          await Promise.all(["t1", "t2", "t3"].map((task) => saver().putWrites(at, [["a", threadId]], task, task)));
        }),
      );
      for (const threadId of threadIds) {
        equals(await valuesAt({ configurable: { thread_id: threadId } }), [threadId, threadId, threadId]);
      }
    });

    it("are collected along one branch, in their order, back to the last whole value", async () => {
      const start = await put(randomUUID(), undefined, {
        channel_values: { log: ["seed"] },
        channel_versions: { log: 1 },
      });
      await saver().putWrites(start, [["log", "b"]], "t1", "b");
      await saver().putWrites(start, [["log", "a"]], "t2", "a");
      const left = await put("", start);
      await put("", start);
      await saver().putWrites(
        left,
        [
          ["log", "c"],
          ["other", 1],
        ],
        "t3",
        "a",
      );
      const end = await put("", left);
      await saver().putWrites(end, [["log", "not yet"]], "t4", "a");
      const { log, none } = await saver().getDeltaChannelHistory({ config: end, channels: ["log", "none"] });
      equals(log?.seed, ["seed"]);
      equals(
        log?.writes.map(([, , value]) => value),
        ["a", "b", "c"],
      );
      equals(none, { writes: [] });
    });
  });
}

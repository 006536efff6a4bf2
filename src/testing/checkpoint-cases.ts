/** What a checkpointer must do with checkpoints, beyond and in part again what LangGraph's own suite asks. */
import { randomUUID } from "node:crypto";
import { HumanMessage } from "@langchain/core/messages";
import type { RunnableConfig } from "@langchain/core/runnables";
import { type Checkpoint, type CheckpointTuple, compareChannelVersions, uuid6 } from "@langchain/langgraph-checkpoint";
import type { ResilienceEvent } from "../core/events.js";
import { persistenceOf } from "../core/persistence-of.js";
import type { Contract } from "./contract.js";
import { contains, equals, isTrue } from "./expectations.js";
import { oddTexts } from "./odd-texts.js";
import { metadata, newCheckpoint } from "./samples.js";

export function checkpointCases({ describe, it, opened }: Contract): void {
  const saver = () => opened().checkpointer;
  const root = (threadId: string): RunnableConfig => ({ configurable: { thread_id: threadId, checkpoint_ns: "" } });
  const list = async (...given: Parameters<ReturnType<typeof saver>["list"]>): Promise<CheckpointTuple[]> => {
    const tuples: CheckpointTuple[] = [];
    for await (const tuple of saver().list(...given)) tuples.push(tuple);
    return tuples;
  };
  /** Puts a checkpoint whose one channel "a" has this value at this version. */
  const putValue = (after: RunnableConfig, value: unknown, version: number | string) =>
    saver().put(
      after,
      newCheckpoint({ channel_values: { a: value }, channel_versions: { a: version } }),
      { ...metadata },
      { a: version },
    );
  const valueAt = async (at: RunnableConfig) => (await saver().getTuple(at))?.checkpoint.channel_values.a;

  describe("checkpoints", () => {
    it("are found through a checkpointer that leads to the rest of the persistence", async () => {
      isTrue(persistenceOf(saver()) === opened(), "registerCheckpointer was not called for this checkpointer");
    });

    it("are not there in a thread that has none", async () => {
      equals(await saver().getTuple(root(randomUUID())), undefined);
      equals(await list(root(randomUUID())), []);
    });

    it("are given back as they were, with the parent they came from", async () => {
      const threadId = randomUUID();
      const parent = await saver().put(root(threadId), newCheckpoint(), metadata, {});
      const given: Checkpoint = newCheckpoint({
        channel_values: {
          text: "a text",
          number: 0.1,
          nothing: null,
          list: [1, [2], { three: 3 }],
          map: new Map([["key", new Set([1, 2])]]),
          message: new HumanMessage({ id: "m1", content: "hello" }),
          long: "0123456789".repeat(20_000),
        },
        channel_versions: { text: 1, number: 1, nothing: 1, list: 1, map: 1, message: 1, long: 1, gone: 2 },
        versions_seen: { node: { text: 1 }, other: {} },
      });
      const said = { source: "update" as const, step: 7, parents: { "": "x" }, custom: { deep: [1, null, "text"] } };
      const at = await saver().put(parent, given, said, given.channel_versions);
      equals(at, { configurable: { thread_id: threadId, checkpoint_ns: "", checkpoint_id: given.id } });
      for (const config of [root(threadId), at]) {
        const found = await saver().getTuple(config);
        equals(found?.checkpoint, given);
        contains(found?.metadata, said);
        equals(found?.config, at);
        equals(found?.parentConfig, parent);
        equals(found?.pendingWrites ?? [], []);
      }
    });

    for (const text of oddTexts) {
      it(`keep ${JSON.stringify(text)} in names, values and metadata`, async () => {
        const threadId = `${randomUUID()}${text}`;
        const config = { configurable: { thread_id: threadId, checkpoint_ns: `child${text}` } };
        const channel = `channel${text}`;
        const value = { text, [`key${text}`]: [text] };
        const given = newCheckpoint({
          channel_values: { [channel]: value },
          channel_versions: { [channel]: 1 },
          versions_seen: { [`node${text}`]: { [channel]: 1 } },
        });
        const said = { ...metadata, parents: { [`parent${text}`]: "x" }, said: text };
        const at = await saver().put(config, given, said, { [channel]: 1 });
        await saver().putWrites(at, [[channel, value]], `task${text}`, `path${text}`);
        const found = await saver().getTuple(config);
        equals(found?.checkpoint, given);
        contains(found?.metadata, said);
        equals(found?.config, at);
        equals(found?.pendingWrites, [[`task${text}`, channel, value]]);
        const ids = (await list(config, { filter: { said: text } })).map(({ checkpoint }) => checkpoint.id);
        equals(ids, [given.id]);
        equals(await list(config, { filter: { said: `${text}.` } }), []);
      });
    }

    it("of two branches keep their own values, versions that are equal notwithstanding", async () => {
      const trunk = await putValue(root(randomUUID()), "trunk", 1);
      const [left, right] = [await putValue(trunk, "left", 2), await putValue(trunk, "right", 2)];
      const [further, beyond] = [await putValue(left, "further left", 3), await putValue(right, "further right", 3)];
      const values = await Promise.all([trunk, left, right, further, beyond].map(valueAt));
      equals(values, ["trunk", "left", "right", "further left", "further right"]);
      const parents = await Promise.all(
        [further, beyond].map(async (at) => (await saver().getTuple(at))?.parentConfig),
      );
      equals(parents, [left, right]);
    });

    it("of two branches keep their own values, with versions as the checkpointer counts them", async () => {
      const next = (current?: number) => saver().getNextVersion(current) as number;
      const first = next();
      isTrue(compareChannelVersions(next(first), first) > 0, `the version after ${first} is ${next(first)}`);
      isTrue(compareChannelVersions(next(41), 41) > 0, "a version is not greater than the one before it");
      const trunk = await putValue(root(randomUUID()), "trunk", first);
      const branches = [await putValue(trunk, "left", next(first)), await putValue(trunk, "right", next(first))];
      equals(await Promise.all(branches.map(valueAt)), ["left", "right"]);
    });

    it("keep the channels that did not change, and none that were emptied", async () => {
      const at = await saver().put(
        root(randomUUID()),
        newCheckpoint({ channel_values: { a: "a1", b: "b1", c: "c1" }, channel_versions: { a: 1, b: 1, c: 1 } }),
        metadata,
        { a: 1, b: 1, c: 1 },
      );
      const next = newCheckpoint({
        channel_values: { a: "a1", b: "b2" },
        channel_versions: { a: 1, b: 2, c: 2 },
      });
      const later = await saver().put(at, next, metadata, { b: 2, c: 2 });
      equals((await saver().getTuple(later))?.checkpoint, next);
      equals((await saver().getTuple(at))?.checkpoint.channel_values, { a: "a1", b: "b1", c: "c1" });
    });

    it("hold copies that nobody's change reaches", async () => {
      const items = [1];
      const at = await putValue(root(randomUUID()), items, 1);
      items.push(2);
      ((await valueAt(at)) as number[]).push(3);
      equals(await valueAt(at), [1]);
    });

    it("are listed newest first, before one, up to a limit, by metadata, and by namespace", async () => {
      const threadId = randomUUID();
      const ids: string[] = [];
      let at = root(threadId);
      for (const step of [0, 1, 2, 3]) {
        const one = newCheckpoint({ id: uuid6(step) });
        at = await saver().put(at, one, { ...metadata, ...{ step, even: step % 2 === 0 } }, {});
        ids.unshift(one.id);
      }
      const child = { configurable: { thread_id: threadId, checkpoint_ns: "child:1" } };
      const inChild = await saver().put(child, newCheckpoint(), metadata, {});
      const listed = async (...given: Parameters<typeof list>) =>
        (await list(...given)).map(({ checkpoint }) => checkpoint.id);
      const [newest, second, third, oldest] = ids as [string, string, string, string];
      const before = { configurable: { thread_id: threadId, checkpoint_ns: "", checkpoint_id: second } };
      equals(await listed(root(threadId)), ids);
      equals(await listed(root(threadId), { limit: 2 }), [newest, second]);
      equals(await listed(root(threadId), { before }), [third, oldest]);
      equals(await listed(root(threadId), { before, limit: 1, filter: { even: true } }), [oldest]);
      equals(await listed(root(threadId), { filter: { even: false } }), [newest, third]);
      equals(await listed(child), [inChild.configurable?.checkpoint_id]);
      equals((await saver().getTuple(root(threadId)))?.checkpoint.id, newest);
    });

    it("may be told twice, also after newer ones, and nothing is lost by it", async () => {
      const config = root(randomUUID());
      const once = newCheckpoint({ channel_values: { a: "value" }, channel_versions: { a: 1.5 } });
      const tell = async () => {
        const at = await saver().put(config, once, metadata, { a: 1.5 });
        await saver().putWrites(at, [["a", "write"]], "task");
        return at;
      };
      const at = await tell();
      await tell();
      const newer = await putValue(at, "newer", 2.5);
      await tell();
      const tuple = await saver().getTuple(at);
      equals([tuple?.checkpoint.channel_values, tuple?.pendingWrites], [{ a: "value" }, [["task", "a", "write"]]]);
      equals((await saver().getTuple(config))?.config, newer);
      equals((await list(config)).length, 2);
    });

    it("of the root graph are told to subscribers, once they are durable", async () => {
      const threadId = randomUUID();
      const seen: ResilienceEvent[] = [];
      const unsubscribe = opened().events.subscribe((event) => seen.push(event));
      const put = (configurable: object) =>
        saver().put({ configurable: { thread_id: threadId, ...configurable } }, newCheckpoint(), metadata, {});
      const at = await put({ checkpoint_ns: "", graph_id: "agent" });
      await put({ checkpoint_ns: "child:1" });
      unsubscribe();
      const written = seen.filter((event) => event.threadId === threadId);
      equals(written.length, 1, "the events that were emitted");
      contains(written[0], {
        v: 1,
        type: "checkpoint.written",
        graph: "agent",
        checkpointId: at.configurable?.checkpoint_id,
        step: 1,
        source: "loop",
      });
    });
  });
}

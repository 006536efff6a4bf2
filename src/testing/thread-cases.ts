/** What the records of threads must do, those that only have checkpoints included. */
import { randomUUID } from "node:crypto";
import type { RunnableConfig } from "@langchain/core/runnables";
import { ERROR, INTERRUPT } from "@langchain/langgraph-checkpoint";
import { systemClock } from "../core/clock.js";
import type { ThreadRecord } from "../core/ports.js";
import type { Contract } from "./contract.js";
import { contains, equals, isTrue, rejects } from "./expectations.js";
import { metadata, newCheckpoint } from "./samples.js";

/** What LangGraph writes beside an error that a handler of the graph is to see. */
const ERROR_SOURCE = "__error_source_node__";

export function threadCases({ describe, it, opened }: Contract): void {
  const threads = () => opened().threads;
  const put = (threadId: string, configurable: Record<string, unknown> = {}, extra: object = {}) =>
    opened().checkpointer.put(
      { configurable: { thread_id: threadId, checkpoint_ns: "", ...configurable } },
      newCheckpoint(),
      { ...metadata, ...extra },
      {},
    );
  const write = (at: RunnableConfig, writes: [string, unknown][], task: string) =>
    opened().checkpointer.putWrites(at, writes, task);
  const pending = async (threadId: string) => (await threads().get(threadId))?.pending;

  describe("threads", () => {
    it("are not known before they were recorded", async () => {
      equals(await threads().get(randomUUID()), undefined);
      equals(await threads().findByName(randomUUID()), undefined);
    });

    it("are found by ID and by name once they are recorded", async () => {
      const threadId = randomUUID();
      const name = `name of ${threadId}`;
      await threads().record({ threadId, name, graph: "report", status: "running" });
      const found = await threads().get(threadId);
      contains(found, { threadId, name, graph: "report", status: "running", checkpoints: 0 });
      isTrue(found?.createdAt instanceof Date && found.updatedAt instanceof Date, "the times are no dates");
      equals(await threads().findByName(name), found);
    });

    it("keep the fields that a patch leaves out", async () => {
      const threadId = randomUUID();
      const first = { threadId, name: threadId, graph: "report", status: "failed", error: "no luck" } as const;
      await threads().record(first);
      await threads().record({ threadId, status: "running" });
      contains(await threads().get(threadId), { ...first, status: "running" });
    });

    it("lose their error by null", async () => {
      const threadId = randomUUID();
      await threads().record({ threadId, error: "no luck" });
      await threads().record({ threadId, error: null });
      contains(await threads().get(threadId), { threadId, error: undefined });
    });

    it("cannot have a name that another has, and the error says which", async () => {
      const [first, second] = [randomUUID(), randomUUID()];
      const name = `shared by ${first}`;
      await threads().record({ threadId: first, name });
      await rejects(threads().record({ threadId: second, name }), { code: "THREAD_EXISTS", naming: first });
      equals(await threads().get(second), undefined);
      await threads().record({ threadId: first, name });
    });

    it("keep NUL and half a surrogate pair in IDs, names and errors", async () => {
      const threadId = `id\0${randomUUID()}`;
      const name = `name\0\ud800 ${threadId}`;
      await threads().record({ threadId, name, error: "bad \0 byte" });
      contains(await threads().findByName(name), { threadId, name, error: "bad \0 byte" });
    });

    it("have a record as soon as a first checkpoint is written", async () => {
      const threadId = randomUUID();
      const at = await put(threadId, { graph_id: "agent" });
      const lastCheckpointId: unknown = at.configurable?.checkpoint_id;
      contains(await threads().get(threadId), { threadId, graph: "agent", checkpoints: 1, lastCheckpointId });
    });

    it("take their graph from the metadata, too, and keep it when a later checkpoint does not say", async () => {
      const threadId = randomUUID();
      await put(threadId, {}, { graph_id: "agent" });
      await put(threadId);
      contains(await threads().get(threadId), { graph: "agent", checkpoints: 2 });
    });

    it("forget what a recorded run came to once a checkpoint is written outside of one", async () => {
      const threadId = randomUUID();
      await threads().record({ threadId, status: "running" });
      await put(threadId);
      contains(await threads().get(threadId), { status: "running" });
      await threads().record({ threadId, status: "failed", error: "503" });
      const at = await put(threadId);
      contains(await threads().get(threadId), { status: undefined, error: undefined });
      await write(at, [[INTERRUPT, [{ value: "who?" }]]], randomUUID());
      const waiting = await threads().list({ status: "waiting_human" });
      isTrue(holds(waiting, threadId), "the thread is not listed as waiting for a person");
    });

    it("do not count the checkpoints of subgraphs", async () => {
      const threadId = randomUUID();
      const root = await put(threadId);
      await put(threadId, { checkpoint_ns: "child:1" });
      const lastCheckpointId: unknown = root.configurable?.checkpoint_id;
      contains(await threads().get(threadId), { checkpoints: 1, lastCheckpointId });
    });

    it("show an unanswered interrupt until its task has finished", async () => {
      const threadId = randomUUID();
      const at = await put(threadId);
      equals(await pending(threadId), undefined);
      await write(at, [[INTERRUPT, { value: "sure?" }]], "task-1");
      equals(await pending(threadId), "interrupt");
      await write(at, [["answer", "yes"]], "task-1");
      equals(await pending(threadId), undefined);
    });

    it("show an error until a newer checkpoint follows, and an interrupt before an error", async () => {
      const threadId = randomUUID();
      const at = await put(threadId);
      await write(
        at,
        [
          [ERROR, { message: "no" }],
          [ERROR_SOURCE, "n"],
        ],
        "task-1",
      );
      equals(await pending(threadId), "error");
      isTrue(holds(await threads().list({ status: "failed" }), threadId), "the thread is not listed as failed");
      await write(at, [[INTERRUPT, { value: "sure?" }]], "task-2");
      equals(await pending(threadId), "interrupt");
      await put(threadId);
      equals(await pending(threadId), undefined);
    });

    it("are listed by graph and status, the latest activity first, up to a limit", async () => {
      const graph = randomUUID();
      const ids = [randomUUID(), randomUUID(), randomUUID()] as const;
      for (const threadId of ids) await threads().record({ threadId, graph, status: "failed" });
      await systemClock.sleep(5);
      await threads().record({ threadId: ids[0], status: "succeeded" });
      const list = await threads().list({ graph });
      equals([list.length, list[0]?.threadId], [3, ids[0]]);
      equals((await threads().list({ graph, status: "failed" })).length, 2);
      equals((await threads().list({ graph, limit: 1 })).length, 1);
    });

    it("are forgotten altogether when they are deleted, and no other is", async () => {
      const [threadId, other] = [randomUUID(), randomUUID()];
      for (const one of [threadId, other]) {
        const at = await put(one);
        await put(one, { checkpoint_ns: "child:1" });
        await opened().checkpointer.putWrites(at, [["a", 1]], "task-1", "path");
      }
      await threads().record({ threadId, name: threadId });
      await opened().checkpointer.deleteThread(threadId);
      equals(await threads().get(threadId), undefined);
      for (const checkpoint_ns of ["", "child:1"]) {
        const at = (id: string) => ({ configurable: { thread_id: id, checkpoint_ns } });
        equals(await opened().checkpointer.getTuple(at(threadId)), undefined);
        isTrue((await opened().checkpointer.getTuple(at(other))) !== undefined, "another thread was deleted, too");
      }
      await threads().record({ threadId: randomUUID(), name: threadId });
    });
  });
}

function holds(records: readonly ThreadRecord[], threadId: string): boolean {
  return records.some((record) => record.threadId === threadId);
}

/** What every persistence plugin must do, beyond the official suite for checkpoint savers. */
import { randomUUID } from "node:crypto";
import { type Checkpoint, emptyCheckpoint, uuid6 } from "@langchain/langgraph-checkpoint";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ResilienceEvent } from "../../src/core/events.js";
import { persistenceOf } from "../../src/core/persistence-of.js";
import type { Persistence } from "../../src/core/ports.js";
import { failed, storesContract, storesOf } from "./stores-contract.js";

const metadata = { source: "loop" as const, step: 1, parents: {} };

function checkpoint(): Checkpoint {
  return { ...emptyCheckpoint(), id: uuid6(1) };
}

/**
 * @param open gives an empty persistence
 * @param close closes it and removes what it left
 * @param again opens once more what `open` last gave, for plugins that keep it
 */
export function persistenceContract(
  name: string,
  open: () => Promise<Persistence>,
  close = (persistence: Persistence) => persistence.close(),
  again?: () => Persistence,
): void {
  describe(`persistence contract: ${name}`, () => {
    let persistence: Persistence;

    beforeAll(async () => {
      persistence = await open();
      await persistence.ready();
    }, 60_000);
    afterAll(() => close(persistence));

    const put = async (threadId: string, configurable: Record<string, unknown> = {}, extra: object = {}) =>
      persistence.checkpointer.put(
        { configurable: { thread_id: threadId, checkpoint_ns: "", ...configurable } },
        checkpoint(),
        { ...metadata, ...extra },
        {},
      );

    it("is found through its checkpointer", () => {
      expect(persistenceOf(persistence.checkpointer)).toBe(persistence);
    });

    describe("threads", () => {
      it("does not know a thread that was never recorded", async () => {
        expect(await persistence.threads.get("nobody")).toBeUndefined();
        expect(await persistence.threads.findByName("nobody")).toBeUndefined();
      });

      it("records a thread and finds it by its ID and by its name", async () => {
        const threadId = randomUUID();
        await persistence.threads.record({ threadId, name: `name of ${threadId}`, graph: "report", status: "running" });
        const found = await persistence.threads.get(threadId);
        expect(found).toMatchObject({
          threadId,
          name: `name of ${threadId}`,
          graph: "report",
          status: "running",
          checkpoints: 0,
        });
        expect(found?.createdAt).toBeInstanceOf(Date);
        expect(await persistence.threads.findByName(`name of ${threadId}`)).toEqual(found);
      });

      it("leaves as they are the fields that a patch leaves out", async () => {
        const threadId = randomUUID();
        await persistence.threads.record({
          threadId,
          name: threadId,
          graph: "report",
          status: "failed",
          error: "no luck",
        });
        await persistence.threads.record({ threadId, status: "running" });
        expect(await persistence.threads.get(threadId)).toMatchObject({
          name: threadId,
          graph: "report",
          status: "running",
          error: "no luck",
        });
      });

      it("clears the error on null", async () => {
        const threadId = randomUUID();
        await persistence.threads.record({ threadId, error: "no luck" });
        await persistence.threads.record({ threadId, error: null });
        expect(await persistence.threads.get(threadId)).not.toHaveProperty("error");
      });

      it("refuses a name that another thread has, and says which", async () => {
        const [first, second] = [randomUUID(), randomUUID()];
        await persistence.threads.record({ threadId: first, name: `shared by ${first}` });
        await expect(
          persistence.threads.record({ threadId: second, name: `shared by ${first}` }),
        ).rejects.toMatchObject({
          code: "THREAD_EXISTS",
          message: expect.stringContaining(first),
        });
        await persistence.threads.record({ threadId: first, name: `shared by ${first}` });
      });

      it("keeps NUL and half a surrogate pair in names and errors", async () => {
        const threadId = `id\0${randomUUID()}`;
        const name = `name\0\ud800 ${threadId}`;
        await persistence.threads.record({ threadId, name, error: "bad \0 byte" });
        expect(await persistence.threads.findByName(name)).toMatchObject({ threadId, name, error: "bad \0 byte" });
      });

      it("makes a record of a thread when its first checkpoint is written", async () => {
        const threadId = randomUUID();
        const next = await put(threadId, { graph_id: "agent" });
        expect(await persistence.threads.get(threadId)).toMatchObject({
          threadId,
          graph: "agent",
          checkpoints: 1,
          lastCheckpointId: next.configurable?.checkpoint_id,
        });
      });

      it("takes the graph from the metadata, too, and keeps it when a later checkpoint does not say", async () => {
        const threadId = randomUUID();
        await put(threadId, {}, { graph_id: "agent" });
        await put(threadId);
        expect(await persistence.threads.get(threadId)).toMatchObject({ graph: "agent", checkpoints: 2 });
      });

      it("forgets what a recorded run came to once a checkpoint is written outside of one", async () => {
        const threadId = randomUUID();
        await persistence.threads.record({ threadId, status: "running" });
        await put(threadId);
        expect(await persistence.threads.get(threadId)).toMatchObject({ status: "running" });
        await persistence.threads.record({ threadId, status: "failed", error: "503" });
        const { checkpoint_id: id } = (await put(threadId)).configurable ?? {};
        const later = await persistence.threads.get(threadId);
        expect(later).not.toHaveProperty("status");
        expect(later).not.toHaveProperty("error");
        const at = { configurable: { thread_id: threadId, checkpoint_ns: "", checkpoint_id: id } };
        await persistence.checkpointer.putWrites(at, [["__interrupt__", [{ value: "who?" }]]], randomUUID());
        const waiting = await persistence.threads.list({ status: "waiting_human" });
        expect(waiting.map((thread) => thread.threadId)).toContain(threadId);
      });

      it("does not count the checkpoints of subgraphs", async () => {
        const threadId = randomUUID();
        const root = await put(threadId);
        await put(threadId, { checkpoint_ns: "child:1" });
        expect(await persistence.threads.get(threadId)).toMatchObject({
          checkpoints: 1,
          lastCheckpointId: root.configurable?.checkpoint_id,
        });
      });

      it("shows an unanswered interrupt until its task has finished", async () => {
        const threadId = randomUUID();
        const at = await put(threadId);
        const pending = async () => (await persistence.threads.get(threadId))?.pending;
        expect(await pending()).toBeUndefined();
        await persistence.checkpointer.putWrites(at, [["__interrupt__", { value: "sure?" }]], "task-1");
        expect(await pending()).toBe("interrupt");
        await persistence.checkpointer.putWrites(at, [["answer", "yes"]], "task-1");
        expect(await pending()).toBeUndefined();
      });

      it("shows an error until a newer checkpoint follows, and an interrupt before an error", async () => {
        const threadId = randomUUID();
        const at = await put(threadId);
        await persistence.checkpointer.putWrites(
          at,
          [
            ["__error__", { message: "no" }],
            ["__error_source_node__", "n"],
          ],
          "task-1",
        );
        const pending = async () => (await persistence.threads.get(threadId))?.pending;
        expect(await pending()).toBe("error");
        await persistence.checkpointer.putWrites(at, [["__interrupt__", { value: "sure?" }]], "task-2");
        expect(await pending()).toBe("interrupt");
        await put(threadId);
        expect(await pending()).toBeUndefined();
      });

      it("lists the latest activity first, by graph and status, up to a limit", async () => {
        const graph = randomUUID();
        const ids = [randomUUID(), randomUUID(), randomUUID()] as const;
        for (const threadId of ids) await persistence.threads.record({ threadId, graph, status: "failed" });
        await new Promise((resolve) => setTimeout(resolve, 5));
        await persistence.threads.record({ threadId: ids[0], status: "succeeded" });
        const list = await persistence.threads.list({ graph });
        expect(list.map((thread) => thread.threadId)[0]).toBe(ids[0]);
        expect(list).toHaveLength(3);
        expect(await persistence.threads.list({ graph, status: "failed" })).toHaveLength(2);
        expect(await persistence.threads.list({ graph, limit: 1 })).toHaveLength(1);
      });

      it("forgets a deleted thread altogether", async () => {
        const threadId = randomUUID();
        const at = await put(threadId);
        await persistence.checkpointer.putWrites(at, [["a", 1]], "task-1", "path");
        await persistence.threads.record({ threadId, name: threadId });
        await persistence.checkpointer.deleteThread(threadId);
        expect(await persistence.threads.get(threadId)).toBeUndefined();
        expect(await persistence.checkpointer.getTuple({ configurable: { thread_id: threadId } })).toBeUndefined();
        await persistence.threads.record({ threadId: randomUUID(), name: threadId });
      });
    });

    describe("checkpoints", () => {
      it("returns the writes of a superstep in the order of their task paths", async () => {
        const at = await put(randomUUID());
        await persistence.checkpointer.putWrites(at, [["a", "second"]], "aaa", "~__pregel_pull, b");
        await persistence.checkpointer.putWrites(at, [["a", "first"]], "zzz", "~__pregel_pull, a");
        await persistence.checkpointer.putWrites(at, [["a", "input"]], "mmm");
        const tuple = await persistence.checkpointer.getTuple(at);
        expect(tuple?.pendingWrites?.map(([, , value]) => value)).toEqual(["input", "first", "second"]);
      });

      it("may be told the same twice", async () => {
        const config = { configurable: { thread_id: randomUUID(), checkpoint_ns: "" } };
        const once = { ...checkpoint(), channel_values: { a: "value" }, channel_versions: { a: 1.5 } };
        for (const _ of [1, 2]) {
          const at = await persistence.checkpointer.put(config, once, metadata, { a: 1.5 });
          await persistence.checkpointer.putWrites(at, [["a", "write"]], "task");
        }
        const tuple = await persistence.checkpointer.getTuple(config);
        expect(tuple?.checkpoint.channel_values).toEqual({ a: "value" });
        expect(tuple?.pendingWrites).toEqual([["task", "a", "write"]]);
      });

      it("tells subscribers of each checkpoint of the root graph once it is durable", async () => {
        const threadId = randomUUID();
        const seen: ResilienceEvent[] = [];
        const unsubscribe = persistence.events.subscribe((event) => seen.push(event));
        const at = await put(threadId, { graph_id: "agent" });
        await put(threadId, { checkpoint_ns: "child:1" });
        unsubscribe();
        expect(seen).toEqual([
          {
            v: 1,
            type: "checkpoint.written",
            at: expect.any(Number),
            threadId,
            graph: "agent",
            checkpointId: at.configurable?.checkpoint_id,
            step: 1,
            source: "loop",
          },
        ]);
      });

      it("takes writes of 50 threads at once", async () => {
        const threadIds = Array.from({ length: 50 }, () => randomUUID());
        await Promise.all(
          threadIds.map(async (threadId) => {
            const at = await put(threadId);
            await Promise.all(
              ["t1", "t2", "t3"].map((task) => persistence.checkpointer.putWrites(at, [["a", threadId]], task, task)),
            );
          }),
        );
        for (const threadId of threadIds) {
          const tuple = await persistence.checkpointer.getTuple({ configurable: { thread_id: threadId } });
          expect(tuple?.pendingWrites?.map(([, , value]) => value)).toEqual([threadId, threadId, threadId]);
        }
      });
    });

    describe("store", () => {
      it("puts, gets, lists and deletes, also when first used by many at once", async () => {
        const { store } = persistence;
        await Promise.all(["a", "b", "c"].map((key) => store.put(["people", "friends"], key, { name: key })));
        expect((await store.get(["people", "friends"], "b"))?.value).toEqual({ name: "b" });
        expect(await store.search(["people"])).toHaveLength(3);
        expect(await store.listNamespaces({ prefix: ["people"] })).toEqual([["people", "friends"]]);
        await store.delete(["people", "friends"], "b");
        expect((await store.get(["people", "friends"], "b")) ?? undefined).toBeUndefined();
      });
    });

    storesContract(() => persistence);

    it.skipIf(again === undefined)("is all there for another who opens it", async () => {
      const scope = { threadId: randomUUID(), step: "plan" };
      const key = randomUUID();
      const { attempts, breakers, cache } = storesOf(persistence);
      await attempts.append(scope, failed(1));
      await attempts.mark(scope, "paused");
      await breakers.write(key, { kind: "open" }, 0);
      await cache.put(key, "answer", 60_000);
      const other = again?.() ?? persistence;
      const seen = storesOf(other);
      try {
        expect(await seen.attempts.load(scope)).toEqual({ attempts: [failed(1)], state: "paused" });
        expect(await seen.breakers.read(key)).toMatchObject({ value: { kind: "open" }, version: 1 });
        expect(await seen.cache.get(key)).toMatchObject({ value: "answer" });
        expect(await seen.breakers.write(key, { kind: "closed" }, 1)).toBe(2);
        expect(await breakers.write(key, { kind: "isolated" }, 1)).toBeUndefined();
      } finally {
        await other.close();
      }
    });
  });
}

/** What is acknowledged is there for another who opens the same place, while the first has it open still. */
import { randomUUID } from "node:crypto";
import type { Persistence } from "../core/ports.js";
import type { Contract } from "./contract.js";
import { contains, equals } from "./expectations.js";
import {
  changedEffect,
  failedAttempt,
  metadata,
  newAuditEntry,
  newCheckpoint,
  newEffect,
  newInboxItem,
  newScope,
  newStream,
  streamPart,
} from "./samples.js";

export function reopenCases({ describe, it, opened }: Contract, reopen: () => Promise<Persistence>): void {
  const withAnother = async (look: (other: Persistence) => Promise<void>) => {
    const other = await reopen();
    try {
      await look(other);
    } finally {
      await other.close();
    }
  };

  describe("another who opens it", () => {
    it("finds checkpoints, writes, threads and what is in the long-term store", async () => {
      const { checkpointer, threads, store } = opened();
      const threadId = randomUUID();
      const checkpoint = newCheckpoint({ channel_values: { a: ["value"] }, channel_versions: { a: 1 } });
      const config = { configurable: { thread_id: threadId, checkpoint_ns: "" } };
      const at = await checkpointer.put(config, checkpoint, metadata, { a: 1 });
      await checkpointer.putWrites(at, [["a", "second"]], "task-1", "b");
      await checkpointer.putWrites(at, [["a", "first"]], "task-2", "a");
      await threads.record({ threadId, name: `name of ${threadId}`, status: "failed", error: "no luck" });
      await store.put([threadId], "key", { kept: true });
      await withAnother(async (other) => {
        const tuple = await other.checkpointer.getTuple(config);
        equals(tuple?.checkpoint, checkpoint);
        equals(
          tuple?.pendingWrites?.map(([, , value]) => value),
          ["first", "second"],
        );
        equals(await other.threads.findByName(`name of ${threadId}`), await threads.get(threadId));
        equals((await other.store.get([threadId], "key"))?.value, { kept: true });
        await other.checkpointer.putWrites(at, [["a", "third"]], "task-3", "c");
        await other.threads.record({ threadId, status: "succeeded", error: null });
      });
      equals((await checkpointer.getTuple(at))?.pendingWrites?.length, 3);
      contains(await threads.get(threadId), { status: "succeeded", error: undefined });
    });

    it("finds what is in the other stores, and may go on with it", async () => {
      const { attempts, audit, breakers, cache, inbox, ledger, streams } = opened();
      const [scope, stream, effect, said, key] = [newScope(), newStream(), newEffect(), newAuditEntry(), randomUUID()];
      const question = newInboxItem();
      await attempts?.append(scope, failedAttempt(1));
      await attempts?.mark(scope, "paused");
      await breakers?.write(key, { kind: "open" }, 0);
      await cache?.put(key, "answer", 60_000);
      await streams?.append(stream, streamPart(0));
      await ledger?.move(effect, []);
      await audit?.append(said);
      await inbox?.open(question);
      await withAnother(async (other) => {
        if (attempts !== undefined)
          equals(await other.attempts?.load(scope), { attempts: [failedAttempt(1)], state: "paused" });
        if (cache !== undefined) contains(await other.cache?.get(key), { value: "answer" });
        if (streams !== undefined) equals((await other.streams?.load(stream))?.text, "part 0. ");
        if (audit !== undefined) {
          contains((await other.audit?.list({ threadId: said.threadId }))?.[0], said);
          await other.audit?.append(said);
          equals((await audit.list({ threadId: said.threadId })).length, 1);
        }
        if (inbox !== undefined) {
          equals(await other.inbox?.open(question), { ...question, version: 1 });
          equals(await other.inbox?.change({ ...question, state: "resolved" }, 1), {
            ...question,
            state: "resolved",
            version: 2,
          });
          equals(await inbox.change({ ...question, level: 1 }, 1), undefined);
          equals((await inbox.get(question.id))?.state, "resolved");
        }
        if (ledger !== undefined) {
          equals(await other.ledger?.list(effect.threadId), await ledger.list(effect.threadId));
          const dispatched = changedEffect(effect, "dispatched");
          equals(await other.ledger?.move(dispatched, ["intended"]), "moved");
          equals(await ledger.move(changedEffect(effect, "dispatched"), ["intended"]), "refused");
        }
        if (breakers === undefined) return;
        contains(await other.breakers?.read(key), { value: { kind: "open" }, version: 1 });
        equals(await other.breakers?.write(key, { kind: "closed" }, 1), 2);
        equals(await breakers.write(key, { kind: "isolated" }, 1), undefined);
      });
    });
  });
}

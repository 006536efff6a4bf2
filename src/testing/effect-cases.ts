/** What the ledger of effects must do: what it keeps, and how it is found again. */
import { randomUUID } from "node:crypto";
import type { EffectEntry, EffectLedger } from "../core/effect-ports.js";
import type { Contract } from "./contract.js";
import { effectChangeCases } from "./effect-change-cases.js";
import { equals, rejects } from "./expectations.js";
import { oddTexts } from "./odd-texts.js";
import { newEffect, changedEffect as next } from "./samples.js";

export function effectCases(contract: Contract): void {
  entryCases(contract);
  effectChangeCases(contract);
}

function entryCases(contract: Contract): void {
  const { describe, it, opened } = contract;
  const ledger = () => opened().ledger as EffectLedger;
  const intend = async (...entries: EffectEntry[]): Promise<void> => {
    for (const entry of entries) equals(await ledger().move(entry, []), "moved");
  };
  const stored = async ({ threadId }: Pick<EffectEntry, "threadId">): Promise<EffectEntry[]> =>
    (await ledger().list(threadId)).map(({ seq, ...entry }) => entry);
  const look = async (entry: EffectEntry) => {
    const { found, newest } = await ledger().look(entry.threadId, entry.key, entry);
    return [found?.idempotencyKey, newest?.idempotencyKey];
  };

  describe("effects", () => {
    it("are not found before they are intended, and are then given back as they were", async () => {
      const entry = newEffect();
      equals(await ledger().look(entry.threadId, entry.key, entry), {});
      equals(await ledger().list(entry.threadId), []);
      await intend(entry);
      const [only] = await ledger().list(entry.threadId);
      equals(only, { ...entry, seq: only?.seq });
      equals(await ledger().look(entry.threadId, entry.key, entry), { found: only, newest: only });
    });

    it("keep all that is known of them", async () => {
      const entry = newEffect({
        kind: "irreversible",
        scope: [
          { namespace: "", checkpointId: "checkpoint-1", node: "order", taskId: "task-1" },
          { namespace: "order:task-1", checkpointId: "checkpoint-2", node: "pay", taskId: "task-2" },
        ],
        input: [null, 0.1, -1e-7, Number.MAX_SAFE_INTEGER, true, { nested: { deeply: [] } }],
      });
      await intend(entry);
      const confirmed = next(entry, "unknown", {
        receipt: { id: "ch_1", amounts: [1, 2.5], none: null },
        error: { category: "timeout", retryable: false, message: "no answer", cause: ["Error: socket"] },
        calls: 2,
        undoCalls: 1,
        origin: { key: "another", epoch: 3 },
        forked: true,
        transaction: "order",
        caller: { process: "host/1", until: 1_700_000_060_000 },
        settledBy: { by: "Ada", reason: "seen at the bank" },
        dispatchedAt: 1_700_000_000_001,
        settledAt: 1_700_000_000_002,
        compensatedAt: 1_700_000_000_003,
      });
      equals(await ledger().move(confirmed, ["intended"]), "moved");
      equals(await stored(entry), [confirmed]);
    });

    it("have no receipt, and one of null, as they were told", async () => {
      const threadId = randomUUID();
      const [none, isNull] = [
        newEffect({ threadId, key: "none" }),
        newEffect({ threadId, key: "null", receipt: null }),
      ];
      await intend(none, isNull);
      const entries = await stored(none);
      equals(
        entries.map((entry) => "receipt" in entry),
        [false, true],
      );
      equals(entries[1]?.receipt, null);
    });

    it("are refused with what has no JSON", async () => {
      const entry = newEffect();
      const circle: unknown[] = [];
      circle.push(circle);
      for (const receipt of [1n, circle])
        await rejects(ledger().move({ ...entry, receipt }, []), { code: "INVALID_INPUT" });
      equals(await stored(entry), []);
    });

    it("are not changed by who holds what was stored or found", async () => {
      const input = { list: [1] };
      const entry = newEffect({ input });
      await intend(entry);
      input.list.push(2);
      for (const found of await stored(entry)) (found.input as typeof input).list.push(3);
      equals((await stored(entry))[0]?.input, { list: [1] });
    });

    it("are found under their key in the newest epoch, whichever was intended last", async () => {
      const first = newEffect();
      const { threadId } = first;
      const [second, third] = [newEffect({ threadId, epoch: 10 }), newEffect({ threadId, epoch: 9 })];
      await intend(first);
      equals(await look(first), [first.idempotencyKey, first.idempotencyKey]);
      await intend(second, third);
      equals(await look(first), [second.idempotencyKey, third.idempotencyKey]);
      equals(await stored(first), [first, second, third]);
      equals(await ledger().move(next(first, "compensating"), ["intended"]), "moved");
      equals(await look(first), [second.idempotencyKey, third.idempotencyKey]);
    });

    it("are found by effect and place, the newest intent under any key", async () => {
      const threadId = randomUUID();
      const early = newEffect({ threadId, key: "b" });
      const late = newEffect({ threadId, key: "a" });
      const elsewhere = newEffect({ threadId, key: "c", place: "refund" });
      const another = newEffect({ threadId, key: "d", effect: "mail" });
      const ofAnother = newEffect({ key: "e" });
      await intend(early, late, elsewhere, another, ofAnother);
      equals(await ledger().move(next(early, "dispatched"), ["intended"]), "moved");
      equals(await look(early), [early.idempotencyKey, late.idempotencyKey]);
      equals(await look({ ...early, key: "of none" }), [undefined, late.idempotencyKey]);
      equals(await look({ ...early, place: "of none" }), [early.idempotencyKey, undefined]);
      equals(await look({ ...early, place: "refund" }), [early.idempotencyKey, elsewhere.idempotencyKey]);
      equals(await look({ ...early, effect: "mail" }), [early.idempotencyKey, another.idempotencyKey]);
    });

    it("are listed in the order of intent, whatever became of them, and of one thread only", async () => {
      const [one, other] = [randomUUID(), randomUUID()];
      const first = newEffect({ threadId: one, key: "b" });
      const rest = ["c", "a"].map((key) => newEffect({ threadId: one, key }));
      await intend(first, newEffect({ threadId: other }), ...rest);
      const moved = next(first, "dispatched");
      equals(await ledger().move(moved, ["intended"]), "moved");
      equals(await stored({ threadId: one }), [moved, ...rest]);
      const order = (await ledger().list(one)).map(({ seq }) => seq);
      equals(
        order,
        [...new Set(order)].sort((a, b) => a - b),
      );
      equals((await stored({ threadId: other })).length, 1);
    });

    it("of a deleted thread are forgotten, and of no other", async () => {
      const [gone, kept] = [newEffect(), newEffect()];
      await intend(gone, newEffect({ threadId: gone.threadId, epoch: 1 }), kept);
      await opened().checkpointer.deleteThread(gone.threadId);
      equals(await ledger().look(gone.threadId, gone.key, gone), {});
      equals(await stored(gone), []);
      equals(await stored(kept), [kept]);
      await intend(gone);
    });

    for (const odd of oddTexts) {
      it(`keep ${JSON.stringify(odd)} in names, keys, inputs and receipts`, async () => {
        const entry = newEffect({
          threadId: `${randomUUID()}${odd}`,
          key: odd,
          effect: odd,
          place: odd,
          name: odd,
          change: `${randomUUID()}${odd}`,
          input: { [odd]: [odd] },
        });
        await intend(entry, entry);
        equals(await look(entry), [entry.idempotencyKey, entry.idempotencyKey]);
        equals(await stored(entry), [entry]);
        const confirmed = next(entry, "confirmed", { receipt: odd, change: odd });
        equals(await ledger().move(confirmed, ["intended"]), "moved");
        equals(await ledger().move(confirmed, ["intended"]), "moved");
        equals(await stored(entry), [confirmed]);
      });
    }

    it("keep no secret that the message of an error repeats", async () => {
      const report = { category: "auth" as const, retryable: false };
      const message = "401 for Bearer abcdef123456";
      const entry = newEffect({ error: { ...report, message, cause: ["Error: postgres://u:hunter2@db/x"] } });
      await intend(entry);
      const cause = ["Error: postgres://u:[redacted]@db/x"];
      equals((await stored(entry))[0]?.error, { ...report, message: "401 for Bearer [redacted]", cause });
    });
  });
}

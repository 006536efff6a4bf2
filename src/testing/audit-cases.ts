/** What the audit log must do: add each entry once, find it again, and keep it whatever becomes of its thread. */
import { randomUUID } from "node:crypto";
import type { AuditEntry, AuditFilter, AuditLog, StoredAuditEntry } from "../core/audit-ports.js";
import { auditMoveCases } from "./audit-move-cases.js";
import type { Contract } from "./contract.js";
import { equals, eventually, isTrue, rejects } from "./expectations.js";
import { oddTexts } from "./odd-texts.js";
import { metadata, newAuditEntry, newCheckpoint } from "./samples.js";

type Entry = ReturnType<typeof newAuditEntry>;

export function auditCases(contract: Contract): void {
  findingCases(contract);
  keepingCases(contract);
  auditMoveCases(contract);
}

const toolsOf = ({ opened }: Contract) => {
  const log = () => opened().audit as AuditLog;
  const append = async (...entries: AuditEntry[]): Promise<void> => {
    for (const entry of entries) await log().append(entry);
  };
  const stored = async (filter: AuditFilter): Promise<AuditEntry[]> =>
    (await log().list(filter)).map(({ seq, ...entry }) => entry);
  return { log, append, stored };
};

function findingCases(contract: Contract): void {
  const { describe, it } = contract;
  const { log, append, stored } = toolsOf(contract);

  describe("the audit log", () => {
    it("gives entries back as they were, the newest first", async () => {
      const threadId = randomUUID();
      equals(await log().list({ threadId }), []);
      const first = newAuditEntry({ threadId });
      const details = { node: "pay", keys: ["a", "b"], none: null, amount: 0.1, nested: { deeply: [] } };
      const second = newAuditEntry({ threadId, reason: "the customer asked", details, at: 1 });
      await append(first, second);
      equals(await stored({ threadId }), [second, first]);
      const [newer, older] = (await log().list({ threadId })) as [StoredAuditEntry, StoredAuditEntry];
      isTrue(newer.seq > older.seq, `seq ${newer.seq} is not greater than ${older.seq}`);
      const own = [first.id, second.id];
      const ids = (await stored({})).map(({ id }) => id).filter((id) => own.includes(id));
      equals(ids, [second.id, first.id]);
    });

    it("finds entries by thread, by who it was, and by what they did", async () => {
      const by = `Ada ${randomUUID()}`;
      const whats = ["effect", "effect.compensated", "effects.of.another", "effect.settled", "eff"];
      const entries = whats.map((what) => newAuditEntry({ by, what }));
      const { threadId: _, ...without } = newAuditEntry({ by, what: "rollback.begun" });
      await append(...entries, without, newAuditEntry({ what: "effect" }));
      const [whole, compensated, , settled] = entries as [Entry, Entry, Entry, Entry];
      equals(await stored({ by }), [...entries, without].reverse());
      equals(await stored({ by, what: "effect" }), [settled, compensated, whole]);
      equals(await stored({ by, what: "effect.compensated" }), [compensated]);
      equals(await stored({ by, what: "effect.comp" }), []);
      equals(await stored({ by, what: "%" }), []);
      equals(await stored({ by, threadId: settled.threadId }), [settled]);
      equals(await stored({ by: "nobody", threadId: settled.threadId }), []);
    });

    it("finds entries from a time on, itself included", async () => {
      const threadId = randomUUID();
      const entries = [0, 1_700_000_000_000, 1_700_000_000_001].map((at) => newAuditEntry({ threadId, at }));
      await append(...entries);
      const [first, second, third] = entries;
      equals(await stored({ threadId, since: 0 }), [third, second, first]);
      equals(await stored({ threadId, since: 1_700_000_000_000 }), [third, second]);
      equals(await stored({ threadId, since: 1_700_000_000_001 }), [third]);
      equals(await stored({ threadId, since: 1_700_000_000_002 }), []);
    });

    it("gives page after page, each entry once, and the newest 100 where nobody says how many", async () => {
      const threadId = randomUUID();
      const entries = Array.from({ length: 101 }, (_, n) => newAuditEntry({ threadId, reason: `entry ${n}` }));
      await append(...entries);
      const newestFirst = entries.toReversed();
      equals(await stored({ threadId }), newestFirst.slice(0, 100));
      const pages: StoredAuditEntry[] = [];
      for (let before: number | undefined; ; before = pages.at(-1)?.seq) {
        const page = await log().list({ threadId, limit: 40, ...(before === undefined ? {} : { before }) });
        if (page.length === 0) break;
        pages.push(...page);
      }
      equals(
        pages.map(({ id }) => id),
        newestFirst.map(({ id }) => id),
      );
    });

    it("refuses a filter that it cannot mean", async () => {
      for (const filter of [{ limit: 0 }, { since: Number.NaN }, { before: 1.5 }])
        await rejects(log().list(filter), { code: "CONFIG", naming: Object.keys(filter).join() });
    });
  });
}

function keepingCases(contract: Contract): void {
  const { describe, it, opened } = contract;
  const { log, append, stored } = toolsOf(contract);

  describe("entries of the audit log", () => {
    it("are added once, and stay as they were first told", async () => {
      const entry = newAuditEntry();
      const { threadId } = entry;
      await append(entry, newAuditEntry({ threadId }), entry, { ...entry, by: "another", what: "else" });
      equals((await stored({ threadId })).length, 2);
      equals((await stored({ threadId }))[1], entry);
      await Promise.all(Array.from({ length: 20 }, () => log().append(entry)));
      equals((await stored({ threadId })).length, 2);
    });

    it("are all there when 20 come at once", async () => {
      const threadId = randomUUID();
      const entries = Array.from({ length: 20 }, () => newAuditEntry({ threadId }));
      await Promise.all(entries.map((entry) => log().append(entry)));
      const found = await log().list({ threadId });
      equals(found.map(({ id }) => id).sort(), entries.map(({ id }) => id).sort());
      equals(new Set(found.map(({ seq }) => seq)).size, 20);
    });

    it("are not changed by who holds what was stored or found", async () => {
      const list = [1];
      const entry = newAuditEntry({ details: { list } });
      const { threadId } = entry;
      await append(entry);
      list.push(2);
      for (const { details } of await stored({ threadId })) (details as { list: number[] }).list.push(3);
      equals((await stored({ threadId }))[0]?.details, { list: [1] });
    });

    it("are refused where they are none, or have no JSON", async () => {
      const entry = newAuditEntry();
      const circle: Record<string, unknown> = {};
      circle.circle = circle;
      const faulty: object[] = [{ at: Number.NaN }, { by: undefined }, { v: 2 }, { details: [] }];
      for (const fault of [...faulty, { details: { one: 1n } }, { details: circle }])
        await rejects(log().append({ ...entry, ...fault }), { code: "INVALID_INPUT" });
      equals(await stored({ threadId: entry.threadId }), []);
    });

    it("keep no secret", async () => {
      const details = { apiKey: "abc", message: "401 for Bearer abcdef123456" };
      const entry = newAuditEntry({ reason: "postgres://u:hunter2@db/x", details });
      await append(entry);
      const [{ reason, details: shown }] = (await stored({ threadId: entry.threadId })) as [AuditEntry];
      equals(reason, "postgres://u:[redacted]@db/x");
      equals(shown, { apiKey: "[redacted]", message: "401 for Bearer [redacted]" });
    });

    it("outlive their thread, deleted by hand or by retention", async () => {
      const { checkpointer, retention, threads } = opened();
      const [deleted, pruned] = [newAuditEntry(), newAuditEntry()];
      for (const { threadId } of [deleted, pruned])
        await checkpointer.put(
          { configurable: { thread_id: threadId, checkpoint_ns: "" } },
          newCheckpoint(),
          metadata,
          {},
        );
      await append(deleted, pruned);
      await checkpointer.deleteThread(deleted.threadId);
      equals(await stored({ threadId: deleted.threadId }), [deleted]);
      if (retention === undefined) return;
      const { threadId } = pruned;
      await eventually("retention has deleted the thread", async () => {
        await retention.prune({ threadId, keepLast: 1, ttlMs: 1 });
        return (await threads.get(threadId)) === undefined;
      });
      equals(await stored({ threadId }), [pruned]);
    });

    for (const odd of oddTexts) {
      it(`keep ${JSON.stringify(odd)} in names, reasons and details`, async () => {
        const name = `${randomUUID()}${odd}`;
        const details = Object.fromEntries([[odd, [odd]]]);
        const entry = newAuditEntry({ id: name, by: odd, what: name, threadId: name, reason: odd, details });
        await append(entry, entry, { ...newAuditEntry({ threadId: name }), what: `${name}.more` });
        equals((await stored({ threadId: name })).length, 2);
        equals(await stored({ threadId: name, by: odd }), [entry]);
        equals((await stored({ what: name })).length, 2);
      });
    }
  });
}

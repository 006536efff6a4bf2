/** What becomes of a note for the audit log that goes with a question of the inbox: it is there if the write was made. */
import { randomUUID } from "node:crypto";
import type { AuditEntry } from "../core/audit-ports.js";
import type { InboxItem, InboxStore } from "../core/inbox-ports.js";
import type { Contract } from "./contract.js";
import { equals, rejects } from "./expectations.js";
import { oddTexts } from "./odd-texts.js";
import { newAuditEntry, newInboxItem } from "./samples.js";

export function inboxNoteCases({ describe, it, opened }: Contract): void {
  const inbox = () => opened().inbox as InboxStore;
  const noteOf = ({ threadId }: InboxItem, fields: Partial<AuditEntry> = {}): AuditEntry =>
    newAuditEntry({ threadId, what: "inbox.changed", ...fields });
  /** A plugin may have an inbox without an audit log: then there is nowhere to note anything. */
  const noted = async ({ threadId }: InboxItem, expected: readonly (AuditEntry | undefined)[]): Promise<void> => {
    const log = await opened().audit?.list({ threadId });
    if (log === undefined) return;
    equals(
      log.map(({ seq, ...entry }) => entry),
      expected,
    );
  };

  describe("a question of the inbox with a note for the audit log", () => {
    it("is noted as it is opened, and with each change that says so", async () => {
      const item = newInboxItem();
      const [opening, resolving] = [noteOf(item, { what: "inbox.opened" }), noteOf(item, { reason: "she knows" })];
      equals(await inbox().open(item, opening), { ...item, version: 1 });
      await noted(item, [opening]);
      const resolved = { ...item, state: "resolved" as const };
      equals(await inbox().change(resolved, 1, resolving), { ...resolved, version: 2 });
      await noted(item, [resolving, opening]);
      equals(await inbox().change({ ...resolved, notifyAt: 1 }, 2), { ...resolved, notifyAt: 1, version: 3 });
      await noted(item, [resolving, opening]);
    });

    it("is noted nowhere where it is there already, has another version or is none", async () => {
      const item = newInboxItem();
      equals(await inbox().change(item, 1, noteOf(item)), undefined);
      await inbox().open(item);
      equals(await inbox().open({ ...item, summary: "another" }, noteOf(item)), { ...item, version: 1 });
      equals(await inbox().change({ ...item, level: 1 }, 2, noteOf(item)), undefined);
      await noted(item, []);
    });

    it("is noted by one of 20 who open it at once", async () => {
      const item = newInboxItem();
      const asked = Array.from({ length: 20 }, (_, n) => ({ ...item, node: `node ${n}` }));
      const notes = asked.map(() => noteOf(item));
      const given = await Promise.all(asked.map((one, n) => inbox().open(one, notes[n])));
      await noted(item, [notes[asked.findIndex(({ node }) => node === given[0]?.node)]]);
    });

    it("is noted by the one of 20 who changes it", async () => {
      const item = newInboxItem();
      await inbox().open(item);
      const notes = Array.from({ length: 20 }, () => noteOf(item));
      const given = await Promise.all(notes.map((note) => inbox().change({ ...item, level: 1 }, 1, note)));
      await noted(item, [notes[given.findIndex((one) => one !== undefined)]]);
    });

    it("is neither opened nor changed with a note that cannot be stored", async () => {
      const item = newInboxItem();
      const note = noteOf(item, { details: { one: 1n } });
      await rejects(inbox().open(item, note), { code: "INVALID_INPUT" });
      equals(await inbox().get(item.id), undefined);
      await inbox().open(item);
      await rejects(inbox().change({ ...item, level: 1 }, 1, note), { code: "INVALID_INPUT" });
      const nobody = { ...noteOf(item), by: undefined } as unknown as AuditEntry;
      await rejects(inbox().change({ ...item, level: 1 }, 1, nobody), { code: "INVALID_INPUT", naming: "by" });
      equals(await inbox().get(item.id), { ...item, version: 1 });
      await noted(item, []);
    });

    it("keeps no secret in it, and its note when the thread is deleted", async () => {
      const item = newInboxItem();
      const note = noteOf(item, { details: { apiKey: "abc" } });
      await inbox().open(item, note);
      await opened().checkpointer.deleteThread(item.threadId);
      equals(await inbox().get(item.id), undefined);
      await noted(item, [{ ...note, details: { apiKey: "[redacted]" } }]);
    });

    it("keeps odd texts in it", async () => {
      const item = newInboxItem({ threadId: `${randomUUID()}${oddTexts.join()}` });
      const notes = oddTexts.map((odd) =>
        noteOf(item, { id: `${randomUUID()}${odd}`, by: odd, reason: odd, details: { odd } }),
      );
      await inbox().open(item, notes[0]);
      for (const [n, note] of notes.slice(1).entries()) await inbox().change({ ...item, level: n + 1 }, n + 1, note);
      await noted(item, [...notes].reverse());
    });
  });
}

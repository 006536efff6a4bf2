/** What the inbox must do: keep each question once, let one of many change it, find it again, and forget it with its thread. */
import { randomUUID } from "node:crypto";
import type { InboxFilter, InboxItem, InboxStore, StoredInboxItem } from "../core/inbox-ports.js";
import type { Contract } from "./contract.js";
import { equals, eventually, isTrue, rejects } from "./expectations.js";
import { inboxChangeCases } from "./inbox-change-cases.js";
import { inboxNoteCases } from "./inbox-note-cases.js";
import { inboxPlanCases } from "./inbox-plan-cases.js";
import { oddTexts } from "./odd-texts.js";
import { metadata, newCheckpoint, newInboxItem, newPendingNotice } from "./samples.js";

const aMinute = 60_000;

export function inboxCases(contract: Contract): void {
  inboxChangeCases(contract);
  inboxNoteCases(contract);
  inboxPlanCases(contract);
  findingCases(contract);
  keepingCases(contract);
}

const toolsOf = ({ opened }: Contract) => {
  const inbox = () => opened().inbox as InboxStore;
  const open = async (...items: InboxItem[]): Promise<void> => {
    for (const item of items) await inbox().open(item);
  };
  const idsOf = (items: readonly StoredInboxItem[]) => items.map(({ id }) => id);
  const found = async (filter: InboxFilter) => idsOf(await inbox().list(filter));
  return { inbox, open, idsOf, found };
};

function findingCases(contract: Contract): void {
  const { describe, it, opened } = contract;
  const { inbox, open, idsOf, found } = toolsOf(contract);

  describe("the inbox", () => {
    it("gives the questions of a thread that wait, the oldest first, or those in another state, or all", async () => {
      const threadId = randomUUID();
      const states = ["pending", "resolved", "pending", "expired", "withdrawn", "pending"] as const;
      const openedAt = [3, 2, 1, 4, 5, 3];
      const items = states.map((state, n) => newInboxItem({ threadId, state, openedAt: openedAt[n] as number }));
      await open(...items, newInboxItem());
      const [a, b, c, d, e, f] = idsOf(items.map((item) => ({ ...item, version: 1 })));
      equals(await found({ threadId }), [c, a, f]);
      equals(await found({ threadId, state: "resolved" }), [b]);
      equals(await found({ threadId, state: "expired" }), [d]);
      equals(await found({ threadId, state: "all" }), [c, b, a, f, d, e]);
      equals(await found({ threadId, state: "all", limit: 2 }), [c, b]);
      const [first] = await inbox().list({ threadId });
      equals(first, { ...(items[2] as InboxItem), version: 1 });
    });

    it("finds them by graph, node, kind and assignee", async () => {
      const asked = { graph: randomUUID(), node: "pay", kind: "approval", assignee: "Ada" };
      const item = newInboxItem(asked);
      const others = Object.keys(asked).map((name) => newInboxItem({ ...asked, [name]: "another" }));
      const { graph: _, assignee: __, ...ofNobody } = newInboxItem(asked);
      await open(item, ...others, ofNobody);
      equals(await found(asked), [item.id]);
      for (const name of Object.keys(asked).filter((one) => one !== "graph")) {
        const without = Object.fromEntries(Object.entries(asked).filter(([one]) => one !== name));
        const other = others[Object.keys(asked).indexOf(name)];
        equals(await found(without), [item.id, other?.id], `without ${name}`);
      }
      equals(await found({ ...asked, state: "resolved" }), []);
    });

    it("finds what a person holds now, and no longer when the time of the claim is over", async () => {
      const graph = randomUUID();
      const claimed = (by: string, until: number) => newInboxItem({ graph, claim: { by, until } });
      const farOff = 8_000_000_000_000;
      const items = [claimed("Ada", farOff), claimed("Ada", 1), claimed("Eve", farOff), newInboxItem({ graph })];
      await open(...items);
      equals(await found({ graph, claimedBy: "Ada" }), [items[0]?.id]);
      equals((await found({ graph })).length, 4);
    });

    it("finds what is due before a time, itself not included", async () => {
      const graph = randomUUID();
      const items = [1_700_000_000_000, 1_700_000_000_001].map((dueAt) => newInboxItem({ graph, dueAt }));
      await open(...items, newInboxItem({ graph }));
      equals(await found({ graph, dueBefore: 1_700_000_000_000 }), []);
      equals(await found({ graph, dueBefore: 1_700_000_000_001 }), [items[0]?.id]);
      equals((await found({ graph, dueBefore: 1_700_000_000_002 })).length, 2);
    });

    it("tells a sweep what is to be looked at by now, the longest overdue first", async () => {
      const threadId = randomUUID();
      const ofTime = (sweepAt: number, more: Partial<InboxItem> = {}) => newInboxItem({ threadId, sweepAt, ...more });
      const [third, first, second, later] = [ofTime(3), ofTime(1), ofTime(2), ofTime(4)];
      await open(third, first, second, later, ofTime(1, { state: "resolved" }), newInboxItem({ threadId }));
      const own = (items: readonly StoredInboxItem[]) => idsOf(items.filter((item) => item.threadId === threadId));
      equals(own(await inbox().due(3, 1000)), [first.id, second.id, third.id]);
      equals((await inbox().due(3, 2)).length, 2);
      await inbox().change({ ...first, sweepAt: 4 }, 1);
      await inbox().change({ ...second, state: "expired" }, 1);
      equals(own(await inbox().due(4, 1000)), [third.id, first.id, later.id]);
      await opened().checkpointer.deleteThread(threadId);
    });

    it("tells of whom people are still to be told by now, the longest overdue first, whatever its state", async () => {
      const threadId = randomUUID();
      const ofTime = (notifyAt: number, state: InboxItem["state"] = "pending") =>
        newInboxItem({ threadId, state, notifyAt, notices: [newPendingNotice()] });
      const [third, first, second, later] = [ofTime(3, "withdrawn"), ofTime(1), ofTime(2, "resolved"), ofTime(4)];
      const told = newInboxItem({ threadId, sweepAt: 1, notices: [newPendingNotice()] });
      await open(third, first, second, later, told);
      const own = (items: readonly StoredInboxItem[]) => items.filter((item) => item.threadId === threadId);
      const unsent = await inbox().unsent(3, 1000);
      equals(idsOf(own(unsent)), [first.id, second.id, third.id]);
      equals(own(unsent)[1], { ...second, version: 1 });
      equals((await inbox().unsent(3, 2)).length, 2);
      const { notifyAt: _, ...sent } = first;
      await inbox().change({ ...sent, notices: [] }, 1);
      await inbox().change({ ...second, notifyAt: 4 }, 1);
      equals(idsOf(own(await inbox().unsent(4, 1000))), [third.id, second.id, later.id]);
      await opened().checkpointer.deleteThread(threadId);
      equals(own(await inbox().unsent(4, 1000)), []);
    });

    it("gives 100 where nobody says how many", async () => {
      const threadId = randomUUID();
      const items = Array.from({ length: 101 }, (_, n) => newInboxItem({ threadId, openedAt: n }));
      await Promise.all(items.map((item) => inbox().open(item)));
      equals(
        await found({ threadId }),
        items.slice(0, 100).map(({ id }) => id),
      );
    });

    it("refuses a filter that it cannot mean", async () => {
      for (const filter of [{ limit: 0 }, { state: "open" as never }, { dueBefore: Number.NaN }])
        await rejects(inbox().list(filter), { code: "CONFIG", naming: Object.keys(filter).join() });
      for (const asks of ["due", "unsent"] as const) {
        await rejects(inbox()[asks](Number.NaN, 1), { code: "CONFIG", naming: "nowMs" });
        await rejects(inbox()[asks](0, 0), { code: "CONFIG", naming: "limit" });
      }
    });
  });
}

function keepingCases(contract: Contract): void {
  const { describe, it, opened } = contract;
  const { inbox, open, found } = toolsOf(contract);

  describe("questions of the inbox", () => {
    it("are refused where they are none, or have no JSON", async () => {
      const item = newInboxItem();
      const faults = { openedAt: Number.NaN, node: undefined, v: 2, state: "open", level: -1, claim: { by: "Ada" } };
      for (const [name, fault] of Object.entries(faults))
        await rejects(inbox().open({ ...item, [name]: fault } as InboxItem), { code: "INVALID_INPUT", naming: name });
      await rejects(inbox().open({ ...item, request: 1n }), { code: "INVALID_INPUT", naming: item.id });
      equals(await inbox().get(item.id), undefined);
    });

    it("keep no secret, and the schemas of what may be answered as they are", async () => {
      const schema = { type: "object", properties: { token: { type: "string" }, password: { type: "string" } } };
      const item = newInboxItem({
        summary: "401 for Bearer abcdef123456",
        request: { apiKey: "abc", actions: [{ action: "adjust", schema }, { action: "abort" }] },
        resolution: { action: "abort", by: "Ada", at: 1, reason: "postgres://u:hunter2@db/x" },
      });
      const hidden = {
        ...item,
        version: 1,
        summary: "401 for Bearer [redacted]",
        request: { ...(item.request as object), apiKey: "[redacted]" },
        resolution: { action: "abort", by: "Ada", at: 1, reason: "postgres://u:[redacted]@db/x" },
      };
      equals(await inbox().open(item), hidden);
      equals(await inbox().get(item.id), hidden);
      equals(await inbox().change(item, 1), { ...hidden, version: 2 });
    });

    it("are gone with their thread, deleted by hand or by retention, whatever their state", async () => {
      const { checkpointer, retention, threads } = opened();
      const [deleted, pruned] = [randomUUID(), randomUUID()];
      const stays = newInboxItem();
      await open(stays);
      for (const threadId of [deleted, pruned]) {
        const config = { configurable: { thread_id: threadId, checkpoint_ns: "" } };
        await checkpointer.put(config, newCheckpoint(), metadata, {});
        await open(newInboxItem({ threadId }), newInboxItem({ threadId, state: "resolved" }));
      }
      await checkpointer.deleteThread(deleted);
      equals(await found({ threadId: deleted, state: "all" }), []);
      equals(await found({ threadId: stays.threadId }), [stays.id]);
      if (retention === undefined) return;
      await eventually("retention has deleted the thread", async () => {
        await retention.prune({ threadId: pruned, keepLast: 1, ttlMs: 1 });
        return (await threads.get(pruned)) === undefined;
      });
      equals(await found({ threadId: pruned, state: "all" }), []);
    });

    it("may be asked anew under the same ID once their thread was deleted", async () => {
      const item = newInboxItem();
      await inbox().open(item);
      await inbox().change({ ...item, state: "resolved" }, 1);
      await opened().checkpointer.deleteThread(item.threadId);
      equals(await inbox().change({ ...item, level: 1 }, 2), undefined);
      equals(await inbox().open(item), { ...item, version: 1 });
    });

    it("of almost 1 MB are kept whole, and larger ones shortened", async () => {
      const item = newInboxItem({ request: { text: "e".repeat(900_000) } });
      await inbox().open(item);
      equals(await inbox().get(item.id), { ...item, version: 1 });
      const large = newInboxItem({ request: { text: "e".repeat(2_000_000), short: "kept" } });
      const { request } = await inbox().open(large);
      const { text, short } = request as { text: string; short: string };
      equals(short, "kept");
      isTrue(text.startsWith("eee") && text.length < aMinute, `${text.length} characters are no shortened text`);
      equals((await inbox().get(large.id))?.request, request);
    });

    for (const odd of oddTexts) {
      it(`keep ${JSON.stringify(odd)} in names and requests`, async () => {
        const name = `${randomUUID()}${odd}`;
        const request = Object.fromEntries([[odd, [odd]]]);
        const names = { threadId: name, graph: odd, node: odd, kind: odd, assignee: odd };
        const claim = { by: odd, until: 8_000_000_000_000 };
        const plan = { levels: [{ to: [odd] }], onExpiry: { action: odd, ...request } };
        const notices = [newPendingNotice({ id: odd, done: [odd] })];
        const item = newInboxItem({ id: name, ...names, summary: odd, hash: odd, request, claim, plan, notices });
        await open(item, newInboxItem({ threadId: name }));
        equals(await inbox().get(name), { ...item, version: 1 });
        equals(await found({ ...names, claimedBy: odd }), [name]);
        equals(await inbox().change({ ...item, state: "resolved" }, 1), { ...item, state: "resolved", version: 2 });
        equals((await found({ threadId: name, state: "all" })).length, 2);
      });
    }
  });
}

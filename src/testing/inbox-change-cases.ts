/** Of many who would open or change a question of the inbox at once, one does. */
import { randomUUID } from "node:crypto";
import type { InboxStore } from "../core/inbox-ports.js";
import type { Contract } from "./contract.js";
import { equals, rejects } from "./expectations.js";
import { newInboxItem, newPendingNotice } from "./samples.js";

export function inboxChangeCases({ describe, it, opened }: Contract): void {
  const inbox = () => opened().inbox as InboxStore;

  describe("a question of the inbox", () => {
    it("is given back as it was opened, and is not there before", async () => {
      const whole = newInboxItem({
        thread: "order-17",
        graph: "shop",
        assignee: "Ada",
        claim: { by: "Eve", until: 1_700_000_000_001.5 },
        dueAt: 1_700_000_000_002,
        sweepAt: 1_700_000_000_001,
        resolution: { action: "retry", by: "Ada", at: 1_700_000_000_003 },
        plan: {
          levels: [{ to: [], deadlineMs: 0.5, remindEveryMs: 60_000 }, { to: ["ada@example.org", "Eve"] }],
          onExpiry: { action: "abort" },
        },
        askedAt: "checkpoint-1",
        notices: [
          newPendingNotice(),
          newPendingNotice({ event: "reminder", done: ["mail"], attempts: 2, nextAt: 0.5 }),
        ],
        notifyAt: 1_700_000_000_004.5,
        tellingUntil: 1_700_000_000_004.5,
        remindAt: 1_700_000_000_001,
        overdue: true,
        request: { node: "pay", none: null, amount: 0.1, nested: { deeply: [] } },
      });
      equals(await inbox().get(whole.id), undefined);
      equals(await inbox().open(whole), { ...whole, version: 1 });
      equals(await inbox().get(whole.id), { ...whole, version: 1 });
    });

    it("that is there already stays as it is when it is opened again, and is given back", async () => {
      const item = newInboxItem();
      await inbox().open(item);
      equals(await inbox().open({ ...item, summary: "another" }), { ...item, version: 1 });
      const resolved = { ...item, state: "resolved" as const };
      await inbox().change(resolved, 1);
      equals(await inbox().open(item), { ...resolved, version: 2 });
      equals(await inbox().get(item.id), { ...resolved, version: 2 });
    });

    it("opened by 20 at once is that of one, for all of them", async () => {
      const item = newInboxItem();
      const opening = Array.from({ length: 20 }, (_, n) => inbox().open({ ...item, summary: `of ${n}` }));
      const given = await Promise.all(opening);
      const stored = await inbox().get(item.id);
      for (const one of given) equals(one, stored);
      equals((await inbox().list({ threadId: item.threadId })).length, 1);
    });

    it("is changed where its version is the one given, and not otherwise", async () => {
      const item = newInboxItem({ assignee: "Ada", dueAt: 1 });
      equals(await inbox().change(item, 1), undefined);
      equals(await inbox().get(item.id), undefined);
      await inbox().open(item);
      const { assignee: _, ...without } = item;
      const changed = { ...without, level: 1, dueAt: 2 };
      equals(await inbox().change(changed, 1), { ...changed, version: 2 });
      equals(await inbox().get(item.id), { ...changed, version: 2 });
      for (const version of [1, 3]) equals(await inbox().change({ ...item, level: 2 }, version), undefined);
      equals(await inbox().get(item.id), { ...changed, version: 2 });
      for (const version of [0, 1.5, Number.NaN])
        await rejects(inbox().change(item, version), { code: "INVALID_INPUT", naming: "version" });
    });

    it("is changed by one of 20 who would at once, and each knows whether it was", async () => {
      const item = newInboxItem();
      await inbox().open(item);
      const claims = Array.from({ length: 20 }, (_, n) => ({ ...item, claim: { by: `person ${n}`, until: 1 } }));
      const given = await Promise.all(claims.map((claim) => inbox().change(claim, 1)));
      const winners = given.filter((one) => one !== undefined);
      equals(winners.length, 1);
      equals(await inbox().get(item.id), winners[0]);
      equals(winners[0]?.claim?.by, `person ${given.findIndex((one) => one !== undefined)}`);
    });

    it("is found by what was changed of it, and no longer by what it was", async () => {
      const graph = randomUUID();
      const item = newInboxItem({ graph, assignee: "Ada" });
      await inbox().open(item);
      await inbox().change({ ...item, assignee: "Eve", state: "resolved" }, 1);
      equals(await inbox().list({ graph }), []);
      equals(await inbox().list({ graph, state: "all", assignee: "Ada" }), []);
      equals((await inbox().list({ graph, state: "resolved", assignee: "Eve" })).length, 1);
    });

    it("is not changed by who holds what was stored or found", async () => {
      const list = [1];
      const item = newInboxItem({ request: { list } });
      const given = [await inbox().open(item)];
      list.push(2);
      given.push(...(await inbox().list({ threadId: item.threadId })));
      for (const { request } of given) (request as { list: number[] }).list.push(3);
      equals((await inbox().get(item.id))?.request, { list: [1] });
    });
  });
}

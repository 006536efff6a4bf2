/** What a question of the inbox has for those who act on it without being asked: its plan, and what people are to be told. */
import type { InboxItem, InboxStore } from "../core/inbox-ports.js";
import type { Contract } from "./contract.js";
import { equals, rejects } from "./expectations.js";
import { newInboxItem, newPendingNotice } from "./samples.js";

const tenYearsMs = 10 * 365 * 24 * 3_600_000;
const times = <T>(count: number, one: T): T[] => Array.from({ length: count }, () => one);

export function inboxPlanCases({ describe, it, opened }: Contract): void {
  const inbox = () => opened().inbox as InboxStore;

  describe("the plan of a question of the inbox", () => {
    it("is kept as it is, and no secret beside it", async () => {
      const onExpiry = { action: "adjust", token: "Bearer abcdef123456", values: { password: "p".repeat(1000) } };
      const plan = { levels: [{ to: ["https://hooks.example.org/?token=abc"], deadlineMs: 1 }, { to: [] }], onExpiry };
      const item = newInboxItem({
        plan,
        summary: "401 for Bearer abcdef123456",
        request: { onExpiry, text: "e".repeat(1_100_000) },
      });
      await inbox().open(item);
      const stored = await inbox().get(item.id);
      equals(stored?.plan, plan);
      equals(stored?.summary, "401 for Bearer [redacted]");
      equals((stored?.request as { onExpiry: unknown } | undefined)?.onExpiry, {
        action: "adjust",
        token: "[redacted]",
        values: { password: "[redacted]" },
      });
      equals((await inbox().change({ ...item, request: {} }, 1))?.plan, plan);
    });

    it("may go to its limits, and no further", async () => {
      const largest = { to: times(50, "Ada"), deadlineMs: tenYearsMs, remindEveryMs: tenYearsMs };
      const item = newInboxItem({ plan: { levels: times(20, largest) }, notices: times(50, newPendingNotice()) });
      equals(await inbox().open(item), { ...item, version: 1 });
      const ofLevel = (level: object) => ({ plan: { levels: [{ to: [], ...level }] } });
      const faults: readonly (readonly [naming: string, fault: object])[] = [
        ["plan.levels", { plan: { levels: [] } }],
        ["plan.levels", { plan: { levels: times(21, { to: [] }) } }],
        ["plan.levels.0.to", ofLevel({ to: times(51, "Ada") })],
        ["plan.levels.0.to.0", ofLevel({ to: [1] })],
        ["plan.levels.0.deadlineMs", ofLevel({ deadlineMs: 0 })],
        ["plan.levels.0.deadlineMs", ofLevel({ deadlineMs: Number.POSITIVE_INFINITY })],
        ["plan.levels.0.deadlineMs", ofLevel({ deadlineMs: tenYearsMs + 1 })],
        ["plan.levels.0.remindEveryMs", ofLevel({ remindEveryMs: -1 })],
        ["plan.onExpiry", { plan: { levels: [{ to: [] }], onExpiry: { action: 1 } } }],
        ["plan.onExpiry", { plan: { levels: [{ to: [] }], onExpiry: "abort" } }],
        ["notices", { notices: times(51, newPendingNotice()) }],
        ["notices.0.event", { notices: [{ ...newPendingNotice(), event: "shouted" }] }],
        ["notices.0.attempts", { notices: [newPendingNotice({ attempts: -1 })] }],
        ["overdue", { overdue: false }],
        ["remindAt", { remindAt: Number.NaN }],
        ["notifyAt", { notifyAt: -1 }],
      ];
      for (const [naming, fault] of faults)
        await rejects(inbox().open({ ...newInboxItem(), ...fault } as InboxItem), { code: "INVALID_INPUT", naming });
    });
  });
}

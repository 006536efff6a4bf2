/** Processes that die while they answer, sweep or tell: at each durable write, before and after. */
import { afterEach, describe, expect, it } from "vitest";
import { type CrashPoint, onCrashPoint } from "../../../src/core/crash-points.js";
import { resolveInboxItem } from "../../../src/langgraph/inbox/resolve-item.js";
import { inspectThread } from "../../../src/langgraph/threads/inspect-thread.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { listener, minute, office } from "./world.js";

class Died extends Error {}

/** What the work passes, or the work as far as to one of them: nothing it does after that is done. */
function passages(): { readonly points: CrashPoint[]; readonly dieAt: (n: number) => void } {
  const points: CrashPoint[] = [];
  let at = Number.POSITIVE_INFINITY;
  onCrashPoint((point) => {
    // A lease ends by its time, which is no matter of this test.
    if (point.startsWith("locks.")) return;
    points.push(point);
    if (points.length >= at) throw new Died(point);
  });
  return { points, dieAt: (n) => (at = n) };
}

afterEach(() => onCrashPoint(undefined));

async function asked(threadId: string) {
  const made = office({ levels: [{ to: "ada", deadlineMs: minute }], onExpiry: { action: "retry" } });
  made.world.failures = 1;
  await runThread(made.graph, { value: 1 }, { threadId });
  return made;
}

async function ended({ graph, only, audited, world }: Awaited<ReturnType<typeof asked>>, thread: string) {
  // The process that died in the middle of the run left it to whoever resumes.
  if ((await inspectThread(graph, thread)).status !== "succeeded") await resumeThread(graph, thread);
  const { status } = await inspectThread(graph, thread);
  const { state } = await only();
  return {
    status,
    state,
    once: (await audited()).filter((what) => /expired|resolved/.test(what)).length,
    calls: world.calls,
  };
}

describe("a sweep that dies while it does a default action", () => {
  it("at any write leaves it to the next, which does it once", async () => {
    const first = await asked("whole");
    const { points } = passages();
    await first.sweep(2 * minute);
    onCrashPoint(undefined);
    expect(await ended(first, "whole")).toEqual({ status: "succeeded", state: "expired", once: 1, calls: 2 });
    const inboxPoints = points.filter((point) => point.startsWith("inbox.")).length;
    expect(inboxPoints).toBeGreaterThanOrEqual(4);
    for (let n = 1; n <= points.length; n += 1) {
      const one = await asked(`dies at ${n}`);
      const dying = passages();
      dying.dieAt(n);
      await one.sweep(2 * minute).catch(() => {});
      onCrashPoint(undefined);
      // After the hold of the dead one is over.
      for (const at of [8, 16]) await one.sweep(at * minute);
      expect(await ended(one, `dies at ${n}`), `${n}: ${points[n - 1]}`).toMatchObject({
        status: "succeeded",
        state: "expired",
        once: 1,
      });
    }
  });
});

describe("a person whose process dies while it answers", () => {
  it("at any write has answered, or can answer again", async () => {
    const first = await asked("whole");
    const { points } = passages();
    await resolveInboxItem(first.graph, (await first.only()).id, { action: "retry", by: "ada" });
    onCrashPoint(undefined);
    for (let n = 1; n <= points.length; n += 1) {
      const thread = `dies at ${n}`;
      const one = await asked(thread);
      const { id } = await one.only();
      const dying = passages();
      dying.dieAt(n);
      await resolveInboxItem(one.graph, id, { action: "retry", by: "ada" }).catch(() => {});
      onCrashPoint(undefined);
      if ((await one.only()).state === "pending") {
        const { status, waitingFor } = await inspectThread(one.graph, thread);
        if (status === "waiting_human" && waitingFor[0]?.perhapsAnswered !== true)
          await resolveInboxItem(one.graph, id, { action: "retry", by: "ada" });
      }
      expect(await ended(one, thread), `${n}: ${points[n - 1]}`).toMatchObject({
        status: "succeeded",
        state: "resolved",
        once: 1,
      });
    }
  });
});

describe("a process that dies while it tells people", () => {
  it("at any write leaves the message to another, which sends it under the same ID", async () => {
    const first = await asked("whole");
    const { points } = passages();
    await first.sweep(0, [listener().channel]);
    onCrashPoint(undefined);
    for (let n = 1; n <= points.length; n += 1) {
      const one = await asked(`dies at ${n}`);
      const { channel, notices } = listener();
      const dying = passages();
      dying.dieAt(n);
      await one.sweep(0, [channel]).catch(() => {});
      onCrashPoint(undefined);
      await one.sweep(0.9 * minute, [channel]);
      await one.sweep(3 * minute, [channel]);
      const opened = notices.filter(({ event }) => event === "opened");
      expect(new Set(opened.map(({ id }) => id)).size, `${n}: ${points[n - 1]}`).toBe(opened.length === 0 ? 0 : 1);
      expect(opened.length, `${n}: ${points[n - 1]}`).toBeLessThanOrEqual(2);
    }
  });
});

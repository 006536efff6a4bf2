/** The life of a question: from when it is asked until nobody has to answer it any more. */
import { Command } from "@langchain/langgraph";
import { describe, expect, it } from "vitest";
import { resolveInboxItem } from "../../../src/langgraph/inbox/resolve-item.js";
import { rollback } from "../../../src/langgraph/rollback/rollback.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { claimInboxItem, releaseInboxItem } from "../../../src/recovery/inbox-change.js";
import { listener, minute, office } from "./world.js";

const levels = [
  { to: ["ada"], deadlineMs: 10 * minute, remindEveryMs: 4 * minute },
  { to: ["bob"], deadlineMs: 20 * minute },
];

describe("a question in the inbox", () => {
  it("is there before the thread waits, with all that a person needs, and is resolved by the answer", async () => {
    const { graph, world, only, audited } = office({ levels });
    world.failures = 1;
    const asked = await runThread(graph, { value: 1 }, { threadId: "one" });
    const item = await only();
    const request = asked.waitingFor[0]?.request;
    expect(item).toMatchObject({
      state: "pending",
      thread: "one",
      graph: "office",
      node: "work",
      kind: "intervention",
      level: 0,
      id: request?.id,
      hash: request?.hash,
      request: { failure: { category: "server_error" }, suggestion: { action: "retry" } },
    });
    expect(item.dueAt).toBe(item.openedAt + 10 * minute);
    expect(request?.deadline).toBe(new Date(item.dueAt ?? 0).toISOString());
    expect(request?.atDeadline).toBe("bob will be asked");
    const done = await resumeThread(graph, "one", { action: "retry", by: "ada", reason: "it is up again" });
    expect(done.status).toBe("succeeded");
    expect(await only()).toMatchObject({
      state: "resolved",
      resolution: { action: "retry", by: "ada", reason: "it is up again" },
    });
    expect(await audited()).toEqual(["inbox.opened", "inbox.answered", "inbox.resolved"]);
  });

  it("is resolved as well where LangGraph itself is given the answer", async () => {
    const { graph, world, only } = office();
    world.failures = 1;
    const { threadId } = await runThread(graph, { value: 1 }, { threadId: "plain" });
    await graph.invoke(new Command({ resume: { action: "retry", by: "eve" } }), {
      configurable: { thread_id: threadId },
    });
    expect(await only()).toMatchObject({ state: "resolved", resolution: { by: "eve" } });
  });

  it("asked anew after an answer that did not help is another question", async () => {
    const { graph, items } = office();
    await runThread(graph, { value: 1 }, { threadId: "again" });
    await resumeThread(graph, "again", { action: "retry" });
    expect((await items()).map(({ state }) => state)).toEqual(["resolved", "pending"]);
  });

  it("handed on by a person is asked of that person, on the next level", async () => {
    const { graph, items } = office({ levels });
    await runThread(graph, { value: 1 }, { threadId: "up" });
    await resumeThread(graph, "up", { action: "escalate", to: "carol", by: "ada" });
    expect(await items()).toMatchObject([
      { state: "resolved", resolution: { action: "escalate", by: "ada" } },
      { state: "pending", level: 1, assignee: "carol" },
    ]);
  });

  it("is withdrawn when its thread goes back beneath it", async () => {
    const { graph, only } = office();
    await runThread(graph, { value: 1 }, { threadId: "back" });
    await rollback(graph, "back", { scope: "process", by: "ada" });
    expect(await only()).toMatchObject({ state: "withdrawn" });
  });

  it("is withdrawn by a sweep where the thread was changed by other means", async () => {
    const { graph, only, sweep } = office({ levels });
    const { threadId } = await runThread(graph, { value: 1 }, { threadId: "changed" });
    await graph.updateState({ configurable: { thread_id: threadId } }, { value: 2 });
    expect(await only()).toMatchObject({ state: "pending" });
    const { channel, notices } = listener();
    expect(await sweep(5 * minute, [channel])).toMatchObject({ withdrawn: 1, told: 0 });
    expect(await only()).toMatchObject({ state: "withdrawn" });
    expect(notices).toEqual([]);
  });
});

describe("a claim", () => {
  it("keeps others from the question until it is given back", async () => {
    const { graph, world, persistence, only } = office();
    world.failures = 1;
    await runThread(graph, { value: 1 }, { threadId: "claimed" });
    const { id } = await only();
    await claimInboxItem(persistence, id, { by: "ada" });
    await expect(claimInboxItem(persistence, id, { by: "bob" })).rejects.toThrow(/ada works on question .* until/);
    await expect(resolveInboxItem(graph, id, { action: "retry", by: "bob" })).rejects.toThrow("ada works on");
    await expect(resumeThread(graph, "claimed", { action: "retry", by: "bob" })).rejects.toThrow("ada works on");
    await expect(resumeThread(graph, "claimed", { action: "retry" })).rejects.toThrow("ada works on");
    await releaseInboxItem(persistence, id, { by: "ada" });
    expect((await resolveInboxItem(graph, id, { action: "retry", by: "bob" })).status).toBe("succeeded");
  });

  it("can be taken over, and is over with its time", async () => {
    const { graph, persistence, only } = office();
    await runThread(graph, { value: 1 }, { threadId: "taken" });
    const { id } = await only();
    await claimInboxItem(persistence, id, { by: "ada" });
    expect((await claimInboxItem(persistence, id, { by: "bob", force: true })).claim?.by).toBe("bob");
    await claimInboxItem(persistence, id, { by: "bob", forMs: 0.001 });
    expect((await claimInboxItem(persistence, id, { by: "carol" })).claim?.by).toBe("carol");
  });
});

describe("an answer through the inbox", () => {
  it("that does not fit is refused, and the question is free for the next", async () => {
    const { graph, world, only } = office();
    world.failures = 1;
    await runThread(graph, { value: 1 }, { threadId: "unfit" });
    const { id } = await only();
    await expect(resolveInboxItem(graph, id, { action: "fallback", by: "ada" })).rejects.toThrow("not offered");
    await expect(resolveInboxItem(graph, id, { action: "retry", by: "ada", of: "feed" })).rejects.toThrow(
      "has changed",
    );
    await expect(resolveInboxItem(graph, "none", { action: "retry" })).rejects.toThrow("no question none");
    const item = await only();
    expect(item.state).toBe("pending");
    expect(item.claim).toBeUndefined();
    expect((await resolveInboxItem(graph, id, { action: "retry", by: "bob" })).status).toBe("succeeded");
    await expect(resolveInboxItem(graph, id, { action: "retry", by: "ada" })).rejects.toThrow(
      /is not open: bob answered it with "retry"/,
    );
    await expect(resumeThread(graph, "unfit", { action: "retry", by: "ada" })).rejects.toThrow(
      'bob answered it with "retry"',
    );
  });

  it("of two people at once is heard of one, and the other is told who", async () => {
    const { graph, world, only } = office();
    world.failures = 1;
    await runThread(graph, { value: 1 }, { threadId: "race" });
    const { id } = await only();
    const answers = await Promise.allSettled(
      ["ada", "bob", "carol"].map((by) => resolveInboxItem(graph, id, { action: "retry", by })),
    );
    const [winner] = answers.filter(({ status }) => status === "fulfilled");
    const losers = answers.flatMap((one) => (one.status === "rejected" ? [String(one.reason)] : []));
    expect(winner).toMatchObject({ value: { status: "succeeded" } });
    expect(losers).toHaveLength(2);
    for (const why of losers) expect(why).toMatch(/(ada|bob|carol) (works on|answered it)/);
    expect(world.calls).toBe(2);
  });
});

describe("a question that nobody answers", () => {
  it("is told of, reminded of, and handed to the next level; then its default action is done", async () => {
    const { graph, sweep, only, audited, world } = office({
      levels,
      onExpiry: { action: "abort", reason: "no answer" },
    });
    await runThread(graph, { value: 1 }, { threadId: "silent" });
    const { channel, notices, events } = listener();
    expect(await sweep(0, [channel])).toMatchObject({ told: 1, reminded: 0 });
    expect(await sweep(minute, [channel])).toMatchObject({ told: 0 });
    expect(await sweep(5 * minute, [channel])).toMatchObject({ reminded: 1, told: 1 });
    expect(await sweep(11 * minute, [channel])).toMatchObject({ escalated: 1, told: 1 });
    expect(await only()).toMatchObject({ state: "pending", level: 1 });
    expect(await sweep(30 * minute, [channel])).toMatchObject({ expired: 0, told: 0 });
    expect(await sweep(32 * minute, [channel])).toMatchObject({ expired: 1, told: 1 });
    expect(events()).toEqual(["opened", "reminder", "escalated", "expired"]);
    expect(notices.map(({ to }) => to)).toEqual([["ada"], ["ada"], ["bob"], ["bob"]]);
    expect(await only()).toMatchObject({
      state: "expired",
      resolution: { action: "abort", by: "langgraph-resilience", reason: "no answer" },
    });
    expect(await audited()).toEqual([
      "inbox.opened",
      "inbox.notified",
      "inbox.reminded",
      "inbox.notified",
      "inbox.escalated",
      "inbox.notified",
      "inbox.expiring",
      "inbox.answered",
      "inbox.expired",
      "inbox.notified",
    ]);
    expect(world.calls).toBe(1);
    const { id } = await only();
    await expect(resolveInboxItem(graph, id, { action: "retry" })).rejects.toThrow(
      /its time was over, and "abort" was done/,
    );
  });

  it("stays open past its deadline where nothing else is said, and people hear that it is overdue once", async () => {
    const { graph, sweep, only, world } = office({ levels: [{ to: "ada", deadlineMs: minute }] });
    world.failures = 1;
    await runThread(graph, { value: 1 }, { threadId: "late" });
    const { channel, events } = listener();
    await sweep(2 * minute, [channel]);
    await sweep(3 * minute, [channel]);
    expect(events()).toEqual(["opened", "overdue"]);
    expect(await only()).toMatchObject({ state: "pending", overdue: true });
    expect((await resumeThread(graph, "late", { action: "retry" })).status).toBe("succeeded");
  });

  it("can still be answered after the last deadline, until its default action is being done", async () => {
    const { graph, persistence, only, world } = office({
      levels: [{ deadlineMs: 1000 }],
      onExpiry: { action: "abort" },
    });
    world.failures = 1;
    await runThread(graph, { value: 1 }, { threadId: "over" });
    const late = { ...(await only()), dueAt: 1, sweepAt: 1 };
    const claim = { by: "langgraph-resilience", until: Date.now() + minute };
    await persistence.inbox?.change({ ...late, claim }, 1);
    await expect(resumeThread(graph, "over", { action: "retry" })).rejects.toThrow('"abort" is being done just now');
    await expect(resumeThread(graph, "over", { action: "retry", by: claim.by })).rejects.toThrow("say who answers");
    await persistence.inbox?.change(late, 2);
    expect((await resumeThread(graph, "over", { action: "retry", by: "ada" })).status).toBe("succeeded");
  });

  it("whose default action cannot be done waits for a person, who is told", async () => {
    const { graph, sweep, only } = office({
      levels: [{ deadlineMs: minute }],
      onExpiry: { action: "fallback", step: "none" },
    });
    await runThread(graph, { value: 1 }, { threadId: "failed" });
    const { channel, events } = listener();
    expect(await sweep(2 * minute, [channel])).toMatchObject({ failed: 1 });
    expect(events()).toEqual(["opened", "failed"]);
    expect(await only()).toMatchObject({ state: "pending", overdue: true });
    expect(await sweep(20 * minute, [channel])).toMatchObject({ failed: 0, told: 0 });
    const { id } = await only();
    const answered = await resolveInboxItem(graph, id, { action: "abort", by: "ada" });
    expect([answered.status, (await only()).state]).toEqual(["aborted", "resolved"]);
  });

  it("is left to a process that has its graph", async () => {
    const { graph, persistence, sweep } = office({ levels: [{ deadlineMs: minute }], onExpiry: { action: "abort" } });
    await runThread(graph, { value: 1 }, { threadId: "elsewhere" });
    const { sweepInbox } = await import("../../../src/langgraph/inbox/sweep.js");
    const { FakeClock } = await import("../../support/fake-clock.js");
    const clock = new FakeClock(Date.now() + 2 * minute);
    expect(await sweepInbox(persistence, { graphs: {}, clock })).toMatchObject({ expired: 0, failed: 0 });
    expect(await sweep(2 * minute)).toMatchObject({ expired: 1 });
  });
});

describe("a fleet that sweeps", () => {
  it("makes each change once, and sends each message once", async () => {
    const { graph, sweep, items, audited } = office({ levels, onExpiry: { action: "abort" } });
    for (let n = 0; n < 5; n += 1) await runThread(graph, { value: n }, { threadId: `fleet ${n}` });
    const { channel, events } = listener();
    const fleet = (at: number) => Promise.all([1, 2, 3, 4].map(() => sweep(at, [channel])));
    await fleet(5 * minute);
    await fleet(11 * minute);
    await fleet(32 * minute);
    const counted = Object.fromEntries(
      ["opened", "reminder", "escalated", "expired"].map((event) => [
        event,
        events().filter((one) => one === event).length,
      ]),
    );
    expect(counted).toEqual({ opened: 5, reminder: 5, escalated: 5, expired: 5 });
    expect((await items()).map(({ state }) => state)).toEqual(Array.from({ length: 5 }, () => "expired"));
    expect((await audited()).filter((what) => what === "inbox.escalated")).toHaveLength(5);
  });
});

describe("a channel that fails", () => {
  it("is tried again later without those that did not, and harms nothing", async () => {
    const { graph, sweep, audited } = office();
    await runThread(graph, { value: 1 }, { threadId: "noisy" });
    const bad = listener("bad", { failures: 1 });
    const good = listener("good");
    const channels = [bad.channel, good.channel];
    expect(await sweep(0, channels)).toMatchObject({ told: 1, untold: 1 });
    expect(await sweep(1000, channels)).toMatchObject({ told: 0, untold: 0 });
    expect(await sweep(minute, channels)).toMatchObject({ told: 1, untold: 0 });
    expect([bad.tries(), good.tries()]).toEqual([2, 1]);
    expect(bad.notices[0]?.id).toBe(good.notices[0]?.id);
    expect(await audited()).toEqual(["inbox.opened", "inbox.notify_failed", "inbox.notified"]);
  });

  it("is given up in the end", async () => {
    const { graph, sweep, persistence } = office();
    await runThread(graph, { value: 1 }, { threadId: "hopeless" });
    const { channel, tries } = listener("bad", { failures: 1000 });
    for (let hour = 0; hour < 40; hour += 1) await sweep(hour * 60 * minute, [channel]);
    expect(tries()).toBe(10);
    expect(await persistence.inbox?.unsent(Date.now() + 1000 * 60 * minute, 10)).toEqual([]);
  });

  it("tells nobody of what is over by then, but of how it ended those who want to know", async () => {
    const { graph, world, sweep } = office();
    world.failures = 1;
    await runThread(graph, { value: 1 }, { threadId: "quick" });
    await resumeThread(graph, "quick", { action: "retry" });
    const usual = listener("usual");
    const curious = listener("curious", { events: ["opened", "resolved"] });
    await sweep(0, [usual.channel, curious.channel]);
    expect(usual.events()).toEqual([]);
    expect(curious.events()).toEqual(["resolved"]);
  });
});

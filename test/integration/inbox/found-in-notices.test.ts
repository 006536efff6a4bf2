/** Faults of telling people that were found once: each was mended. */
import { describe, expect, it } from "vitest";
import { systemClock } from "../../../src/core/clock.js";
import type { Channel } from "../../../src/core/notice-ports.js";
import { resolveInboxItem } from "../../../src/langgraph/inbox/resolve-item.js";
import { startInboxSweep } from "../../../src/langgraph/inbox/start-sweep.js";
import { sweepInbox } from "../../../src/langgraph/inbox/sweep.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { reopened } from "../../../src/recovery/inbox-life.js";
import { warningsOf } from "../../support/warnings.js";
import { listener, minute, office } from "./world.js";

/** Ends when it is told to, and not before. */
const hanging = (onSend: () => void = () => {}): Channel["send"] => {
  return (_, signal) =>
    new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
      onSend();
    });
};

function gate(): { readonly open: () => void; readonly passed: Promise<void> } {
  let open = () => {};
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, passed };
}

describe("a notice", () => {
  it("that a sweep is kept from sending by its end is left to the next, at once and as if it had not been tried", async () => {
    const { graph, persistence, sweep, only } = office();
    await runThread(graph, { value: 1 }, { threadId: "told" });
    const stop = new AbortController();
    const quick = listener("quick");
    const slow = listener("slow", { send: hanging(() => setImmediate(() => stop.abort(new Error("stopped")))) });
    await sweepInbox(persistence, { channels: [quick.channel, slow.channel], signal: stop.signal });
    expect((await only()).notices).toMatchObject([{ event: "opened", attempts: 0, done: ["quick"] }]);
    const again = listener("slow");
    await sweep(0, [quick.channel, again.channel]);
    expect([quick.events(), again.events()]).toEqual([["opened"], ["opened"]]);
  });

  it("that is being sent is not sent by another because the question has changed", async () => {
    const { graph, persistence, sweep } = office({ levels: [{ to: "ada", deadlineMs: minute }, { to: "bob" }] });
    await runThread(graph, { value: 1 }, { threadId: "twice" });
    const [began, may] = [gate(), gate()];
    const sent: string[] = [];
    const slow = listener("mail", {
      async send({ event }) {
        sent.push(event);
        began.open();
        await may.passed;
      },
    });
    const quick = listener("mail", { send: async ({ event }) => void sent.push(event) });
    const first = sweepInbox(persistence, { channels: [slow.channel] });
    await began.passed;
    expect(await sweep(minute + 1000, [quick.channel])).toMatchObject({ escalated: 1, told: 0 });
    may.open();
    await first;
    await sweep(minute + 2000, [quick.channel]);
    expect(sent).toEqual(["opened", "escalated"]);
  });

  it("is not given up early because others of its question come and fail", async () => {
    const { graph, sweep } = office({ levels: [{ to: "ada", remindEveryMs: minute }] });
    await runThread(graph, { value: 1 }, { threadId: "patient" });
    let isAway = true;
    const told: string[] = [];
    const { channel } = listener("mail", {
      async send({ event }) {
        if (isAway) throw new Error("away");
        told.push(event);
      },
    });
    await warningsOf(async () => {
      for (let at = 0; at <= 12 * minute; at += minute / 2) await sweep(at, [channel]);
    });
    isAway = false;
    for (let at = 13; at < 40; at += 3) await sweep(at * minute, [channel]);
    expect(told.filter((event) => event === "opened")).toHaveLength(1);
  });

  it("that hangs keeps no default action waiting", async () => {
    const { graph, persistence, only } = office({ levels: [{ deadlineMs: minute }], onExpiry: { action: "abort" } });
    await runThread(graph, { value: 1 }, { threadId: "hangs" });
    const began = gate();
    const { channel } = listener("mail", { send: hanging(began.open) });
    let aheadMs = 0;
    const clock = { ...systemClock, now: () => systemClock.now() + aheadMs };
    const sweep = startInboxSweep(persistence, { graphs: { office: graph }, channels: [channel], clock, everyMs: 5 });
    await began.passed;
    aheadMs = 2 * minute;
    while ((await only()).state !== "expired") await systemClock.sleep(5);
    await sweep.stop();
  });

  it("about a reminder takes the place of those before it that nobody has sent", async () => {
    const { graph, sweep } = office({ levels: [{ to: "ada", remindEveryMs: minute }] });
    await runThread(graph, { value: 1 }, { threadId: "old" });
    for (let at = 0; at < 8; at += 1) await sweep((at + 0.5) * minute);
    const { channel, events } = listener();
    await sweep(8 * minute, [channel]);
    expect(events()).toEqual(["opened", "reminder"]);
  });

  it("of an end is dropped where the question was asked again before it could be sent", async () => {
    const { graph, world, persistence, only } = office();
    world.failures = 1;
    await runThread(graph, { value: 1 }, { threadId: "anew" });
    const { id } = await only();
    await resolveInboxItem(graph, id, { action: "retry", by: "ada" });
    const stored = await persistence.inbox?.get(id);
    if (stored === undefined) throw new Error("The question is gone");
    expect(stored.notices?.map(({ event }) => event)).toEqual(["opened", "resolved"]);
    const { item, note } = reopened(stored, Date.now());
    await persistence.inbox?.change(item, stored.version, note);
    expect((await only()).notices?.map(({ event }) => event)).toEqual(["opened"]);
  });

  it("shows what is done by default, and not with which secrets", async () => {
    const { graph, sweep } = office({
      levels: [{ to: "ada", deadlineMs: minute }],
      onExpiry: { action: "provide", result: { apiKey: "sk-abcdefghijklmnop" } },
    });
    await runThread(graph, { value: 1 }, { threadId: "secret" });
    const { channel, notices } = listener();
    await sweep(0, [channel]);
    expect(notices.map(({ item }) => item.plan)).toEqual([
      { levels: [{ to: ["ada"], deadlineMs: minute }], onExpiry: { action: "provide" } },
    ]);
  });

  it("through a channel that gives no promise counts as sent, and one that throws at once keeps no other", async () => {
    const { graph, sweep } = office();
    await runThread(graph, { value: 1 }, { threadId: "plain" });
    const bad = listener("bad", {
      send: () => {
        throw new Error("at once");
      },
    });
    const good = listener("good", { send: (() => undefined) as never });
    await warningsOf(async () =>
      expect(await sweep(0, [bad.channel, good.channel])).toMatchObject({ told: 1, untold: 1 }),
    );
  });

  it("that cannot be noted is warned of without secrets, and ends nothing", async () => {
    const { graph, persistence, items, sweep } = office();
    for (const threadId of ["one", "two"]) await runThread(graph, { value: 1 }, { threadId });
    const [first] = await items();
    const inbox = persistence.inbox;
    if (inbox === undefined) throw new Error("There is no inbox");
    const change = inbox.change.bind(inbox);
    inbox.change = async (item, ...rest) => {
      if (item.id === first?.id) throw new Error("no postgres://ada:hunter22@db/x");
      return change(item, ...rest);
    };
    const { channel, events } = listener();
    const warned = await warningsOf(async () => expect(await sweep(0, [channel])).toMatchObject({ told: 1 }));
    expect(events()).toEqual(["opened"]);
    expect(warned).toEqual([expect.stringContaining(`People could not be told of question ${first?.id}`)]);
    expect(warned.join()).not.toContain("hunter22");
  });
});

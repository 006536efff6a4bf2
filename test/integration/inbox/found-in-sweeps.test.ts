/** Faults of sweeps that were found once: each was mended. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { END, START, StateGraph } from "@langchain/langgraph";
import { describe, expect, it, vi } from "vitest";
import { systemClock } from "../../../src/core/clock.js";
import type { InboxStore } from "../../../src/core/inbox-ports.js";
import { startInboxSweep } from "../../../src/langgraph/inbox/start-sweep.js";
import { type SweepReport, sweepInbox } from "../../../src/langgraph/inbox/sweep.js";
import { installRecovery } from "../../../src/langgraph/install-recovery.js";
import { resilient } from "../../../src/langgraph/resilient.js";
import { inspectThread } from "../../../src/langgraph/threads/inspect-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { FakeClock } from "../../support/fake-clock.js";
import { LogState, once, unavailable } from "../../support/graphs.js";
import { warningsOf } from "../../support/warnings.js";
import { listener, minute, office } from "./world.js";

const soonOver = { levels: [{ deadlineMs: minute }], onExpiry: { action: "abort" } } as const;
const ahead = () => new FakeClock(Date.now() + 2 * minute);
/** For sweeps that go on: it moves as time does. */
const ticking = { ...systemClock, now: () => systemClock.now() + 2 * minute };

function inboxOf({ persistence }: Pick<ReturnType<typeof office>, "persistence">): InboxStore {
  if (persistence.inbox === undefined) throw new Error("There is no inbox");
  return persistence.inbox;
}

describe("a sweep", () => {
  it("does all default actions that are due, and not all at once", async () => {
    const made = office(soonOver);
    for (let n = 0; n < 6; n += 1) await runThread(made.graph, { value: n }, { threadId: `many ${n}` });
    let underWay = 0;
    let most = 0;
    const invoke = made.graph.invoke.bind(made.graph);
    made.graph.invoke = (async (...given: Parameters<typeof invoke>) => {
      underWay += 1;
      most = Math.max(most, underWay);
      return await invoke(...given).finally(() => {
        underWay -= 1;
      });
    }) as never;
    expect(await made.sweep(2 * minute)).toMatchObject({ expired: 6 });
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(4);
  });

  it("begins default actions while the runs of earlier ones last", async () => {
    const persistence = openPersistence("memory:");
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const failed = new Set<string>();
    const work = resilient(async (_: typeof LogState.State, { configurable }) => {
      const thread = String(configurable?.thread_id);
      if (failed.has(thread)) await gate;
      else {
        failed.add(thread);
        throw unavailable();
      }
      return { log: ["work"] };
    }, once);
    const builder = new StateGraph(LogState).addNode("work", work).addEdge(START, "work").addEdge("work", END);
    const graph = installRecovery(builder, { ...soonOver, onExpiry: { action: "retry" } }).compile({
      checkpointer: persistence.checkpointer,
      name: "long",
    });
    for (let n = 0; n < 5; n += 1) await runThread(graph, { value: n }, { threadId: `long ${n}` });
    let expired = 0;
    const sweep = startInboxSweep(persistence, {
      graphs: { long: graph },
      everyMs: 20,
      clock: ticking,
      onSwept: (report) => {
        expired += report.expired;
      },
    });
    while ((await persistence.inbox?.list({ state: "expired" }))?.length !== 5) await systemClock.sleep(10);
    const stopped = sweep.stop();
    release();
    await stopped;
    expect(expired).toBe(5);
  });

  it("leaves a default action to others when it was not heard of for longer than it had it to itself", async () => {
    const made = office(soonOver);
    await runThread(made.graph, { value: 1 }, { threadId: "stalled" });
    const clock = ahead();
    const inbox = inboxOf(made);
    const change = inbox.change.bind(inbox);
    inbox.change = async (item, version, note) => {
      const written = await change(item, version, note);
      if (note?.what === "inbox.expiring") await clock.advance(6 * minute);
      return written;
    };
    await sweepInbox(made.persistence, { graphs: { office: made.graph }, clock });
    inbox.change = change;
    expect(await made.audited()).toEqual(["inbox.opened", "inbox.expiring"]);
    expect(await made.sweep(9 * minute)).toMatchObject({ expired: 1 });
  });

  it("does the default action of a thread whose graph only the thread's record names", async () => {
    const made = office(soonOver);
    await runThread(made.graph, { value: 1 }, { threadId: "nameless" });
    const { graph: _, ...item } = await made.only();
    await inboxOf(made).change(item, 1);
    expect((await made.only()).graph).toBeUndefined();
    expect(await made.sweep(2 * minute)).toMatchObject({ expired: 1 });
  });

  it("is not ended by a graph that cannot be had, and says so once", async () => {
    const { graph, persistence, items } = office(soonOver);
    for (const name of ["bad", "good"]) await runThread(graph, { value: 1 }, { threadId: name, graphName: name });
    const { channel, events } = listener();
    const graphs = async (name: string) => {
      if (name === "bad") throw new Error("token=abcdefghijkl cannot be loaded");
      return graph;
    };
    const warned = await warningsOf(() => sweepInbox(persistence, { graphs, channels: [channel], clock: ahead() }));
    expect((await items()).map(({ graph: of, state }) => [of, state])).toEqual([
      ["bad", "pending"],
      ["good", "expired"],
    ]);
    expect(events()).toContain("opened");
    expect(warned).toEqual([expect.stringMatching(/question \w+: .* cannot be loaded/)]);
    expect(warned.join()).not.toContain("abcdefghijkl");
  });

  it("is not ended by a damaged thread", async () => {
    const made = office({ levels: [{ remindEveryMs: minute }] });
    for (const threadId of ["damaged", "sound"]) await runThread(made.graph, { value: 1 }, { threadId });
    const [damaged] = await made.items();
    const { checkpointer } = made.persistence;
    const getTuple = checkpointer.getTuple.bind(checkpointer);
    checkpointer.getTuple = async (config) => {
      if (config.configurable?.thread_id === damaged?.threadId) throw new Error("damaged");
      return getTuple(config);
    };
    const warned = await warningsOf(async () => expect(await made.sweep(2 * minute)).toMatchObject({ reminded: 1 }));
    expect(warned).toEqual([expect.stringContaining(`question ${damaged?.id}`)]);
  });

  it("leaves items of a newer version alone", async () => {
    const made = office({ levels: [{ remindEveryMs: minute }] });
    for (const threadId of ["newer", "ours"]) await runThread(made.graph, { value: 1 }, { threadId });
    const [newer] = await made.items();
    const inbox = inboxOf(made);
    const { due, unsent } = { due: inbox.due.bind(inbox), unsent: inbox.unsent.bind(inbox) };
    const as = <T extends { id: string }>(items: readonly T[]): T[] =>
      items.map((item) => (item.id === newer?.id ? { ...item, v: 2 } : item));
    inbox.due = async (now, limit) => as(await due(now, limit));
    inbox.unsent = async (now, limit) => as(await unsent(now, limit));
    const { channel, notices } = listener();
    const warned = await warningsOf(async () =>
      expect(await made.sweep(2 * minute, [channel])).toMatchObject({ reminded: 1, told: 2 }),
    );
    expect(notices.map(({ item }) => item.id)).not.toContain(newer?.id);
    expect(warned).toEqual([]);
  });

  it("looks at few of the threads whose default actions are for others", async () => {
    const made = office(soonOver);
    await runThread(made.graph, { value: 1 }, { threadId: "model", graphName: "unknown" });
    const model = await made.only();
    const inbox = inboxOf(made);
    for (let n = 0; n < 120; n += 1)
      await inbox.open({ ...model, id: `copy ${n}`, threadId: `t${n}`, dueAt: 1, sweepAt: 1 });
    await runThread(made.graph, { value: 1 }, { threadId: "mine" });
    let looks = 0;
    const { checkpointer, threads } = made.persistence;
    const [getTuple, get] = [checkpointer.getTuple.bind(checkpointer), threads.get.bind(threads)];
    checkpointer.getTuple = (config) => {
      if (String(config.configurable?.thread_id).startsWith("t")) looks += 1;
      return getTuple(config);
    };
    threads.get = (id) => {
      looks += 1;
      return get(id);
    };
    expect(await made.sweep(2 * minute)).toMatchObject({ expired: 1 });
    expect(looks).toBeGreaterThan(0);
    expect(looks).toBeLessThan(60);
  });

  it.each(["has its graph found", "looks at its thread"])(
    "that is stopped while it %s does not answer a question",
    async (when) => {
      const { graph, persistence, audited } = office({ ...soonOver, onExpiry: { action: "retry" } });
      await runThread(graph, { value: 1 }, { threadId: "stopped" });
      const stop = new AbortController();
      const { checkpointer } = persistence;
      const getTuple = checkpointer.getTuple.bind(checkpointer);
      checkpointer.getTuple = async (config) => {
        const found = await getTuple(config);
        if (when === "looks at its thread") stop.abort(new Error("enough"));
        return found;
      };
      const graphs = async () => {
        if (when === "has its graph found") stop.abort(new Error("enough"));
        return graph;
      };
      await sweepInbox(persistence, { graphs, signal: stop.signal, clock: ahead() });
      expect(stop.signal.aborted).toBe(true);
      expect((await inspectThread(graph, "stopped")).status).toBe("waiting_human");
      expect(await audited()).toEqual(["inbox.opened"]);
    },
  );
});

describe("a sweep that goes on", () => {
  it("reports default actions and messages too", async () => {
    const { graph, persistence } = office(soonOver);
    await runThread(graph, { value: 1 }, { threadId: "heard" });
    const reports: SweepReport[] = [];
    const all = (what: keyof SweepReport) => reports.reduce((sum, report) => sum + report[what], 0);
    const sweep = startInboxSweep(persistence, {
      graphs: { office: graph },
      channels: [listener("mail", { events: ["expired"] }).channel],
      everyMs: 5,
      clock: ticking,
      onSwept: (report) => {
        reports.push(report);
        throw new Error("of no matter to the sweep");
      },
    });
    await warningsOf(async () => {
      while (all("told") === 0) await systemClock.sleep(5);
      await sweep.stop();
    });
    expect([all("expired"), all("told")]).toEqual([1, 1]);
  });

  it("is refused by a persistence that is closed", async () => {
    const { persistence } = office();
    await persistence.close();
    expect(() => startInboxSweep(persistence)).toThrow(/memory of this process .* was closed/);
  });

  it("ends with its persistence, also where that never reached its database", async () => {
    const pool = { connect: () => Promise.reject(new Error("nobody there")), end: async () => {}, on: () => undefined };
    const persistence = openPersistence({ pool: pool as never });
    const warned = await warningsOf(async () => {
      const failed = new Promise<void>((resolve) => {
        vi.mocked(process.emitWarning).mockImplementationOnce(() => resolve());
      });
      const sweep = startInboxSweep(persistence, { everyMs: 60_000 });
      await failed;
      await persistence.close();
      persistence.events.emit("human.requested", {}, { interventionId: "none", failedNode: "none" });
      await systemClock.sleep(5);
      await sweep.stop();
    });
    expect(warned).toEqual(["A sweep of the inbox failed: nobody there"]);
  });

  it("that was stopped is forgotten by its persistence", async () => {
    const { persistence } = office();
    const stopped: WeakRef<object>[] = [];
    const startAndStop = async () => {
      const sweep = startInboxSweep(persistence, { everyMs: 60_000 });
      stopped.push(new WeakRef(sweep.stop));
      await sweep.stop();
    };
    for (let n = 0; n < 3; n += 1) await startAndStop();
    setFlagsFromString("--expose-gc");
    const collectGarbage = runInNewContext("gc") as () => void;
    const isKept = () => stopped.some((stop) => stop.deref() !== undefined);
    for (let n = 0; n < 50 && isKept(); n += 1) {
      // What was looked at through a WeakRef stays until the end of the turn.
      await systemClock.sleep(1);
      collectGarbage();
    }
    expect(isKept()).toBe(false);
    expect(persistence.description).toContain("memory");
  });
});

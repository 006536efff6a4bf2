/** A rollback of all threads of a graph that something faulty has touched. */
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { beforeEach, describe, expect, it } from "vitest";
import { installRecovery } from "../../../src/langgraph/install-recovery.js";
import { resilient } from "../../../src/langgraph/resilient.js";
import { planRollback, rollback } from "../../../src/langgraph/rollback/rollback.js";
import type { SystemRollbackOptions } from "../../../src/langgraph/rollback/system.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import type { RolledBackThread } from "../../../src/recovery/system-rollback.js";
import { newDeeds } from "./deeds.js";
import { fault, stores } from "./world.js";

const State = Annotation.Root({
  kind: Annotation<string>(),
  done: Annotation<string[]>({ reducer: (a, b) => a.concat(b), default: () => [] }),
});
type S = typeof State.State;

const deeds = newDeeds();
const { log, failNext } = deeds;
const order = deeds.deed("order");
let inFlight = 0;
let mostInFlight = 0;
const charge = deeds.deed("charge", {
  compensate: async () => {
    inFlight += 1;
    mostInFlight = Math.max(mostInFlight, inFlight);
    await new Promise((resolve) => setImmediate(resolve));
    inFlight -= 1;
    deeds.happen("undo charge");
  },
});
const letter = deeds.deed("letter", { kind: "irreversible", compensate: undefined });

describe.each(stores)("all threads that were touched (%s)", (_, open) => {
  const { persistence } = open();
  beforeEach(deeds.reset);

  /** Orders; and charges unless it is a gift; and writes where it is asked to. */
  const shop = (name = "shop") => {
    const does = (node: string, effect: typeof order) =>
      resilient(
        async (_: S, config) => {
          await effect({}, config);
          return { done: [node] };
        },
        { retry: false },
      );
    const builder = new StateGraph(State)
      .addNode("order", does("order", order))
      .addNode("charge", does("charge", charge))
      .addNode("letter", does("letter", letter))
      .addEdge(START, "order")
      .addConditionalEdges("order", ({ kind }) => (kind === "gift" ? END : "charge"), ["charge", END])
      .addConditionalEdges("charge", ({ kind }) => (kind === "letter" ? "letter" : END), ["letter", END])
      .addEdge("letter", END);
    installRecovery(builder);
    return builder.compile({ checkpointer: persistence().checkpointer, name });
  };
  const charged = { scope: "system", touched: { effect: "charge" }, since: 0 } as const;

  it("are taken back, each to before it was, and the others stay", async () => {
    const graph = shop();
    for (const thread of ["a", "b"]) await runThread(graph, {}, { threadId: thread });
    await runThread(graph, { kind: "gift" }, { threadId: "gift" });
    await runThread(shop("other"), {}, { threadId: "of another graph" });
    const plan = await planRollback(graph, charged);
    expect(plan).toMatchObject({ looked: 3 });
    expect(plan.threads.map(({ name }) => name).toSorted()).toEqual(["a", "b"]);
    expect(plan.threads[0]).toMatchObject({ plan: { target: { next: ["charge"] }, undo: [{ effect: "charge" }] } });
    const seen: string[] = [];
    const onThread: SystemRollbackOptions["onThread"] = (thread, { done, of }) =>
      seen.push(`${done}/${of} ${thread?.outcome ?? "untouched"}`);
    const report = await rollback(graph, { ...charged, onThread, by: "ada" });
    expect(report).toMatchObject({
      looked: 3,
      left: 0,
      counts: { done: 2, incomplete: 0, refused: 0, busy: 0, failed: 0 },
    });
    expect(seen).toHaveLength(3);
    expect(seen.at(-1)).toMatch(/^3\/3/);
    expect(log.filter((what) => what === "undo charge")).toHaveLength(2);
    // Done again there is nothing left to do.
    expect(await rollback(graph, charged)).toMatchObject({ threads: [] });
    expect(await resumeThread(graph, "a")).toMatchObject({ status: "succeeded" });
  });

  it("are those since then, by a node too", async () => {
    const graph = shop();
    await runThread(graph, {}, { threadId: "before" });
    const since = new Date(Date.now() + 1);
    while (Date.now() <= since.getTime()) await new Promise((resolve) => setImmediate(resolve));
    await runThread(graph, {}, { threadId: "after" });
    await runThread(graph, { kind: "gift" }, { threadId: "gift" });
    for (const touched of [{ effect: "charge" }, { node: "charge" }]) {
      const { threads } = await planRollback(graph, { scope: "system", touched, since });
      expect(threads.map(({ name }) => name)).toEqual(["after"]);
    }
    expect(
      await rollback(graph, { scope: "system", touched: { node: "charge" }, since: since.toISOString() }),
    ).toMatchObject({
      counts: { done: 1 },
    });
    expect(await rollback(graph, { scope: "system", touched: { node: "charge" }, since })).toMatchObject({
      threads: [],
    });
  });

  it("that cannot be are said to be, and why, and do not keep the others from it", async () => {
    const graph = shop();
    for (const [thread, kind] of [
      ["plain", ""],
      ["letter", "letter"],
      ["stubborn", ""],
    ] as const)
      await runThread(graph, { kind }, { threadId: thread });
    failNext("undo charge", fault("not refundable", { status: 422 }));
    const report = await rollback(graph, { ...charged, concurrency: 1 });
    expect(report.counts).toEqual({ done: 1, incomplete: 1, refused: 1, busy: 0, failed: 0 });
    const refused = report.threads.find(({ outcome }) => outcome === "refused") as RolledBackThread;
    expect(refused).toMatchObject({
      name: "letter",
      code: "ROLLBACK_REFUSED",
      why: expect.stringContaining('"letter"'),
    });
    const again = await rollback(graph, { ...charged, acceptStanding: true });
    // One that was to be finished, and one of which it is agreed now that something stays.
    expect(again.counts).toMatchObject({ done: 2 });
    expect(log.filter((what) => what === "undo charge")).toHaveLength(3);
  });

  it("are so many at a time, and no more once it is told to stop", async () => {
    const graph = shop();
    mostInFlight = 0;
    for (let n = 0; n < 12; n += 1) await runThread(graph, {}, { threadId: `${n}` });
    const stop = new AbortController();
    const onThread: SystemRollbackOptions["onThread"] = (_, { done }) => {
      if (done === 4) stop.abort(new Error("enough"));
    };
    const report = await rollback(graph, { ...charged, concurrency: 3, onThread, signal: stop.signal });
    expect(report.left).toBeGreaterThan(3);
    expect(report.counts.done + report.counts.failed + report.left).toBe(12);
    const rest = await rollback(graph, { ...charged, concurrency: 3 });
    expect(report.counts.done + rest.counts.done).toBe(12);
    expect(mostInFlight).toBeLessThanOrEqual(3);
  });

  it("have to be known: what touched them, since when, and of which graph", async () => {
    const graph = shop();
    for (const wrong of [
      { touched: {} },
      { since: "yesterday" },
      { touched: { effect: "a", node: "b" } },
      { concurrency: 0 },
    ])
      await expect(rollback(graph, { ...charged, ...wrong } as never)).rejects.toMatchObject({ code: "CONFIG" });
    const nameless = new StateGraph(State)
      .addNode("order", async () => ({}))
      .addEdge(START, "order")
      .compile({ checkpointer: persistence().checkpointer });
    await expect(rollback(nameless, charged)).rejects.toThrow(/no name/);
  });
});

/** What was wrong with rollbacks once. */
import { setTimeout as pause } from "node:timers/promises";
import { GraphInterrupt, interrupt, MemorySaver, START, StateGraph } from "@langchain/langgraph";
import { beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { onCrashPoint } from "../../../src/core/crash-points.js";
import { checkpointBarrier } from "../../../src/langgraph/checkpoint-barrier.js";
import { defineEffect } from "../../../src/langgraph/effects/define-effect.js";
import { installRecovery } from "../../../src/langgraph/install-recovery.js";
import { resilient } from "../../../src/langgraph/resilient.js";
import { planRollback, rollback } from "../../../src/langgraph/rollback/rollback.js";
import { inspectThread } from "../../../src/langgraph/threads/inspect-thread.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { doing, newDeeds, type S, State } from "./deeds.js";
import { fault, mostlyMemory } from "./world.js";

const deeds = newDeeds();
const { log, failNext } = deeds;
const letter = deeds.deed("letter", { kind: "irreversible", compensate: undefined });
const memo = deeds.deed("memo", { onFork: "rerun" });

/** Its first call takes longer than it may, and happens all the same. */
function slowDeed(name: string) {
  const did: string[] = [];
  let hangs = true;
  const slow = defineEffect({
    name,
    kind: "reversible",
    input: z.object({}),
    output: z.object({ of: z.string() }),
    timeout: { baseMs: 40 },
    run: async (_, { idempotencyKey }) => {
      if (hangs) {
        hangs = false;
        await pause(250);
      }
      did.push(idempotencyKey);
      return { of: idempotencyKey };
    },
    probe: (_, { idempotencyKey }) =>
      did.includes(idempotencyKey) ? { happened: true, receipt: { of: idempotencyKey } } : { happened: false },
    compensate: ({ of }) => void did.push(`undo ${of}`),
  });
  return { did, slow };
}

describe.each(mostlyMemory)("a rollback (%s)", (_store, open) => {
  const { persistence } = open();
  beforeEach(deeds.reset);

  const { does, breakNext, breakBefore, chain, declined, effects } = doing(deeds, persistence);
  const count = (what: string) => log.filter((one) => one === what).length;
  const idsOf = async (graph: ReturnType<typeof chain>, threadId: string) => {
    const all = [];
    for await (const one of graph.getStateHistory({ configurable: { thread_id: threadId } })) all.push(one);
    return all;
  };

  it("what a step did after a person had it tried again is undone when the thread goes back before that node", async () => {
    const graph = chain({ order: does("order"), charge: does("charge"), ship: does("ship") });
    breakBefore("charge");
    await runThread(graph, {}, { threadId: "t" });
    await resumeThread(graph, "t", { action: "retry" });
    expect(log).toEqual(["order", "charge", "ship"]);
    const report = await rollback(graph, "t", { to: { before: "charge" } });
    expect(report.undone.map(({ effect }) => effect)).toEqual(["ship", "charge"]);
  });

  it("also by an automatic rollback of its transaction, where the node begins that", async () => {
    const graph = chain({
      charge: does("charge", { transaction: { name: "sale", begins: true } }),
      ship: does("ship", { transaction: "sale", rollback: { scope: "transaction" } }),
    });
    breakBefore("charge");
    await runThread(graph, {}, { threadId: "t" });
    breakNext("ship");
    expect(await resumeThread(graph, "t", { action: "retry" })).toMatchObject({ status: "succeeded" });
    expect(log).toEqual(["charge", "ship", "undo ship", "undo charge", "charge", "ship"]);
  });

  it("and with so many steps back, without a refusal of what is irreversible being passed over", async () => {
    const graph = chain({ order: does("order"), write: does("write", {}, letter), ship: does("ship") });
    breakBefore("write");
    await runThread(graph, {}, { threadId: "t" });
    await resumeThread(graph, "t", { action: "retry" });
    await expect(rollback(graph, "t", { to: { before: "write" } })).rejects.toMatchObject({ code: "ROLLBACK_REFUSED" });
  });

  it("what stayed at a rollback of a transaction is undone by a later one that goes further back", async () => {
    const graph = chain({
      order: does("order"),
      charge: does("charge", { transaction: "sale" }),
      note: does("note"),
      ship: does("ship", { transaction: "sale" }),
    });
    await runThread(graph, {}, { threadId: "t" });
    await rollback(graph, "t", { scope: "transaction" });
    await resumeThread(graph, "t");
    expect(count("note")).toBe(1);
    await rollback(graph, "t", { scope: "process" });
    expect(log.filter((what) => what.includes("note"))).toEqual(["note", "undo note"]);
  });

  it("what stayed in the world because somebody said so is named, and refused, by the next rollback", async () => {
    const graph = chain({ order: does("order"), write: does("write", {}, letter) });
    await runThread(graph, {}, { threadId: "t" });
    await rollback(graph, "t", { to: { before: "order" }, acceptStanding: true });
    await resumeThread(graph, "t");
    expect((await planRollback(graph, "t", { to: { before: "order" } })).stays).toHaveLength(1);
    await expect(rollback(graph, "t", { to: { before: "order" } })).rejects.toMatchObject({ code: "ROLLBACK_REFUSED" });
  });

  it("a thread that stands on an effect of a faulty service is found, though a rollback of a transaction came between", async () => {
    const graph = chain(
      {
        charge: does("charge", { transaction: "sale" }),
        note: does("note"),
        ship: does("ship", { transaction: "sale" }),
      },
      {},
      { name: "b3" },
    );
    await runThread(graph, {}, { threadId: "t" });
    await rollback(graph, "t", { scope: "transaction" });
    await resumeThread(graph, "t");
    const plan = await planRollback(graph, { scope: "system", touched: { effect: "note" }, since: 0 });
    expect(plan.threads).toHaveLength(1);
  });

  it("what others did within a transaction is not done again, whatever onFork says", async () => {
    const graph = chain({
      charge: does("charge", { transaction: "sale" }),
      note: does("memo", {}, memo),
      ship: does("ship", { transaction: "sale", rollback: { scope: "transaction" } }),
    });
    breakNext("ship");
    await runThread(graph, {}, { threadId: "t" });
    expect(count("memo") - count("undo memo")).toBe(1);
  });

  it("an effect that was undone is done anew, though another branch had taken over its receipt", async () => {
    const graph = chain({ order: does("order"), charge: does("charge"), ship: does("ship") });
    const { threadId } = await runThread(graph, {}, { threadId: "t" });
    const history = await idsOf(graph, threadId);
    const at = (node: string) =>
      String(history.find(({ next }) => next[0] === node)?.config.configurable?.checkpoint_id);
    await resumeThread(graph, "t", undefined, { from: at("charge") });
    expect(log).toEqual(["order", "charge", "ship"]);
    // Back to the first branch, and there before the charge.
    await resumeThread(graph, "t", undefined, { from: at("ship") });
    await rollback(graph, "t", { to: { before: "charge" } });
    expect(count("undo charge")).toBe(1);
    expect((await resumeThread(graph, "t")).status).toBe("succeeded");
    expect(count("charge")).toBe(2);
  });

  it("a cached answer does not stand in for an effect that was undone", async () => {
    const graph = chain({
      charge: does("charge", { cache: { ttlMs: 60_000 } }),
      ship: does("ship", { rollback: { scope: "process" } }),
    });
    breakNext("ship");
    expect(await runThread(graph, {}, { threadId: "t" })).toMatchObject({ status: "succeeded" });
    expect(count("undo charge")).toBe(1);
    expect(count("charge")).toBe(2);
  });

  it("a rollback to the last barrier undoes what the failed node did, though the superstep of its question is a barrier", async () => {
    const graph = chain(
      { order: does("order"), ship: does("ship", { rollback: { scope: "session" } }) },
      { barrierEvery: 1 },
    );
    breakNext("ship");
    const result = await runThread(graph, {}, { threadId: "t" });
    expect(log).toEqual(["order", "ship", "undo ship", "ship"]);
    expect(result.status).toBe("succeeded");
  });

  it("though a barrier was passed beside it", async () => {
    const builder = new StateGraph(State)
      .addNode("order", does("order"))
      .addNode("ship", does("ship", { rollback: { scope: "session" } }))
      .addNode("paid", checkpointBarrier("paid"))
      .addEdge(START, "order")
      .addEdge("order", "ship")
      .addEdge("order", "paid");
    installRecovery(builder);
    const graph = builder.compile({ checkpointer: persistence().checkpointer });
    breakNext("ship");
    const result = await runThread(graph, {}, { threadId: "t" });
    expect(log).toContain("undo ship");
    expect(result.status).toBe("succeeded");
  });

  describe("a person's decision", () => {
    const asked = async () => {
      const graph = chain({
        order: does("order"),
        charge: does("charge", { transaction: "sale" }),
        ship: does("ship", { transaction: "sale" }),
      });
      breakNext("ship");
      await runThread(graph, {}, { threadId: "t" });
      return graph;
    };
    it("to go back to a place, beside a scope that has none, is refused and not widened to the whole run", async () => {
      const graph = await asked();
      await resumeThread(graph, "t", { action: "rollback", scope: "process", to: { before: "charge" } }).catch(
        () => {},
      );
      expect(count("undo order")).toBe(0);
    });
    it("to go back to a place, beside scope step, is refused and not dropped", async () => {
      const graph = await asked();
      await expect(
        resumeThread(graph, "t", { action: "rollback", scope: "step", to: { before: "charge" } }),
      ).rejects.toMatchObject({ code: "DECISION_REFUSED" });
    });
    it("with a transaction alone is of that transaction, or refused", async () => {
      const graph = await asked();
      const result = await resumeThread(graph, "t", { action: "rollback", transaction: "sale" }).catch(() => undefined);
      expect(result === undefined || count("undo charge") === 1).toBe(true);
    });
  });

  it("another target than that of an unfinished rollback is refused, and not taken for it", async () => {
    const graph = chain({ order: does("order"), charge: does("charge"), ship: does("ship") });
    await runThread(graph, {}, { threadId: "t" });
    failNext("undo ship", declined, 9);
    await rollback(graph, "t", { to: { before: "order" } });
    deeds.failing.clear();
    const report = await rollback(graph, "t", { to: { before: "ship" } }).catch(() => undefined);
    expect(report?.target.next ?? ["ship"]).toEqual(["ship"]);
  });

  it("another step than that of an unfinished rollback is refused, and not taken for it", async () => {
    const builder = new StateGraph(State)
      .addNode("charge", does("charge"))
      .addNode("stock", does("stock"))
      .addEdge(START, "charge")
      .addEdge(START, "stock");
    installRecovery(builder);
    const graph = builder.compile({ checkpointer: persistence().checkpointer });
    breakNext("charge");
    breakNext("stock");
    await runThread(graph, {}, { threadId: "t" });
    failNext("undo charge", declined, 9);
    expect((await rollback(graph, "t", { scope: "step", step: "charge" })).outcome).toBe("incomplete");
    deeds.failing.clear();
    const report = await rollback(graph, "t", { scope: "step", step: "stock" }).catch(() => undefined);
    expect(report === undefined || report.undone.some(({ effect }) => effect === "stock")).toBe(true);
  });

  it("what may still be under way is waited for before it is looked up, and not done twice", async () => {
    const { did, slow } = slowDeed("slow");
    const graph = chain({ slow: does("slow", { rollback: { scope: "step" } }, slow as never) });
    const result = await runThread(graph, {}, { threadId: "t" });
    await pause(400);
    expect({ status: result.status, did }).toMatchObject({ status: "succeeded" });
    const keys = did.filter((what) => !what.startsWith("undo"));
    expect(keys.length - (did.length - keys.length)).toBe(1);
  });

  it("what was done last is undone first, also where it was asked for earlier and refused then", async () => {
    const graph = chain({
      pay: resilient(
        async (_: S, config) => {
          await effects
            .get("charge")?.({}, config)
            .catch(() => {});
          await effects.get("stock")?.({}, config);
          await effects.get("charge")?.({}, config);
          return {};
        },
        { retry: false },
      ),
    });
    failNext("charge", declined);
    await runThread(graph, {}, { threadId: "t" });
    expect(log).toEqual(["stock", "charge"]);
    await rollback(graph, "t", { scope: "process" });
    expect(log.slice(2)).toEqual(["undo charge", "undo stock"]);
  });

  it("the suggestion is one of the actions that are offered", async () => {
    const graph = chain({ ship: does("ship", { rollback: { scope: "process" } }) }, { actions: ["retry", "abort"] });
    breakNext("ship");
    await graph.invoke({}, { configurable: { thread_id: "t" } });
    const request = (await inspectThread(graph, "t")).waitingFor[0]?.request;
    expect(request?.actions.map(({ action }) => action)).toContain(request?.suggestion.action);
  });

  it("the suggested rollback of a declared transaction can be made as it is suggested", async () => {
    const graph = chain({
      order: does("order", { transaction: "other" }),
      ship: does("ship", { transaction: "sale", rollback: { scope: "transaction" } }),
    });
    breakNext("ship");
    await graph.invoke({}, { configurable: { thread_id: "t" } });
    const request = (await inspectThread(graph, "t")).waitingFor[0]?.request;
    expect(request?.resumeCommand).toContain("--action rollback --scope transaction --transaction sale");
  });

  it("nor does the scope it names alone do it", async () => {
    const graph = chain({
      order: does("order", { transaction: "other" }),
      ship: does("ship", { transaction: "sale", rollback: { scope: "transaction" } }),
    });
    breakNext("ship");
    await graph.invoke({}, { configurable: { thread_id: "t" } });
    expect(await resumeThread(graph, "t", { action: "rollback", scope: "transaction" })).toMatchObject({
      status: "succeeded",
    });
  });

  it("without a ledger a person is asked", async () => {
    const builder = new StateGraph(State)
      .addNode("ship", does("nothing", { rollback: { scope: "process" } }))
      .addEdge(START, "ship");
    installRecovery(builder);
    const graph = builder.compile({ checkpointer: new MemorySaver() });
    breakNext("nothing", 2);
    const result = await runThread(graph, {}, { threadId: "t" });
    expect(result.status, String(result.error)).toBe("waiting_human");
  });

  it("why an automatic rollback was not made is shown without the secrets in it", async () => {
    const graph = chain({ order: does("order"), ship: does("ship", { rollback: { scope: "process" } }) });
    breakNext("ship");
    failNext("undo ship", fault("refused: Authorization: Bearer abcdef123456789", { status: 402 }), 9);
    const result = await runThread(graph, {}, { threadId: "t" });
    expect(result.status).toBe("waiting_human");
    expect(JSON.stringify(result.waitingFor[0]?.request)).not.toContain("abcdef123456789");
  });

  it("nor of a step", async () => {
    const graph = chain({ ship: does("ship", { rollback: { scope: "step" } }) });
    breakNext("ship");
    failNext("undo ship", fault("refused: Authorization: Bearer abcdef123456789", { status: 402 }), 9);
    const result = await runThread(graph, {}, { threadId: "t" });
    expect(JSON.stringify(result.waitingFor[0]?.request)).not.toContain("abcdef123456789");
  });

  it("an automatic rollback of a step is in the audit log like any other", async () => {
    const graph = chain({ ship: does("ship", { rollback: { scope: "step" } }) });
    breakNext("ship");
    const { threadId } = await runThread(graph, {}, { threadId: "audited alone" });
    const entries = (await persistence().audit?.list({ threadId })) ?? [];
    expect(entries.map(({ what }) => what)).toContain("rollback.done");
  });

  it("a compensation that interrupts does not strand the question or the thread (step)", async () => {
    const odd = deeds.deed("odd", {
      compensate: () => {
        interrupt("really?");
        deeds.happen("undo odd");
      },
    });
    const graph = chain({ ship: does("ship", { rollback: { scope: "step" } }, odd) });
    breakNext("ship");
    const first = await runThread(graph, {}, { threadId: "t" });
    expect(first.status).toBe("waiting_human");
    expect(first.waitingFor[0]?.request).toBeDefined();
  });

  it("told to stop while it takes the thread back, a run is drained and recorded as such", async () => {
    const stop = new AbortController();
    const halting = deeds.deed("halting", { compensate: () => stop.abort(new Error("deploy")) });
    const graph = chain({ order: does("order"), ship: does("ship", { rollback: { scope: "process" } }, halting) });
    breakNext("ship");
    const result = await runThread(graph, {}, { threadId: "t", signal: stop.signal });
    expect(result.status, String(result.error)).toBe("drained");
  });

  it("no more often in one run than max says, though another node's rollback went further back between", async () => {
    const graph = chain({
      order: does("order"),
      paid: checkpointBarrier("paid"),
      charge: does("charge", { rollback: { scope: "session" } }),
      ship: does("ship", { rollback: { scope: "process" } }),
    });
    // charge fails and is taken back to the barrier; then ship fails and all is taken back; then charge fails again.
    deeds.failing.set("charge!", [declined, undefined as never, declined]);
    breakNext("ship");
    const { status } = await runThread(graph, {}, { threadId: "t" });
    expect({ status, log }).toMatchObject({ status: "waiting_human" });
  });

  it("two nodes of the same name in different graphs are counted each for itself", async () => {
    const inner = new StateGraph(State)
      .addNode("ship", does("stock", { rollback: { scope: "process" } }))
      .addEdge(START, "ship");
    installRecovery(inner);
    const builder = new StateGraph(State)
      .addNode("inner", inner.compile())
      .addNode("ship", does("ship", { rollback: { scope: "process" } }))
      .addEdge(START, "inner")
      .addEdge("inner", "ship");
    installRecovery(builder);
    const graph = builder.compile({ checkpointer: persistence().checkpointer });
    breakNext("stock");
    breakNext("ship");
    expect(await runThread(graph, {}, { threadId: "t" })).toMatchObject({ status: "succeeded" });
  });

  it("an undoing whose answer was lost is asked for by undone before it is made again", async () => {
    let refunds = 0;
    const pay = deeds.deed("pay-w1", {
      compensate: () => {
        refunds += 1;
        if (refunds === 1) throw fault("internal error", { status: 500 });
      },
      undone: () => refunds > 0,
    });
    const graph = chain({ pay: does("pay", {}, pay) });
    await runThread(graph, {}, { threadId: "t" });
    await rollback(graph, "t", { scope: "process" });
    expect(refunds).toBe(1);
  });

  it("also where it had failed for good, and the rollback is called again", async () => {
    let refunds = 0;
    const pay = deeds.deed("pay-w2", {
      compensate: () => {
        refunds += 1;
        throw fault("socket hang up after it", { status: 422 });
      },
      undone: () => refunds > 0,
    });
    const graph = chain({ pay: does("pay", {}, pay) });
    await runThread(graph, {}, { threadId: "t" });
    expect((await rollback(graph, "t", { scope: "process" })).outcome).toBe("incomplete");
    await rollback(graph, "t");
    expect(refunds).toBe(1);
  });

  it("a step whose result is stored is not undone by scope step, for it is not run again", async () => {
    const graph = chain({ order: does("order"), charge: does("charge") });
    let saw = false;
    onCrashPoint((point) => {
      if (log.includes("charge") && point === "checkpoint.put.before") saw = true;
      if (saw && !point.startsWith("locks.")) throw fault(`died at ${point}`, { code: "CANCELLED" });
    });
    await runThread(graph, {}, { threadId: "t", lock: false }).catch(() => {});
    onCrashPoint(undefined);
    await rollback(graph, "t", { scope: "step" }).catch(() => {});
    await resumeThread(graph, "t");
    expect(count("charge") - count("undo charge")).toBe(1);
  });

  it("commands in error texts can be typed as they are, whatever the thread is called", async () => {
    const graph = chain({ ship: does("ship") });
    await runThread(graph, {}, { threadId: "order 17; ls" });
    failNext("undo ship", declined, 9);
    await rollback(graph, "order 17; ls", { scope: "process" });
    const error = await resumeThread(graph, "order 17; ls").catch((thrown) => thrown);
    expect(error.message).toContain("lgr rollback 'order 17; ls'");
  });

  it("scope step does not undo what a subgraph has finished and does not run again", async () => {
    const inner = new StateGraph(State)
      .addNode("charge", does("charge"))
      .addNode("stock", does("stock"))
      .addEdge(START, "charge")
      .addEdge("charge", "stock");
    const builder = new StateGraph(State)
      .addNode("order", does("order"))
      .addNode("inner", inner.compile())
      .addEdge(START, "order")
      .addEdge("order", "inner");
    const graph = builder.compile({ checkpointer: persistence().checkpointer });
    breakNext("stock");
    expect((await runThread(graph, {}, { threadId: "t" })).status).toBe("failed");
    await rollback(graph, "t", { scope: "step" });
    expect((await resumeThread(graph, "t")).status).toBe("succeeded");
    for (const name of ["charge", "stock"]) expect(count(name) - count(`undo ${name}`), name).toBe(1);
  });

  it("an unfinished rollback can be finished or dropped, though the thread was forked beside it", async () => {
    const graph = chain({ order: does("order"), charge: does("charge"), ship: does("ship") });
    const { threadId } = await runThread(graph, {}, { threadId: "t" });
    failNext("undo ship", declined, 9);
    await rollback(graph, "t", { to: { before: "ship" } });
    deeds.failing.clear();
    const early = (await idsOf(graph, threadId)).find(({ next }) => next[0] === "charge");
    // As from Studio.
    await graph.updateState(early?.config as never, { done: ["by hand"] });
    const outcome = await rollback(graph, "t").then(
      (report) => report.outcome,
      (error) => error.message,
    );
    expect(outcome).toBe("done");
  });

  it("finishing a rollback whose thread somebody has moved meanwhile takes that back too", async () => {
    const graph = chain({ order: does("order"), charge: does("charge"), ship: does("ship") });
    const { threadId } = await runThread(graph, {}, { threadId: "t" });
    failNext("undo ship", declined, 9);
    await rollback(graph, "t", { to: { before: "ship" } });
    deeds.failing.clear();
    await graph.updateState({ configurable: { thread_id: threadId } }, { done: ["by hand"] });
    const report = await rollback(graph, "t");
    const { next } = await graph.getState({ configurable: { thread_id: threadId } });
    expect({ outcome: report.outcome, next }).toEqual({ outcome: "done", next: ["ship"] });
  });

  it("a request stays small, whatever the step has done", async () => {
    const piece = defineEffect({
      name: "bit",
      kind: "reversible",
      input: z.object({ n: z.number() }),
      output: z.object({ n: z.number() }),
      run: ({ n }) => ({ n }),
      compensate: () => {},
    });
    const graph = chain({
      many: resilient(
        async (_: S, config) => {
          for (let n = 0; n < 300; n += 1) await piece({ n }, config);
          throw fault("broken", { status: 403 });
        },
        { retry: false },
      ),
    });
    const result = await runThread(graph, {}, { threadId: "t" });
    expect(JSON.stringify(result.waitingFor[0]?.request).length).toBeLessThan(20_000);
  }, 60_000);

  it("a person's rollback, too, waits for what is under way", async () => {
    const { did, slow } = slowDeed("slow3");
    const graph = chain({ slow: does("slow", {}, slow as never) });
    await runThread(graph, {}, { threadId: "t" });
    await rollback(graph, "t", { scope: "process" });
    await pause(400);
    // It was said to be taken back.
    expect(did.filter((what) => !what.startsWith("undo")).length).toBe(
      did.filter((what) => what.startsWith("undo")).length,
    );
  });

  it("a compensation that throws control flow is one that failed, and does not keep the others from being undone", async () => {
    const odd = deeds.deed("odd4", {
      compensate: () => {
        throw new GraphInterrupt([{ value: "really?" }]);
      },
    });
    const graph = chain({ order: does("order"), ship: does("ship", {}, odd) });
    await runThread(graph, {}, { threadId: "t" });
    expect(await rollback(graph, "t", { scope: "process" })).toMatchObject({
      outcome: "incomplete",
      undone: [{ effect: "order" }],
    });
  });

  it("nobody is said to be asked while the rollback that was declared is still to be made", async () => {
    const graph = chain({ ship: does("ship", { rollback: { scope: "process" } }) });
    breakNext("ship");
    const told: string[] = [];
    const onEvent = (event: { type: string; outcome?: unknown }) =>
      void told.push(`${event.type} ${event.outcome ?? ""}`.trim());
    expect((await runThread(graph, {}, { threadId: "t", onEvent: onEvent as never })).status).toBe("succeeded");
    expect(told.filter((what) => what.startsWith("human.requested") || what === "run.finished waiting_human")).toEqual(
      [],
    );
  });
});

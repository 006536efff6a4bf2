/** How far a rollback goes: a step, a named transaction, a run, a thread; asked for, declared, or decided by a person. */
import { Command, END, START, StateGraph } from "@langchain/langgraph";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { onCrashPoint } from "../../../src/core/crash-points.js";
import type { ResilienceEvent } from "../../../src/core/events.js";
import { checkpointBarrier } from "../../../src/langgraph/checkpoint-barrier.js";
import { listEffects, settleEffect } from "../../../src/langgraph/effects/ledger-of-thread.js";
import { installRecovery } from "../../../src/langgraph/install-recovery.js";
import { resilient } from "../../../src/langgraph/resilient.js";
import { planRollback, rollback } from "../../../src/langgraph/rollback/rollback.js";
import { inspectThread } from "../../../src/langgraph/threads/inspect-thread.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { thorough } from "../../support/depth.js";
import { doing, newDeeds, type S, State } from "./deeds.js";
import { fault, mostlyMemory } from "./world.js";

const deeds = newDeeds();
const { log, failNext } = deeds;
const letter = deeds.deed("letter", { kind: "irreversible", compensate: undefined });
/** As something that nothing could have come of. */
const away = fault("nobody there", { code: "ECONNREFUSED" });

describe.each(mostlyMemory)("how far a rollback goes (%s)", (store, open) => {
  const { persistence } = open();
  beforeEach(deeds.reset);
  afterEach(() => onCrashPoint(undefined));

  const { does, breakNext, chain, declined } = doing(deeds, persistence);
  const next = async (graph: ReturnType<typeof chain>, threadId: string) =>
    (await graph.getState({ configurable: { thread_id: threadId } })).next;

  describe("a step", () => {
    const branches = () => {
      const builder = new StateGraph(State)
        .addNode("order", does("order"))
        .addNode("charge", does("charge"))
        .addNode("stock", does("stock"))
        .addNode("ship", does("ship"))
        .addEdge(START, "order")
        .addEdge("order", "charge")
        .addEdge("order", "stock")
        .addEdge(["charge", "stock"], "ship")
        .addEdge("ship", END);
      installRecovery(builder);
      return builder.compile({ checkpointer: persistence().checkpointer });
    };

    it("that failed is undone alone, and its question stays open: parallel branches and a half-filled join stay", async () => {
      const graph = branches();
      breakNext("charge");
      expect((await runThread(graph, {}, { threadId: "t" })).status).toBe("waiting_human");
      const plan = await planRollback(graph, "t", { scope: "step" });
      expect(plan).toMatchObject({ scope: "step", leaves: 0, undo: [{ effect: "charge", node: "charge" }] });
      const report = await rollback(graph, "t", { scope: "step", by: "ada" });
      expect(report).toMatchObject({ outcome: "done", checkpointId: plan.head, undone: [{ effect: "charge" }] });
      expect(log.slice(-1)).toEqual(["undo charge"]);
      expect((await inspectThread(graph, "t")).waitingFor).toHaveLength(1);
      expect(await resumeThread(graph, "t", { action: "retry" })).toMatchObject({ status: "succeeded" });
      expect(log.filter((what) => what !== "order")).toEqual(
        expect.arrayContaining(["charge", "stock", "undo charge", "charge", "ship"]),
      );
      expect(log.filter((what) => what === "stock")).toHaveLength(1);
    });

    it("has to be named where several failed, and there has to be one", async () => {
      const graph = branches();
      breakNext("charge");
      breakNext("stock");
      await runThread(graph, {}, { threadId: "t" });
      await expect(rollback(graph, "t", { scope: "step" })).rejects.toThrow(
        /with \{ step \}: (charge, stock|stock, charge)/,
      );
      expect(await rollback(graph, "t", { scope: "step", step: "stock" })).toMatchObject({
        undone: [{ effect: "stock" }],
      });
      await expect(rollback(graph, "t", { scope: "step", step: "ship" })).rejects.toThrow(/No step "ship" stands/);
      await runThread(graph, {}, { threadId: "whole" });
      await expect(rollback(graph, "whole", { scope: "step" })).rejects.toThrow(/has failed; say where to go back to/);
    });

    it("of a subgraph is undone with all that is beneath it", async () => {
      const inner = new StateGraph(State)
        .addNode("charge", does("charge"))
        .addNode("stock", does("stock"))
        .addEdge(START, "charge")
        .addEdge("charge", "stock")
        .addEdge("stock", END);
      installRecovery(inner);
      const builder = new StateGraph(State)
        .addNode("order", does("order"))
        .addNode("inner", inner.compile())
        .addEdge(START, "order")
        .addEdge("order", "inner")
        .addEdge("inner", END);
      installRecovery(builder);
      const graph = builder.compile({ checkpointer: persistence().checkpointer });
      breakNext("stock");
      await runThread(graph, {}, { threadId: "t" });
      expect(await rollback(graph, "t", { scope: "step" })).toMatchObject({ undone: [{ node: "inner/stock" }] });
      expect(await resumeThread(graph, "t", { action: "retry" })).toMatchObject({ status: "succeeded" });
      expect(log).toEqual(["order", "charge", "stock", "undo stock", "stock"]);
    });
  });

  describe("a run", () => {
    it("is taken back to its input; those before it stay", async () => {
      const graph = chain({ order: does("order"), ship: does("ship") });
      const { threadId } = await runThread(graph, { done: ["one"] }, { threadId: "t" });
      await runThread(graph, { done: ["two"] }, { threadId: "t", ifExists: "newTurn" });
      const report = await rollback(graph, "t", { scope: "process" });
      expect(report.undone.map(({ effect }) => effect)).toEqual(["ship", "order"]);
      expect(log).toEqual(["order", "ship", "order", "ship", "undo ship", "undo order"]);
      expect((await resumeThread(graph, "t")).values.done).toEqual(["one", "order", "ship", "two", "order", "ship"]);
      expect((await listEffects(graph, threadId)).filter(({ state }) => state === "confirmed")).toHaveLength(4);
    });
  });

  describe("a transaction", () => {
    const group = { transaction: "sale" };
    const sale = (nodes: Record<string, unknown> = {}) =>
      chain({
        order: does("order"),
        charge: does("charge", group),
        note: does("note"),
        stock: does("stock", group),
        ship: does("ship"),
        ...nodes,
      });

    it("of several nodes is undone together; what others did between them stays and is not done again", async () => {
      const graph = sale();
      await runThread(graph, {}, { threadId: "t" });
      const plan = await planRollback(graph, "t", { scope: "transaction" });
      expect(plan.undo.map(({ effect }) => effect)).toEqual(["stock", "charge"]);
      expect(plan.target.next).toEqual(["charge"]);
      await rollback(graph, "t", { scope: "transaction", transaction: "sale" });
      expect((await resumeThread(graph, "t")).status).toBe("succeeded");
      expect(log.slice(5)).toEqual(["undo stock", "undo charge", "charge", "stock"]);
    });

    it("is that of this run, from the node on that begins it", async () => {
      const looping = new StateGraph(State)
        .addNode("charge", does("charge", { transaction: { name: "sale", begins: true } }))
        .addNode("stock", does("stock", group))
        .addEdge(START, "charge")
        .addEdge("charge", "stock")
        .addConditionalEdges("stock", ({ done }: S) => (done.length < 4 ? "charge" : END), ["charge", END]);
      installRecovery(looping);
      const graph = looping.compile({ checkpointer: persistence().checkpointer });
      await runThread(graph, {}, { threadId: "t" });
      expect((await planRollback(graph, "t", { scope: "transaction" })).undo).toHaveLength(2);
      const whole = sale();
      await runThread(whole, {}, { threadId: "turns" });
      await runThread(whole, {}, { threadId: "turns", ifExists: "newTurn" });
      expect((await planRollback(whole, "turns", { scope: "transaction" })).undo).toHaveLength(2);
    });

    it("that there is not, or that is not under way, is said", async () => {
      const graph = sale();
      await runThread(graph, {}, { threadId: "t" });
      await expect(planRollback(graph, "t", { scope: "transaction", transaction: "else" })).rejects.toThrow(
        /no transaction "else"; the graph has: sale/,
      );
      const none = chain({ order: does("order") });
      await expect(planRollback(none, "t", { scope: "transaction" })).rejects.toThrow(/the graph has: none/);
      await expect(planRollback(graph, "t", { scope: "transaction", to: 1 })).rejects.toMatchObject({ code: "CONFIG" });
      expect(() => resilient(async () => ({}), { rollback: { scope: "transaction" } })).toThrow(/part of none/);
    });
  });

  describe("a barrier", () => {
    it("is gone back to by its name, or as the last one there is", async () => {
      const graph = chain({
        order: does("order"),
        ordered: checkpointBarrier("ordered"),
        charge: does("charge"),
        paid: checkpointBarrier("paid"),
        ship: does("ship"),
      });
      const { threadId } = await runThread(graph, {}, { threadId: "t" });
      expect((await planRollback(graph, "t", { to: { barrier: "ordered" } })).undo).toHaveLength(2);
      expect((await planRollback(graph, "t", { to: { barrier: true } })).undo).toHaveLength(1);
      expect(await rollback(graph, "t", { scope: "session" })).toMatchObject({
        outcome: "done",
        target: { next: ["ship"] },
        undone: [{ effect: "ship" }],
      });
      expect(await next(graph, threadId)).toEqual(["ship"]);
      await expect(planRollback(graph, "t", { to: { barrier: "shipped" } })).rejects.toThrow(/no barrier "shipped"/);
    });

    it("is made by every n-th superstep, where the graph says so", async () => {
      const nodes = { order: does("order"), charge: does("charge"), stock: does("stock"), ship: does("ship") };
      const graph = chain(nodes, { barrierEvery: 3 });
      await runThread(graph, {}, { threadId: "t" });
      const plan = await planRollback(graph, "t", { scope: "session" });
      expect(plan).toMatchObject({ target: { step: 3, next: ["ship"] } });
      expect(await planRollback(graph, "t", { to: { barrier: "step 3" } })).toEqual(plan);
      expect(() => chain(nodes, { barrierEvery: 0 })).toThrow(/barrierEvery/);
    });

    it("is needed where the thread is sound and nothing else is said", async () => {
      const graph = chain({ order: does("order") });
      await runThread(graph, {}, { threadId: "t" });
      await expect(rollback(graph, "t", { scope: "session" })).rejects.toThrow(/nor any barrier .* \{ to \}/);
    });
  });

  describe("declared by the node that fails", () => {
    const events: ResilienceEvent[] = [];
    const onEvent = (event: ResilienceEvent) => events.push(event);
    const automatic = (scope: string, more: object = {}) => ({ rollback: { scope, ...more } });
    beforeEach(() => {
      events.length = 0;
    });

    it("a step is undone and run again, so often, and then a person is asked", async () => {
      const graph = chain({ order: does("order"), charge: does("charge", automatic("step")) });
      breakNext("charge");
      expect(await runThread(graph, {}, { threadId: "t", onEvent })).toMatchObject({ status: "succeeded" });
      expect(log).toEqual(["order", "charge", "undo charge", "charge"]);
      expect(events.map(({ type }) => type)).toEqual(expect.arrayContaining(["rollback.started", "rollback.finished"]));
      breakNext("charge", 2);
      const asked = await runThread(graph, {}, { threadId: "twice" });
      expect(asked.status).toBe("waiting_human");
      expect(asked.waitingFor[0]?.request).toMatchObject({
        rollback: { refused: "it has been once already", undo: [{ effect: "charge" }] },
        attempts: [{ number: 1 }, { number: 1 }],
      });
    });

    it("a step is undone without runThread too", async () => {
      const graph = chain({ charge: does("charge", automatic("step")) });
      breakNext("charge");
      expect((await graph.invoke({}, { configurable: { thread_id: "t" } })).done).toEqual(["charge"]);
      expect(log).toEqual(["charge", "undo charge", "charge"]);
    });

    it.each([
      ["process", ["undo ship", "undo charge", "undo order", "order", "charge", "ship"]],
      ["session", ["undo ship", "undo charge", "charge", "ship"]],
      ["transaction", ["undo ship", "undo charge", "charge", "ship"]],
    ])(
      "a %s is taken back and the run goes on, so often in a run, and then a person is asked",
      async (scope, after) => {
        const graph = chain({
          order: does("order"),
          ordered: checkpointBarrier("ordered"),
          charge: does("charge", { transaction: "sale" }),
          ship: does("ship", { transaction: "sale", ...automatic(scope) }),
        });
        breakNext("ship");
        expect(await runThread(graph, {}, { threadId: "t" })).toMatchObject({ status: "succeeded" });
        expect(log).toEqual(["order", "charge", "ship", ...after]);
        breakNext("ship", 2);
        const asked = await runThread(graph, {}, { threadId: "t", ifExists: "newTurn" });
        expect(asked.status).toBe("waiting_human");
        expect(asked.waitingFor[0]?.request?.rollback?.refused).toBe("it has been once in this run already");
        expect(asked.waitingFor[0]?.request?.automatic).toBeUndefined();
        expect(await resumeThread(graph, "t", { action: "retry" })).toMatchObject({ status: "succeeded" });
      },
    );

    it("a person is asked at once where something would stay in the world", async () => {
      const graph = chain({ order: does("letter", {}, letter), ship: does("ship", automatic("process")) });
      breakNext("ship");
      const asked = await runThread(graph, {}, { threadId: "t" });
      expect(asked.waitingFor[0]?.request?.rollback?.refused).toMatch(/would stay in the world: "letter"/);
      expect(log).toEqual(["letter", "ship"]);
      breakNext("ship");
      const accepting = chain({
        order: does("letter", {}, letter),
        ship: does("ship", automatic("process", { acceptStanding: true })),
      });
      expect(await runThread(accepting, {}, { threadId: "u" })).toMatchObject({ status: "succeeded" });
      expect(log.slice(2)).toEqual(["letter", "ship", "undo ship", "ship"]);
    });

    it("a person is asked where an undoing fails, and the rest is undone", async () => {
      const graph = chain({ order: does("order"), ship: does("ship", automatic("process")) });
      breakNext("ship");
      failNext("undo ship", declined, 9);
      const asked = await runThread(graph, {}, { threadId: "t" });
      expect(asked).toMatchObject({ status: "waiting_human" });
      expect(asked.waitingFor[0]?.request?.rollback?.refused).toMatch(/could not be finished: "ship": declined/);
      expect(log).toEqual(["order", "ship", "undo order"]);
      deeds.failing.clear();
      // It is finished by whoever resumes it.
      expect(await resumeThread(graph, "t")).toMatchObject({ status: "succeeded" });
      expect(log).toEqual(["order", "ship", "undo order", "undo ship", "order", "ship"]);
    });

    it("without runThread it is a person's to decide, and lgr's and resumeThread's to make", async () => {
      const graph = chain({ order: does("order"), ship: does("ship", automatic("process")) });
      breakNext("ship");
      await graph.invoke({}, { configurable: { thread_id: "t" } });
      const { waitingFor } = await inspectThread(graph, "t");
      expect(waitingFor[0]?.request).toMatchObject({
        automatic: { scope: "process", max: 1 },
        suggestion: { action: "rollback" },
        resumeCommand: expect.stringMatching(/--action rollback --scope process$/),
      });
      expect(await resumeThread(graph, "t")).toMatchObject({ status: "succeeded" });
      expect(log).toEqual(["order", "ship", "undo ship", "undo order", "order", "ship"]);
    });

    it("a person comes first where the node says so", async () => {
      const graph = chain({ ship: does("ship", { ...automatic("step"), humanAfter: "fallback" }) });
      breakNext("ship");
      expect((await runThread(graph, {}, { threadId: "t" })).status).toBe("waiting_human");
      expect(log).toEqual(["ship"]);
    });

    it("one that died anywhere is brought to its end by whoever resumes, each undoing made once", async () => {
      for (const scope of ["step", "process"]) {
        const count = (what: string) => log.filter((one) => one === what).length;
        const stands = () => count("careful") > count("undo careful");
        const careful = deeds.deed("careful", {
          undone: () => !stands(),
          probe: () => (stands() ? { happened: true, receipt: { of: "careful" } } : { happened: false }),
        });
        const graph = chain({
          order: async () => ({ done: ["order"] }),
          ship: does("ship", automatic(scope), careful),
        });
        let points = 0;
        const counted = (thread: string, dieAt: number) => {
          deeds.reset();
          breakNext("ship");
          points = 0;
          let dead = false;
          let begun = false;
          onCrashPoint((point) => {
            // From the failure on.
            begun ||= deeds.failing.get("ship!")?.length === 0;
            if (!begun) return;
            points += 1;
            if (points === dieAt) dead = true;
            if (dead && !point.startsWith("locks.")) throw fault(`died at ${point}`, { code: "CANCELLED" });
          });
          return runThread(graph, {}, { threadId: thread, lock: false });
        };
        await counted(`${scope} counted`, 0);
        const all = points;
        expect(all).toBeGreaterThan(20);
        for (let n = 1; n <= all; n += store === "memory" ? (thorough ? 1 : 3) : 11) {
          const thread = `${scope} dies at ${n}`;
          await counted(thread, n).catch(() => {});
          onCrashPoint(undefined);
          let result = await resumeThread(graph, thread, undefined, { lock: false });
          // A process that is gone writes nothing; this one may have written that its node was stopped.
          if (result.status === "failed") result = await resumeThread(graph, thread, undefined, { lock: false });
          // Whoever resumed it may have to be asked: the failure was its process's own.
          if (result.status === "waiting_human")
            result = await resumeThread(graph, thread, { action: "retry" }, { lock: false });
          expect(result.status, thread).toBe("succeeded");
          expect(count("undo careful"), thread).toBeLessThanOrEqual(1);
          expect(count("careful"), thread).toBe(count("undo careful") + 1);
        }
      }
    });
  });

  describe("decided by a person", () => {
    const shop = () => chain({ order: does("order"), charge: does("charge"), ship: does("ship") });
    const asked = async () => {
      const graph = shop();
      breakNext("ship");
      const result = await runThread(graph, {}, { threadId: "t" });
      return { graph, request: result.waitingFor[0]?.request };
    };

    it("is shown with its plan, undoes the step, and runs it again", async () => {
      const { graph, request } = await asked();
      expect(request?.rollback).toMatchObject({ undo: [{ effect: "ship", node: "ship" }], doubtful: [], stays: [] });
      expect(request?.actions.map(({ action }) => action)).toContain("rollback");
      expect(await resumeThread(graph, "t", { action: "rollback", by: "ada" })).toMatchObject({ status: "succeeded" });
      expect(log.slice(2)).toEqual(["ship", "undo ship", "ship"]);
    });

    it("goes to where they say, and the thread goes on from there", async () => {
      const { graph } = await asked();
      expect(await resumeThread(graph, "t", { action: "rollback", to: { before: "charge" } })).toMatchObject({
        status: "succeeded",
        values: { done: ["order", "charge", "ship"] },
      });
      expect(log.slice(3)).toEqual(["undo ship", "undo charge", "charge", "ship"]);
    });

    it("is refused where it cannot be made, and the question stays open", async () => {
      const { graph } = await asked();
      await expect(resumeThread(graph, "t", { action: "rollback", to: { before: "nowhere" } })).rejects.toMatchObject({
        code: "INVALID_INPUT",
      });
      await expect(resumeThread(graph, "t", { action: "rollback", to: {} as never })).rejects.toMatchObject({
        code: "DECISION_REFUSED",
      });
      expect(log).toHaveLength(3);
      expect(await resumeThread(graph, "t", { action: "retry" })).toMatchObject({ status: "succeeded" });
    });

    it("says what could not be undone, and the rollback is finished by the next resume", async () => {
      const { graph } = await asked();
      failNext("undo charge", declined, 9);
      const decision = { action: "rollback", to: { before: "order" } } as const;
      await expect(resumeThread(graph, "t", decision)).rejects.toMatchObject({ code: "ROLLBACK_INCOMPLETE" });
      await expect(resumeThread(graph, "t", { action: "retry" })).rejects.toMatchObject({
        code: "THREAD_NOT_RESUMABLE",
      });
      const failed = (await listEffects(graph, "t")).find(({ state }) => state === "compensation_failed");
      await settleEffect(graph, "t", failed?.key ?? "", { undone: true, by: "ada" });
      expect(await resumeThread(graph, "t")).toMatchObject({ status: "succeeded" });
      expect(log.slice(3)).toEqual(["undo ship", "undo order", "order", "charge", "ship"]);
    });

    it("works through LangGraph's own command for the step, and refuses more there with the question open", async () => {
      const { graph } = await asked();
      const thread = { configurable: { thread_id: (await inspectThread(graph, "t")).threadId } };
      await expect(
        graph.invoke(new Command({ resume: { action: "rollback", scope: "process" } }), thread),
      ).rejects.toThrow(/resumeThread/);
      expect((await inspectThread(graph, "t")).waitingFor).toHaveLength(1);
      expect((await graph.invoke(new Command({ resume: { action: "rollback" } }), thread)).done).toHaveLength(3);
      expect(log.slice(2)).toEqual(["ship", "undo ship", "ship"]);
    });

    it("asks again with the reason where the step leaves something in the world", async () => {
      const graph = chain({ ship: does("letter", {}, letter) });
      breakNext("letter");
      const first = await runThread(graph, {}, { threadId: "t" });
      const thread = { configurable: { thread_id: first.threadId } };
      await graph.invoke(new Command({ resume: { action: "rollback" } }), thread);
      const [again] = (await inspectThread(graph, "t")).waitingFor;
      expect(again?.request?.rollback).toMatchObject({ refused: expect.stringContaining("irreversible"), stays: [{}] });
      expect(await resumeThread(graph, "t", { action: "rollback", acceptStanding: true })).toMatchObject({
        status: "succeeded",
      });
      expect(log).toEqual(["letter"]);
    });
  });

  describe("a run that a person ends", () => {
    const asked = async () => {
      const graph = chain({ order: does("order"), write: does("letter", {}, letter), ship: does("ship") });
      await runThread(graph, { done: ["earlier"] }, { threadId: "t" });
      breakNext("ship");
      const { threadId } = await runThread(graph, {}, { threadId: "t", ifExists: "newTurn" });
      return { graph, thread: { configurable: { thread_id: threadId } } };
    };
    const taken = ["undo ship", "undo order"];

    it("has what it did undone first, as far as it can be; earlier runs stay", async () => {
      const { graph } = await asked();
      expect(await resumeThread(graph, "t", { action: "abort", by: "ada" })).toMatchObject({ status: "aborted" });
      expect(log.slice(6)).toEqual(taken);
      const noted = await persistence().audit?.list({ what: "rollback", by: "ada", limit: 2 });
      expect(noted?.map(({ what }) => what)).toEqual(["rollback.done", "rollback.begun"]);
    });

    it("keeps it where they say so, and where nothing is recorded", async () => {
      const { graph } = await asked();
      expect(await resumeThread(graph, "t", { action: "abort", compensate: false })).toMatchObject({
        status: "aborted",
      });
      expect(log).toHaveLength(6);
    });

    it("is undone through LangGraph's own command too", async () => {
      const { graph, thread } = await asked();
      await expect(graph.invoke(new Command({ resume: { action: "abort" } }), thread)).rejects.toThrow(/aborted/);
      expect(log.slice(6)).toEqual(taken);
    });

    it("does not end while an undoing fails, and ends once it is mended", async () => {
      const { graph, thread } = await asked();
      failNext("undo order", declined, 9);
      await expect(resumeThread(graph, "t", { action: "abort" })).rejects.toMatchObject({
        code: "ROLLBACK_INCOMPLETE",
      });
      deeds.failing.clear();
      expect(await rollback(graph, "t")).toMatchObject({ outcome: "done", undone: [{ effect: "order" }] });
      expect((await inspectThread(graph, "t")).waitingFor).toHaveLength(1);
      expect(await resumeThread(graph, "t", { action: "abort" })).toMatchObject({ status: "aborted" });
      expect(log.slice(6)).toEqual(taken);
      expect(thread).toBeDefined();
    });
  });

  it("is of a fault that nothing came of, too", async () => {
    const graph = chain({ order: does("order"), ship: does("ship", { rollback: { scope: "process" } }) });
    failNext("ship", away, 2);
    expect(await runThread(graph, {}, { threadId: "t" })).toMatchObject({ status: "succeeded" });
    expect(log).toEqual(["order", "undo order", "order", "ship"]);
  });
});

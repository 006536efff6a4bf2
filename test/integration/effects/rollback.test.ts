/** A thread goes back, and with it what its steps did to the outside world. */
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { onCrashPoint } from "../../../src/core/crash-points.js";
import { listEffects, settleEffect } from "../../../src/langgraph/effects/ledger-of-thread.js";
import { transaction } from "../../../src/langgraph/effects/transaction.js";
import { installRecovery } from "../../../src/langgraph/install-recovery.js";
import { resilient } from "../../../src/langgraph/resilient.js";
import { planRollback, rollback } from "../../../src/langgraph/rollback/rollback.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { newDeeds } from "./deeds.js";
import { fault, stores } from "./world.js";

const State = Annotation.Root({ done: Annotation<string[]>({ reducer: (a, b) => a.concat(b), default: () => [] }) });
type S = typeof State.State;
const deeds = newDeeds();
const { deed, failNext } = deeds;
const order = deed("order");
const charge = deed("charge");
const stock = deed("stock");
const bin = deed("bin", { retry: false });
const letter = deed("letter", { kind: "irreversible", compensate: undefined });
const transfer = deed("transfer", {
  probe: () => ({ happened: deeds.log.includes("transfer"), receipt: { of: "transfer" } }),
});

describe.each(stores)("a rollback (%s)", (_, open) => {
  const { persistence } = open();
  beforeEach(deeds.reset);
  afterEach(() => onCrashPoint(undefined));

  const graphOf = (...effects: (readonly [string, (typeof order)[]])[]) => {
    const builder = new StateGraph(State);
    let before: string = START;
    for (const [name, does] of effects) {
      builder.addNode(
        name,
        resilient(
          async (_: S, config) => {
            for (const effect of does) await effect({}, config);
            return { done: [name] };
          },
          { retry: false },
        ) as never,
      );
      builder.addEdge(before as never, name as never);
      before = name;
    }
    builder.addEdge(before as never, END);
    installRecovery(builder);
    return builder.compile({ checkpointer: persistence().checkpointer });
  };
  const shop = () => graphOf(["order", [order]], ["pay", [charge, stock]], ["end", []]);

  it("undoes what was done since, the newest first, and goes on from there", async () => {
    const graph = shop();
    await runThread(graph, {}, { threadId: "t" });
    const plan = await planRollback(graph, "t", { to: { before: "pay" } });
    expect(plan).toMatchObject({
      target: { next: ["pay"], step: 1 },
      leaves: 2,
      undo: [{ effect: "stock", node: "pay" }, { effect: "charge" }],
      doubtful: [],
      stays: [],
    });
    expect(deeds.log).toEqual(["order", "charge", "stock"]);
    const steps: string[] = [];
    const report = await rollback(graph, "t", {
      to: { before: "pay" },
      onProgress: ({ effect }, { done, of }) => steps.push(`${effect} ${done}/${of}`),
    });
    expect(report).toMatchObject({
      outcome: "done",
      undone: [{ effect: "stock", state: "compensated" }, {}],
      failed: [],
    });
    expect(steps).toEqual(["stock 1/2", "charge 2/2"]);
    expect(deeds.log.slice(3)).toEqual(["undo stock", "undo charge"]);
    const { values, next } = await graph.getState({ configurable: { thread_id: report.threadId } });
    expect({ done: values.done, next }).toEqual({ done: ["order"], next: ["pay"] });
    expect(await resumeThread(graph, "t")).toMatchObject({
      status: "succeeded",
      values: { done: ["order", "pay", "end"] },
    });
    expect(deeds.log.slice(5)).toEqual(["charge", "stock"]);
    expect((await listEffects(graph, "t")).map(({ effect, state }) => `${effect} ${state}`)).toEqual([
      "order confirmed",
      "charge compensated",
      "stock compensated",
      "charge confirmed",
      "stock confirmed",
    ]);
    // What was undone once is not undone again.
    await rollback(graph, "t", { to: { before: "order" } });
    expect(deeds.log.slice(7)).toEqual(["undo stock", "undo charge", "undo order"]);
  });

  it("goes so many checkpoints back, or to one by its ID, and no further than there are", async () => {
    const graph = shop();
    const { threadId } = await runThread(graph, {}, { threadId: "t" });
    const two = await planRollback(graph, "t", { to: { steps: 2 } });
    expect(two.target.next).toEqual(["pay"]);
    expect(await planRollback(graph, "t", { to: two.target.checkpointId })).toEqual(two);
    await expect(planRollback(graph, "t", { to: 9 })).rejects.toThrow(
      /no checkpoint 9 steps back .* has 5 checkpoints/,
    );
    await expect(planRollback(graph, "t", { to: { before: "nowhere" } })).rejects.toThrow(/before node "nowhere"/);
    await expect(planRollback(graph, "t", { to: {} as never })).rejects.toMatchObject({ code: "CONFIG" });
    await expect(rollback(graph, "t")).rejects.toThrow(/No rollback of thread "t" .* with \{ to \} or \{ scope \}/);
    expect(threadId).toBe(two.threadId);
  });

  it("of a step that failed half-way undoes what it had done", async () => {
    const graph = shop();
    failNext("stock", fault("no stock", { status: 422 }), 9);
    expect((await runThread(graph, {}, { threadId: "t" })).status).toBe("failed");
    expect(await rollback(graph, "t", { to: { before: "pay" } })).toMatchObject({ outcome: "done" });
    expect(deeds.log).toEqual(["order", "charge", "undo charge"]);
  });

  it("is refused where something would stay in the world, until somebody says that it may", async () => {
    const graph = graphOf(["order", [order]], ["write", [letter]]);
    await runThread(graph, {}, { threadId: "t" });
    const to = { before: "order" };
    expect((await planRollback(graph, "t", { to })).stays).toMatchObject([
      { effect: "letter", why: "it is irreversible: nothing undoes it" },
    ]);
    await expect(rollback(graph, "t", { to })).rejects.toMatchObject({ code: "ROLLBACK_REFUSED" });
    expect(deeds.log).toEqual(["order", "letter"]);
    expect(await rollback(graph, "t", { to, acceptStanding: true })).toMatchObject({
      outcome: "done",
      undone: [{ effect: "order" }],
      stays: [{ effect: "letter" }],
    });
    // What stays is not done again.
    expect((await resumeThread(graph, "t")).status).toBe("succeeded");
    expect(deeds.log).toEqual(["order", "letter", "undo order", "order"]);
  });

  it("looks up first what may have happened", async () => {
    const graph = graphOf(["order", [order]], ["move", [transfer]]);
    // It happens, the answer is lost, and then nobody answers.
    const reset = fault("socket hang up", { code: "ECONNRESET" });
    deeds.failing.set("transfer", [reset, reset]);
    await runThread(graph, {}, { threadId: "not" });
    deeds.log.push("transfer");
    expect((await planRollback(graph, "not", { to: { before: "order" } })).doubtful).toMatchObject([
      { effect: "transfer", why: expect.stringContaining("its probe is asked first") },
    ]);
    expect(await rollback(graph, "not", { to: { before: "order" } })).toMatchObject({
      undone: [{ effect: "transfer" }, { effect: "order" }],
    });
  });

  it("is refused for what nobody can look up, until it is settled", async () => {
    const graph = graphOf(["order", [order]], ["pay", [charge]]);
    failNext("charge", fault("socket hang up", { code: "ECONNRESET" }));
    expect((await runThread(graph, {}, { threadId: "t" })).status).toBe("waiting_human");
    await expect(rollback(graph, "t", { to: { before: "order" } })).rejects.toThrow(
      /nothing can tell: settle it first/,
    );
    const open = (await listEffects(graph, "t")).find(({ state }) => state === "unknown");
    await settleEffect(graph, "t", open?.key ?? "", { happened: true, receipt: { of: "charge" }, by: "ada" });
    expect(await rollback(graph, "t", { to: { before: "order" } })).toMatchObject({ outcome: "done" });
    expect(deeds.log).toEqual(["order", "undo charge", "undo order"]);
    const { next } = await graph.getState({ configurable: { thread_id: open?.threadId } });
    expect(next).toEqual(["order"]);
  });

  it("tries an undoing again, undoes the rest where one fails for good, and goes on from there when called again", async () => {
    const graph = shop();
    await runThread(graph, {}, { threadId: "t" });
    failNext("undo stock", fault("unavailable", { status: 503 }));
    failNext("undo charge", fault("not refundable", { status: 503 }), 9);
    const to = { before: "order" };
    expect(await rollback(graph, "t", { to })).toMatchObject({
      outcome: "incomplete",
      undone: [{ effect: "stock" }, { effect: "order" }],
      failed: [{ effect: "charge", state: "compensation_failed", why: "not refundable" }],
    });
    await expect(resumeThread(graph, "t")).rejects.toMatchObject({ code: "THREAD_NOT_RESUMABLE" });
    await expect(rollback(graph, "t", { to: "1f000000-0000-6000-8000-000000000000" })).rejects.toThrow(
      /finish it first/,
    );
    deeds.failing.clear();
    expect(await rollback(graph, "t")).toMatchObject({ outcome: "done", undone: [{ effect: "charge" }] });
    expect(deeds.log).toEqual(["order", "charge", "stock", "undo stock", "undo order", "undo charge"]);
    expect((await resumeThread(graph, "t")).status).toBe("succeeded");
  });

  it("is finished once a person has undone by hand what could not be", async () => {
    const graph = shop();
    await runThread(graph, {}, { threadId: "t" });
    failNext("undo charge", fault("not refundable", { status: 422 }), 9);
    await rollback(graph, "t", { to: { before: "order" } });
    const failed = (await listEffects(graph, "t")).find(({ state }) => state === "compensation_failed");
    await expect(settleEffect(graph, "t", failed?.key ?? "", { happened: false, by: "ada" })).rejects.toMatchObject({
      code: "EFFECT_NOT_OPEN",
    });
    await settleEffect(graph, "t", failed?.key ?? "", { undone: true, by: "ada", reason: "by bank transfer" });
    expect(await rollback(graph, "t")).toMatchObject({ outcome: "done", undone: [] });
    expect(deeds.log).toEqual(["order", "charge", "stock", "undo stock", "undo order"]);
  });

  it("that died anywhere is finished by another, and undoes nothing twice that says it is undone", async () => {
    const asks = { undone: ({ of }: { of: string }) => deeds.log.includes(`undo ${of}`) };
    const careful = [deed("a", asks), deed("b", asks)];
    const graph = graphOf(["first", []], ["both", careful as never], ["end", []]);
    let points = 0;
    onCrashPoint(() => {
      points += 1;
    });
    const to = { before: "both" };
    await runThread(graph, {}, { threadId: "counted" });
    points = 0;
    await rollback(graph, "counted", { to });
    const all = points;
    expect(all).toBeGreaterThan(10);
    for (let n = 1; n <= all; n += 1) {
      onCrashPoint(undefined);
      deeds.log.length = 0;
      const thread = `dies at ${n}`;
      await runThread(graph, {}, { threadId: thread });
      let passed = 0;
      let dead = false;
      onCrashPoint((point) => {
        passed += 1;
        // As a process that is gone: it does nothing more at all.
        if (passed === n) dead = true;
        if (dead && !point.startsWith("locks.")) throw fault(`died at ${point}`, { code: "CANCELLED" });
      });
      await rollback(graph, thread, { to, lock: false }).catch(() => {});
      onCrashPoint(undefined);
      const report = await rollback(graph, thread, { to, lock: false });
      expect(report.outcome, thread).toBe("done");
      expect(deeds.log, thread).toEqual(["a", "b", "undo b", "undo a"]);
      const { values, next } = await graph.getState({ configurable: { thread_id: report.threadId } });
      expect({ done: values.done, next }, thread).toEqual({ done: ["first"], next: ["both"] });
    }
  });

  it("says how the thread stands when the database goes away in the middle", async () => {
    const graph = shop();
    await runThread(graph, {}, { threadId: "t" });
    onCrashPoint((point) => {
      if (point === "ledger.move.compensated.before") throw fault("connect ECONNREFUSED", { code: "ECONNREFUSED" });
    });
    const interrupted = await rollback(graph, "t", { to: { before: "pay" } }).catch((error) => error);
    onCrashPoint(undefined);
    expect(interrupted).toMatchObject({
      code: "ROLLBACK_INTERRUPTED",
      category: "network",
      message: expect.stringMatching(
        /thread "t" to checkpoint .* was interrupted: connect ECONNREFUSED.*lgr rollback t$/,
      ),
    });
    expect(await rollback(graph, "t")).toMatchObject({ outcome: "done", undone: [{}, {}] });
  });

  it("leaves alone what other branches did", async () => {
    const graph = shop();
    const { threadId } = await runThread(graph, {}, { threadId: "t" });
    const plan = await planRollback(graph, "t", { to: { before: "pay" } });
    await resumeThread(graph, "t", undefined, { from: plan.target.checkpointId });
    expect(await rollback(graph, threadId, { to: { before: "pay" } })).toMatchObject({ undone: [] });
    expect(deeds.log).toEqual(["order", "charge", "stock"]);
  });

  it("is a busy thread's to refuse", async () => {
    let go = () => {};
    const waiting = deed("slow", {
      run: () =>
        new Promise((resolve) => {
          go = () => resolve({ of: "slow" });
        }),
    });
    const graph = graphOf(["wait", [waiting as never]]);
    const running = runThread(graph, {}, { threadId: "t" });
    while ((await listEffects(graph, "t")).length === 0) await new Promise((resolve) => setImmediate(resolve));
    await expect(rollback(graph, "t", { to: { before: "wait" } })).rejects.toMatchObject({ code: "THREAD_BUSY" });
    go();
    expect((await running).status).toBe("succeeded");
  });
});

describe.each(stores)("a transaction (%s)", (_, open) => {
  const { persistence } = open();
  beforeEach(deeds.reset);

  const graphOf = (options: object = {}) => {
    const builder = new StateGraph(State)
      .addNode(
        "all",
        resilient(
          async (_: S, config) => {
            await letter({}, config);
            await transaction(
              "order",
              async (within) => {
                await order({}, within);
                await charge({}, within);
                // Without a config it is that of the transaction.
                await bin({});
              },
              config,
            );
            return { done: ["all"] };
          },
          { retry: { initialDelayMs: 1 }, ...options },
        ),
      )
      .addEdge(START, "all")
      .addEdge("all", END);
    installRecovery(builder);
    return builder.compile({ checkpointer: persistence().checkpointer });
  };

  it("that succeeds is what its effects are", async () => {
    const graph = graphOf();
    expect((await runThread(graph, {}, { threadId: "t" })).status).toBe("succeeded");
    expect(deeds.log).toEqual(["letter", "order", "charge", "bin"]);
    expect((await listEffects(graph, "t")).map((entry) => entry.transaction)).toEqual([
      undefined,
      "order#0",
      "order#0",
      "order#0",
    ]);
  });

  it("that fails is undone, and begun anew by the next attempt; what is not of it stays", async () => {
    const graph = graphOf();
    failNext("bin", fault("unavailable", { code: "ECONNREFUSED" }));
    expect((await runThread(graph, {}, { threadId: "t" })).status).toBe("succeeded");
    expect(deeds.log).toEqual(["letter", "order", "charge", "undo charge", "undo order", "order", "charge", "bin"]);
    expect((await listEffects(graph, "t")).map(({ effect, epoch, state }) => `${effect} ${epoch} ${state}`)).toEqual([
      "letter 0 confirmed",
      "order 0 compensated",
      "charge 0 compensated",
      "bin 0 confirmed",
      "order 1 confirmed",
      "charge 1 confirmed",
    ]);
  });

  it("whose undoing fails for good goes to a person with the rest undone, and a retry makes it good", async () => {
    const graph = graphOf();
    failNext("bin", fault("unavailable", { code: "ECONNREFUSED" }));
    failNext("undo charge", fault("not refundable", { status: 503 }), 9);
    const asked = await runThread(graph, {}, { threadId: "t" });
    expect(asked.status).toBe("waiting_human");
    expect(JSON.stringify(asked.waitingFor)).toContain("could not be undone whole");
    expect(deeds.log).toEqual(["letter", "order", "charge", "undo order"]);
    deeds.failing.clear();
    expect((await resumeThread(graph, "t", { action: "retry" })).status).toBe("succeeded");
    expect(deeds.log).toEqual(["letter", "order", "charge", "undo order", "undo charge", "order", "charge", "bin"]);
  });

  it("cannot be nested, nor be anything without a name or a ledger", async () => {
    await expect(transaction("", async () => {}, {})).rejects.toThrow(/give it a name/);
    await expect(transaction("order", async () => {}, {})).rejects.toMatchObject({ code: "EFFECT_NOT_RECORDED" });
    await expect(
      transaction("inner", async () => {}, { configurable: { __lgr_transaction: "outer#0" } } as never),
    ).rejects.toThrow(/cannot be nested/);
  });
});

/** Effects that a person has to approve before they are begun. */
import { Command, END, interrupt, type LangGraphRunnableConfig, START, StateGraph } from "@langchain/langgraph";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type CrashPoint, onCrashPoint } from "../../../src/core/crash-points.js";
import { threadIdOf } from "../../../src/core/thread-id.js";
import { listEffects } from "../../../src/langgraph/effects/ledger-of-thread.js";
import { transaction } from "../../../src/langgraph/effects/transaction.js";
import { installRecovery } from "../../../src/langgraph/install-recovery.js";
import { resilient } from "../../../src/langgraph/resilient.js";
import { inspectThread } from "../../../src/langgraph/threads/inspect-thread.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import type { ApprovalRequest } from "../../../src/recovery/approval-request.js";
import { fork, graphOf, innerGraph, paying, quick, quiet, recovering, type S, State, thread } from "./paying-graphs.js";
import { effectOn, fault, mostlyMemory, newWorld, type World } from "./world.js";

interface Ended {
  readonly waitingFor: readonly {
    readonly approval?: ApprovalRequest;
    readonly request?: unknown;
    readonly id: string;
  }[];
}

const plain = { configurable: { thread_id: threadIdOf("t") } };
const approve = { action: "approve", by: "ada" } as const;
const reject = { action: "reject", by: "bob", reason: "too much" } as const;

describe.each(mostlyMemory)("an effect that needs approval (%s)", (_, open) => {
  const { persistence } = open();
  let world: World;
  beforeEach(() => {
    world = newWorld();
  });
  afterEach(() => onCrashPoint(undefined));

  const charging = (options: object = {}) => effectOn(world, { requireApproval: true, ...options });
  const payGraph = (options: object = {}, node: object = {}) =>
    recovering(persistence(), paying(charging(options)), node);
  const entries = async (graph: object) => await listEffects(graph as never, "t");
  const questions = ({ waitingFor }: Ended) => waitingFor.map(({ approval }) => approval?.effect);
  const audited = async () =>
    ((await persistence().audit?.list({ what: "effect" })) ?? []).map(({ what, by, reason }) => ({ what, by, reason }));

  it("is asked about before anything is called, and done once it is approved", async () => {
    const before = (await audited()).length;
    const graph = payGraph();
    const asked = await runThread(graph, { cents: 5 }, { threadId: "t" });
    expect(asked.status).toBe("waiting_human");
    expect(world.asked).toEqual([]);
    expect(await entries(graph)).toMatchObject([{ state: "intended", calls: 0, asked: { question: 0 } }]);
    expect(asked.waitingFor).toMatchObject([
      {
        node: "pay",
        approval: {
          kind: "approval",
          effect: "charge",
          effectKind: "irreversible",
          node: "pay",
          threadId: threadIdOf("t"),
          input: { cents: 5 },
          actions: [{ action: "approve" }, { action: "reject" }],
        },
      },
    ]);
    const result = await resumeThread(graph, "t", { ...approve, reason: "agreed" });
    expect(result.status).toBe("succeeded");
    expect(world.asked).toHaveLength(1);
    expect(await entries(graph)).toMatchObject([
      { state: "confirmed", epoch: 0, approvedBy: { by: "ada", reason: "agreed" } },
    ]);
    expect((await audited()).slice(0, -before || undefined)).toEqual([
      { what: "effect.approved", by: "ada", reason: "agreed" },
    ]);
  });

  it("is not done when it is rejected, which is not retried and goes to a person; a retry asks again", async () => {
    let fellBack = false;
    const run = () => {
      fellBack = true;
      return {};
    };
    const graph = payGraph({}, { fallback: [{ name: "simpler", run }] });
    await runThread(graph, { cents: 5 }, { threadId: "t" });
    const rejected = await resumeThread(graph, "t", reject);
    expect(rejected.waitingFor).toMatchObject([
      { request: { node: "pay", failure: { code: "EFFECT_REJECTED", category: "permission" }, attempts: [{}] } },
    ]);
    expect(JSON.stringify(rejected.waitingFor)).toMatch(/bob rejected it \(too much\)/);
    expect(await entries(graph)).toMatchObject([{ state: "intended", calls: 0 }]);
    expect((await audited())[0]).toEqual({ what: "effect.rejected", by: "bob", reason: "too much" });
    const again = await resumeThread(graph, "t", { action: "retry" });
    expect(questions(again)).toEqual(["charge"]);
    expect(world.asked).toEqual([]);
    expect((await resumeThread(graph, "t", approve)).status).toBe("succeeded");
    expect(world.asked).toHaveLength(1);
    expect(fellBack).toBe(false);
  });

  it("can be asked about again in a graph without recovery, whose run a rejection ends", async () => {
    const graph = graphOf(persistence(), paying(charging()));
    await runThread(graph, { cents: 5 }, { threadId: "t" });
    expect(await resumeThread(graph, "t", reject)).toMatchObject({
      status: "failed",
      error: { code: "EFFECT_REJECTED" },
    });
    expect(questions(await resumeThread(graph, "t"))).toEqual(["charge"]);
    expect(await resumeThread(graph, "t", approve)).toMatchObject({ status: "succeeded" });
    expect(world.asked).toHaveLength(1);
  });

  it("is asked about only where its input says so", async () => {
    const graph = payGraph({ requireApproval: ({ cents }: S) => cents > 100 });
    expect((await runThread(graph, { cents: 100 }, { threadId: "t" })).status).toBe("succeeded");
    expect(questions(await runThread(graph, { cents: 101 }, { threadId: "t", ifExists: "newTurn" }))).toEqual([
      "charge",
    ]);
    expect(world.asked).toHaveLength(1);
    const unsure = payGraph({ requireApproval: async () => true });
    expect(await runThread(unsure, { cents: 5 }, { threadId: "u" })).toMatchObject({
      status: "failed",
      error: { message: expect.stringMatching(/gave a promise/) },
    });
    expect(world.asked).toHaveLength(1);
  });

  it("is not asked about again by a retry, its own or the node's, nor by a person's", async () => {
    let fails = 1;
    const charge = charging({ retry: { maxAttempts: 2, initialDelayMs: 1, retryOn: () => true } });
    const graph = recovering(persistence(), async ({ cents }, config) => {
      const paid = charge({ cents }, config);
      if (fails-- > 0) await paid.catch(() => Promise.reject(fault("unavailable", { status: 503 })));
      return { done: [(await paid).id] };
    });
    world.script.push("refuse", "refuse", "refuse", "refuse");
    fails = 0;
    await runThread(graph, { cents: 5 }, { threadId: "t" });
    fails = 1;
    const failed = await resumeThread(graph, "t", approve);
    expect(failed.waitingFor).toMatchObject([{ request: { failure: { status: 402 } } }]);
    expect(world.asked).toHaveLength(4);
    expect((await resumeThread(graph, "t", { action: "retry" })).status).toBe("succeeded");
    expect(new Set(world.asked.map(({ key }) => key)).size).toBe(1);
  });

  it("is asked about again with another input, whether or not it had been tried", async () => {
    let cents = 5;
    const charge = charging();
    const graph = recovering(persistence(), async (_, config) => ({ done: [(await charge({ cents }, config)).id] }));
    const first = await runThread(graph, { cents: 0 }, { threadId: "t" });
    const of = first.waitingFor[0]?.approval?.hash;
    cents = 6;
    const renewed = await resumeThread(graph, "t", approve);
    expect(renewed.waitingFor).toMatchObject([{ approval: { input: { cents: 6 }, question: 1 } }]);
    expect(world.asked).toEqual([]);
    await expect(resumeThread(graph, "t", { ...approve, of })).rejects.toThrow(/what was shown has changed since/);
    world.script.push("refuse");
    await resumeThread(graph, "t", approve);
    cents = 7;
    const third = await resumeThread(graph, "t", { action: "retry" });
    expect(third.waitingFor).toMatchObject([{ approval: { input: { cents: 7 } } }]);
    expect((await resumeThread(graph, "t", approve)).status).toBe("succeeded");
    expect(world.asked.map((deed) => deed.cents)).toEqual([6, 7]);
    expect(await entries(graph)).toMatchObject([
      { state: "failed", input: { cents: 6 } },
      { state: "confirmed", epoch: 1, input: { cents: 7 } },
    ]);
  });

  it("stays asked about when an answer does not fit", async () => {
    const graph = payGraph();
    const asked = await runThread(graph, { cents: 5 }, { threadId: "t" });
    for (const wrong of [{ action: "retry" }, "yes", { ...approve, of: "another" }, { ...approve, extra: 1 }])
      await expect(resumeThread(graph, "t", wrong)).rejects.toMatchObject({ code: "DECISION_REFUSED" });
    await expect(resumeThread(graph, "t", approve, { answerTo: "other" })).rejects.toThrow(/no open question "other"/);
    for (const resume of ["yes", { [asked.waitingFor[0]?.id ?? ""]: { action: "nonsense" } }])
      await expect(graph.invoke(new Command({ resume }), plain)).rejects.toThrow(/stays open: .*"approve"/);
    expect(questions(await inspectThread(graph, "t"))).toEqual(["charge"]);
    expect(world.asked).toEqual([]);
    expect((await resumeThread(graph, "t", approve, { answerTo: "pay" })).status).toBe("succeeded");
    await expect(resumeThread(graph, "t", approve)).rejects.toMatchObject({ code: "DECISION_REFUSED" });
    expect(world.asked).toHaveLength(1);
  });

  it("is approved by a plain command, once", async () => {
    const graph = graphOf(persistence(), paying(charging()));
    await graph.invoke({ cents: 5 }, plain);
    await expect(graph.invoke(new Command({ resume: "yes" }), plain)).rejects.toThrow(/answered with .*"approve"/);
    await graph.invoke(new Command({ resume: approve }), plain);
    expect(await entries(graph)).toMatchObject([{ state: "confirmed", approvedBy: { by: "ada" } }]);
    expect(world.asked).toHaveLength(1);
  });

  it("is asked about between questions of the node's own, each of which gets its own answer", async () => {
    const charge = charging();
    const said: unknown[] = [];
    let fails = 1;
    const graph = recovering(persistence(), async ({ cents }, config) => {
      const before = interrupt("before");
      const { id } = await charge({ cents }, config);
      const after = interrupt("after");
      said.push([before, after]);
      if (fails-- > 0) throw fault("unavailable", { status: 503 });
      return { done: [id] };
    });
    await runThread(graph, { cents: 5 }, { threadId: "t" });
    expect(questions(await resumeThread(graph, "t", "b"))).toEqual(["charge"]);
    expect(await resumeThread(graph, "t", approve)).toMatchObject({ waitingFor: [{ value: "after" }] });
    expect((await resumeThread(graph, "t", "a")).status).toBe("succeeded");
    expect(said).toEqual([
      ["b", "a"],
      ["b", "a"],
    ]);
    expect(world.asked).toHaveLength(1);
  });

  describe.each([
    ["in the same order", [0, 1, 2]],
    ["in the other order", [2, 1, 0]],
  ] as const)("beside others in one step, that come to ask %s the next time", (_, order) => {
    const ways = [
      ["resumeThread", false],
      ["a plain command", true],
    ] as const;
    it.each(ways)("is approved alone, by %s", async (_, isPlain) => {
      const charge = charging({ key: ({ cents }: S) => `of ${cents}` });
      let runs = 0;
      let after: unknown;
      const node = async (_: S, config: LangGraphRunnableConfig) => {
        const all = [1, 2, 3];
        const places = runs++ % 2 === 0 ? all : order.map((place) => all[place] as number);
        await Promise.all(places.map((cents) => charge({ cents }, config)));
        after = interrupt("after");
        return {};
      };
      const graph = recovering(persistence(), node);
      const answered: number[] = [];
      let asked = await runThread(graph, { cents: 0 }, { threadId: "t" });
      for (let rounds = 0; rounds < 4; rounds += 1) {
        if (asked.waitingFor[0]?.approval === undefined) break;
        // Run again without an answer, another may come to ask under the same number.
        await graph.invoke(null, plain).catch(() => {});
        for (const { cents } of world.asked) expect(answered).toContain(cents);
        asked = (await inspectThread(graph, "t")) as never;
        const approval = asked.waitingFor[0]?.approval as ApprovalRequest;
        answered.push((approval.input as { cents: number }).cents);
        const resume = { ...approve, of: approval.hash };
        if (isPlain) await graph.invoke(new Command({ resume }), plain);
        else await resumeThread(graph, "t", approve);
        // Nothing is done that was not asked about, and nothing is left in doubt by the next question.
        for (const { cents } of world.asked) expect(answered).toContain(cents);
        for (const { state } of await entries(graph)) expect(["intended", "confirmed"]).toContain(state);
        asked = (await inspectThread(graph, "t")) as never;
      }
      expect(answered.toSorted()).toEqual([1, 2, 3]);
      expect(asked.waitingFor).toMatchObject([{ value: "after" }]);
      await graph.invoke(new Command({ resume: "yes" }), plain);
      expect(after).toBe("yes");
      expect(world.asked.map(({ cents }) => cents).toSorted()).toEqual([1, 2, 3]);
    });

    it("is rejected alone", async () => {
      const charge = charging({ key: ({ cents }: S) => `of ${cents}` });
      let runs = 0;
      const graph = recovering(persistence(), async (_, config) => {
        const all = [1, 2, 3];
        const places = runs++ % 2 === 0 ? all : order.map((place) => all[place] as number);
        const done = await Promise.allSettled(places.map((cents) => charge({ cents }, config)));
        for (const one of done)
          if (one.status === "rejected" && one.reason.code !== "EFFECT_REJECTED") throw one.reason;
        return {};
      });
      let asked = await runThread(graph, { cents: 0 }, { threadId: "t" });
      for (let rounds = 0; rounds < 3; rounds += 1) {
        const input = asked.waitingFor[0]?.approval?.input as { readonly cents: number };
        asked = await resumeThread(graph, "t", input.cents === 2 ? reject : approve);
      }
      expect(asked.status).toBe("succeeded");
      expect(world.asked.map(({ cents }) => cents).toSorted()).toEqual([1, 3]);
    });
  });

  it("asks when what is done beside it without a question has come to its end", async () => {
    const charge = charging();
    const run = async ({ cents }: { readonly cents: number }) => {
      await quiet();
      return { id: "free", cents };
    };
    const free = effectOn(world, { name: "free", run });
    const graph = recovering(persistence(), async ({ cents }, config) => {
      await Promise.all([free({ cents: 1 }, config), charge({ cents }, config)]);
      return {};
    });
    await runThread(graph, { cents: 5 }, { threadId: "t" });
    expect((await entries(graph)).map(({ effect, state }) => [effect, state]).toSorted()).toEqual([
      ["charge", "intended"],
      ["free", "confirmed"],
    ]);
    expect((await resumeThread(graph, "t", approve)).status).toBe("succeeded");
    expect(world.asked).toHaveLength(1);
  });

  it("in two steps side by side is not approved by an answer that does not say which", async () => {
    const charge = charging();
    const node = (cents: number) =>
      resilient(
        async (_: S, config: LangGraphRunnableConfig) => ({ done: [(await charge({ cents }, config)).id] }),
        quick,
      );
    const builder = new StateGraph(State)
      .addNode("one", node(1))
      .addNode("two", node(2))
      .addEdge(START, "one")
      .addEdge(START, "two");
    installRecovery(builder);
    const graph = builder.compile({ checkpointer: persistence().checkpointer });
    const asked = await runThread(graph, { cents: 0 }, { threadId: "t" });
    expect(questions(asked)).toEqual(["charge", "charge"]);
    await expect(graph.invoke(new Command({ resume: approve }), plain)).rejects.toThrow(/does not say which/);
    expect(world.asked).toEqual([]);
    await expect(resumeThread(graph, "t", approve)).rejects.toThrow(/2 open questions/);
    const of = asked.waitingFor.find(({ approval }) => approval?.node === "two")?.approval?.hash;
    await graph.invoke(new Command({ resume: { ...approve, of } }), plain);
    expect(world.asked.map(({ cents }) => cents)).toEqual([2]);
    expect((await resumeThread(graph, "t", approve, { answerTo: "one" })).status).toBe("succeeded");
    expect(world.asked.map(({ cents }) => cents)).toEqual([2, 1]);
  });

  it("undoes the rest of its transaction when it is rejected, and nothing when it is asked about", async () => {
    const undone: string[] = [];
    const reserve = effectOn(world, {
      name: "reserve",
      kind: "reversible",
      compensate: ({ id }) => void undone.push(id),
    });
    const charge = charging();
    const graph = recovering(persistence(), async ({ cents }, config) =>
      transaction(
        "order",
        async (own) => {
          await reserve({ cents: 1 }, own);
          return { done: [(await charge({ cents }, own)).id] };
        },
        config,
      ),
    );
    await runThread(graph, { cents: 5 }, { threadId: "t" });
    await expect(graph.invoke(new Command({ resume: "yes" }), plain)).rejects.toThrow(/stays open/);
    expect(undone).toEqual([]);
    await resumeThread(graph, "t", reject);
    expect(undone).toHaveLength(1);
    await resumeThread(graph, "t", { action: "retry" });
    expect((await resumeThread(graph, "t", approve)).status).toBe("succeeded");
    expect((await entries(graph)).map(({ effect, state }) => `${effect} ${state}`)).toEqual([
      "reserve compensated",
      "charge confirmed",
      "reserve confirmed",
    ]);
  });

  it("within a subgraph is asked about and approved on the thread around", async () => {
    const charge = charging();
    const inner = innerGraph(resilient(paying(charge), quick) as never);
    const graph = new StateGraph(State)
      .addNode("shop", inner)
      .addEdge(START, "shop")
      .addEdge("shop", END)
      .compile({ checkpointer: persistence().checkpointer });
    const asked = await runThread(graph, { cents: 5 }, { threadId: "t" });
    expect(asked.waitingFor).toMatchObject([{ node: "shop", approval: { node: "pay", within: ["shop"] } }]);
    expect((await resumeThread(graph, "t", approve, { answerTo: "pay" })).status).toBe("succeeded");
    expect(world.asked).toHaveLength(1);
  });

  it.each([
    ["is not asked about by a branch that takes over its receipt", "reuse", []],
    ["is asked about by a branch that does it anew", "rerun", ["charge"]],
  ] as const)("%s", async (_, onFork, asked) => {
    const graph = payGraph({ onFork });
    await graph.invoke({ cents: 5 }, thread);
    await resumeThread(graph, "t", approve);
    await fork(graph);
    expect(questions(await inspectThread(graph, "t"))).toEqual(asked);
    expect(world.asked).toHaveLength(1);
  });

  it.each<readonly [CrashPoint, number]>([
    ["effect.call.before", 1],
    ["effect.call.after", 2],
  ])("is not asked about again after a crash at %s", async (point, calls) => {
    const graph = payGraph({ kind: "idempotent" });
    await runThread(graph, { cents: 5 }, { threadId: "t" });
    // From that point on nothing of the run is stored.
    const died = Object.assign(new Error("the process dies"), { is_bubble_up: true, name: "GraphDrained" });
    const { checkpointer } = persistence();
    const { putWrites } = checkpointer;
    onCrashPoint((passed) => {
      if (passed !== point) return;
      onCrashPoint(undefined);
      checkpointer.putWrites = async () => {};
      throw died;
    });
    await resumeThread(graph, "t", approve);
    checkpointer.putWrites = putWrites;
    const [open] = (await inspectThread(graph, "t")).waitingFor;
    expect(open).toMatchObject({ perhapsAnswered: true });
    await expect(resumeThread(graph, "t", reject)).rejects.toThrow(/had been answered before/);
    expect((await inspectThread(graph, "t")).status).toBe("succeeded");
    expect(world.asked).toHaveLength(calls);
    expect(new Set(world.asked.map(({ key }) => key)).size).toBe(1);
  });
});

/** What a step does to the outside world, once. */
import { Annotation, Command, END, interrupt, MemorySaver, Send, START, StateGraph } from "@langchain/langgraph";
import { beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { defineEffect } from "../../../src/langgraph/effects/define-effect.js";
import { listEffects, settleEffect } from "../../../src/langgraph/effects/ledger-of-thread.js";
import { installRecovery } from "../../../src/langgraph/install-recovery.js";
import { resilient } from "../../../src/langgraph/resilient.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { effectOn, newWorld, probeOf, stores, type World } from "./world.js";

const State = Annotation.Root({
  cents: Annotation<number>(),
  done: Annotation<string[]>({ reducer: (before, added) => before.concat(added), default: () => [] }),
});
type S = typeof State.State;

const quick = { retry: { initialDelayMs: 1 } } as const;
const fault = (message: string, fields: object) => Object.assign(new Error(message), fields);

describe.each(stores)("an effect (%s)", (_, open) => {
  const { persistence } = open();
  let world: World;
  beforeEach(() => {
    world = newWorld();
  });

  /** A graph of one node with recovery. */
  const graphOf = (node: (state: S, config: never) => Promise<Partial<S>>, options = {}) => {
    const builder = new StateGraph(State)
      .addNode("pay", resilient(node as never, { ...quick, ...options }) as never)
      .addEdge(START, "pay" as never)
      .addEdge("pay" as never, END);
    installRecovery(builder);
    return builder.compile({ checkpointer: persistence().checkpointer });
  };
  const states = async (graph: object, thread = "t") =>
    (await listEffects(graph as never, thread)).map(({ state }) => state);

  it("is done once for a step that fails after it and is tried again", async () => {
    const charge = effectOn(world);
    let fails = 2;
    const graph = graphOf(async ({ cents }, config) => {
      const receipt = await charge({ cents }, config);
      if (fails-- > 0) throw fault("unavailable", { status: 503 });
      return { done: [receipt.id] };
    });
    const { status, values } = await runThread(graph, { cents: 5 }, { threadId: "t" });
    expect(status).toBe("succeeded");
    expect(world.asked).toHaveLength(1);
    expect(values.done).toEqual([`receipt of ${world.deeds[0]?.key}`]);
    expect(await listEffects(graph, "t")).toMatchObject([
      { effect: "charge", state: "confirmed", calls: 1, epoch: 0, name: "#0", place: "pay", input: { cents: 5 } },
    ]);
  });

  it("is done once for each call of the step, in order or by key", async () => {
    const inOrder = effectOn(world);
    const byKey = effectOn(world, { name: "byKey", key: ({ cents }) => `of ${cents}` });
    let fails = 1;
    const graph = graphOf(async (_, config) => {
      await inOrder({ cents: 1 }, config);
      await inOrder({ cents: 2 }, config);
      const same = await Promise.all([3, 4, 3].map((cents) => byKey({ cents }, config)));
      expect(same[0]).toEqual(same[2]);
      if (fails-- > 0) throw fault("unavailable", { status: 503 });
      return {};
    });
    expect((await runThread(graph, { cents: 0 }, { threadId: "t" })).status).toBe("succeeded");
    expect(world.asked.map(({ cents }) => cents)).toEqual([1, 2, 3, 4]);
    expect((await listEffects(graph, "t")).map(({ name }) => name)).toEqual(["#0", "#1", "of 3", "of 4"]);
  });

  it("is asked for again where the failure says that it did not happen", async () => {
    const charge = effectOn(world);
    world.script.push("reset before", "refuse");
    const graph = graphOf(async ({ cents }, config) => ({ done: [(await charge({ cents }, config)).id] }), {
      retry: { initialDelayMs: 1, retryOn: () => true },
    });
    expect((await runThread(graph, { cents: 5 }, { threadId: "t" })).status).toBe("succeeded");
    expect(new Set(world.asked.map(({ key }) => key)).size).toBe(1);
    expect(await listEffects(graph, "t")).toMatchObject([{ state: "confirmed", calls: 3 }]);
  });

  it("that was refused gets a new key for another input", async () => {
    const charge = effectOn(world);
    world.script.push("refuse");
    let cents = 5;
    const graph = graphOf(async (_, config) => ({ done: [(await charge({ cents: cents-- }, config)).id] }), {
      retry: { initialDelayMs: 1, retryOn: () => true },
    });
    expect((await runThread(graph, { cents: 0 }, { threadId: "t" })).status).toBe("succeeded");
    expect(await listEffects(graph, "t")).toMatchObject([
      { state: "failed", epoch: 0, input: { cents: 5 } },
      { state: "confirmed", epoch: 1, input: { cents: 4 } },
    ]);
    expect(new Set(world.asked.map(({ key }) => key)).size).toBe(2);
  });

  describe("that may have happened", () => {
    it("is repeated with the same key if it is idempotent", async () => {
      const charge = effectOn(world, { kind: "idempotent" });
      world.script.push("reset after", "500 after");
      const graph = graphOf(async ({ cents }, config) => ({ done: [(await charge({ cents }, config)).id] }));
      expect((await runThread(graph, { cents: 5 }, { threadId: "t" })).status).toBe("succeeded");
      expect(new Set(world.asked.map(({ key }) => key)).size).toBe(1);
      expect(world.asked).toHaveLength(3);
    });

    it("is found out by its probe, and repeated only if it did not", async () => {
      const charge = effectOn(world, { probe: probeOf(world) });
      world.script.push("reset after");
      const graph = graphOf(async ({ cents }, config) => ({ done: [(await charge({ cents }, config)).id] }));
      expect((await runThread(graph, { cents: 5 }, { threadId: "yes" })).status).toBe("succeeded");
      expect(world.asked).toHaveLength(1);
      world.script.push("hang before");
      const slow = effectOn(world, { probe: probeOf(world), timeout: { baseMs: 20 } });
      const again = graphOf(async ({ cents }, config) => ({ done: [(await slow({ cents }, config)).id] }));
      expect((await runThread(again, { cents: 5 }, { threadId: "no" })).status).toBe("succeeded");
      expect(world.deeds).toHaveLength(2);
      expect(world.asked).toHaveLength(3);
    });

    it.each([
      ["without a probe", {}],
      ["whose probe cannot tell", { probe: () => ({ happened: "unknown" as const }) }],
    ])("%s goes to a person, who says what came of it", async (_, options) => {
      const charge = effectOn(world, options);
      world.script.push("reset after");
      let fellBack = false;
      const graph = graphOf(async ({ cents }, config) => ({ done: [(await charge({ cents }, config)).id] }), {
        fallback: [
          {
            name: "simpler",
            run: () => {
              fellBack = true;
              return {};
            },
          },
        ],
      });
      const asked = await runThread(graph, { cents: 5 }, { threadId: "t" });
      expect(asked.status).toBe("waiting_human");
      expect(fellBack).toBe(false);
      expect(JSON.stringify(asked.waitingFor)).toMatch(
        /not known whether effect \\"charge\\" happened: socket hang up/,
      );
      // A retry alone changes nothing.
      expect((await resumeThread(graph, "t", { action: "retry" })).status).toBe("waiting_human");
      expect(world.asked).toHaveLength(1);
      const [open] = await listEffects(graph, "t");
      expect(open).toMatchObject({ state: "unknown", error: { code: "ECONNRESET" } });
      const receipt = { id: "looked up", cents: 5 };
      await settleEffect(graph, "t", open?.key.slice(0, 8) ?? "", {
        happened: true,
        receipt,
        by: "ada",
        reason: "seen",
      });
      const resumed = await resumeThread(graph, "t", { action: "retry" });
      expect(resumed).toMatchObject({ status: "succeeded", values: { done: ["looked up"] } });
      expect(world.asked).toHaveLength(1);
      expect(await listEffects(graph, "t")).toMatchObject([
        { state: "confirmed", settledBy: { by: "ada", reason: "seen" }, receipt },
      ]);
    });

    it("is done by a retry once a person has said that it did not happen", async () => {
      const charge = effectOn(world);
      world.script.push("hang before");
      const slow = effectOn(world, { timeout: { baseMs: 10 } });
      const graph = graphOf(async ({ cents }, config) => {
        const effect = world.script.length > 0 ? slow : charge;
        return { done: [(await effect({ cents }, config)).id] };
      });
      expect((await runThread(graph, { cents: 5 }, { threadId: "t" })).status).toBe("waiting_human");
      const [open] = await listEffects(graph, "t");
      await settleEffect(graph, "t", open?.key ?? "", { happened: false, by: "ada" });
      expect((await resumeThread(graph, "t", { action: "retry" })).status).toBe("succeeded");
      expect(world.deeds).toHaveLength(1);
    });

    it("counts when its answer comes late, and is not called beside", async () => {
      let answer: (id: string) => void = () => {};
      let calls = 0;
      const deaf = defineEffect({
        name: "deaf",
        kind: "idempotent",
        input: z.object({}),
        output: z.string(),
        timeout: { baseMs: 20 },
        run: () => {
          calls += 1;
          return new Promise<string>((resolve) => {
            answer = resolve;
          });
        },
      });
      const graph = graphOf(async (_, config) => {
        const before = calls;
        if (before === 1) setTimeout(() => answer("late"), 5);
        return { done: [await deaf({}, config)] };
      });
      const { values } = await runThread(graph, { cents: 0 }, { threadId: "t" });
      expect(values.done).toEqual(["late"]);
      expect(calls).toBe(1);
    });
  });

  it("is not done again for another input of the same step", async () => {
    const charge = effectOn(world);
    let cents = 5;
    const graph = graphOf(async (_, config) => {
      await charge({ cents: cents++ }, config);
      throw fault("unavailable", { status: 503 });
    });
    const { status, waitingFor } = await runThread(graph, { cents: 0 }, { threadId: "t" });
    expect(status).toBe("waiting_human");
    expect(JSON.stringify(waitingFor)).toContain("with another input: it was done with one");
    expect(world.asked).toHaveLength(1);
  });

  it("whose receipt is not what was promised is kept, and not done again", async () => {
    const charge = effectOn(world, { output: z.object({ id: z.string(), cents: z.string() }) as never });
    const graph = graphOf(async ({ cents }, config) => ({ done: [(await charge({ cents }, config)).id] }));
    const { status, waitingFor } = await runThread(graph, { cents: 5 }, { threadId: "t" });
    expect(status).toBe("waiting_human");
    expect(JSON.stringify(waitingFor)).toContain("its receipt does not fit its output schema: cents");
    expect((await resumeThread(graph, "t", { action: "retry" })).status).toBe("waiting_human");
    expect(world.asked).toHaveLength(1);
    expect(await states(graph)).toEqual(["confirmed"]);
  });

  describe("of a step that a person sends back", () => {
    it.each(["retry", "adjust", "fallback"] as const)("by %s is the one that was done", async (action) => {
      const charge = effectOn(world);
      let isDown = true;
      const node = async (_: S, config: never) => {
        const { id } = await charge({ cents: 5 }, config);
        if (isDown) throw fault("no access", { status: 401 });
        return { done: [id] };
      };
      const graph = graphOf(node, { fallback: [{ name: "again", run: node }] });
      expect((await runThread(graph, { cents: 5 }, { threadId: "t" })).status).toBe("waiting_human");
      expect((await resumeThread(graph, "t", { action: "retry" })).status).toBe("waiting_human");
      isDown = false;
      const decision = action === "adjust" ? { action, state: { cents: 9 } } : { action };
      expect((await resumeThread(graph, "t", decision)).status).toBe("succeeded");
      expect(world.asked).toHaveLength(1);
    });
  });

  describe("on a branch of the thread", () => {
    const forked = async (onFork: "reuse" | "rerun" | "forbid", how: "from" | "updateState" | "another input") => {
      const charge = effectOn(world, { onFork });
      const builder = new StateGraph(State)
        .addNode("first", async () => ({ done: ["first"] }))
        .addNode(
          "pay",
          resilient(async ({ cents }: S, config) => ({ done: [(await charge({ cents }, config)).id] }), quick),
        )
        .addNode("last", async () => ({ done: ["last"] }))
        .addEdge(START, "first")
        .addEdge("first", "pay")
        .addEdge("pay", "last")
        .addEdge("last", END);
      installRecovery(builder);
      const graph = builder.compile({ checkpointer: persistence().checkpointer });
      const first = await runThread(graph, { cents: 5 }, { threadId: "t" });
      const config = { configurable: { thread_id: first.threadId } };
      const history = [];
      for await (const snapshot of graph.getStateHistory(config)) history.push(snapshot);
      const before = history.find(({ next }) => next[0] === "pay");
      if (before === undefined) throw new Error("no such checkpoint");
      if (how === "from")
        return resumeThread(graph, "t", undefined, { from: String(before.config.configurable?.checkpoint_id) });
      const values = how === "another input" ? { cents: 7 } : { done: ["by hand"] };
      await graph.updateState(before.config, values, "first");
      return resumeThread(graph, "t");
    };

    it.each(["from", "updateState"] as const)("is taken over with its receipt (%s)", async (how) => {
      const { status, values } = await forked("reuse", how);
      expect(status).toBe("succeeded");
      expect(world.asked).toHaveLength(1);
      expect((values.done as string[]).filter((one) => one.startsWith("receipt"))).toEqual([
        `receipt of ${world.deeds[0]?.key}`,
      ]);
    });

    it("is done again if it says so, with a key of its own", async () => {
      expect((await forked("rerun", "from")).status).toBe("succeeded");
      expect(new Set(world.asked.map(({ key }) => key)).size).toBe(2);
    });

    it("goes to a person if it says so", async () => {
      const { status, waitingFor } = await forked("forbid", "from");
      expect(status).toBe("waiting_human");
      expect(JSON.stringify(waitingFor)).toContain('\\"confirmed\\" on the branch of the thread that this one left');
      expect(world.asked).toHaveLength(1);
    });

    it("is no stale receipt for another input", async () => {
      const { status, waitingFor } = await forked("reuse", "another input");
      expect(status).toBe("waiting_human");
      expect(JSON.stringify(waitingFor)).toContain("with another input: the branch");
      expect(world.asked).toHaveLength(1);
    });

    it("keeps to the order of those that were done where there were several", async () => {
      const charge = effectOn(world);
      const builder = new StateGraph(State)
        .addNode("pay", async ({ cents, done }: S, config) => ({
          cents: cents + 1,
          done: [`${(await charge({ cents: cents % 2 }, config)).id} after ${done.length}`],
        }))
        .addEdge(START, "pay")
        .addConditionalEdges("pay", ({ done }) => (done.length < 4 ? "pay" : END));
      const graph = builder.compile({ checkpointer: persistence().checkpointer });
      const first = await runThread(graph, { cents: 0 }, { threadId: "t" });
      expect(world.asked.map(({ cents }) => cents)).toEqual([0, 1, 0, 1]);
      const history = [];
      for await (const snapshot of graph.getStateHistory({ configurable: { thread_id: first.threadId } }))
        history.push(snapshot);
      for (const done of [1, 0, 2]) {
        const from = history.find(({ values }) => values.done?.length === done && values.cents === done);
        const branch = await resumeThread(graph, "t", undefined, {
          from: String(from?.config.configurable?.checkpoint_id),
        });
        expect(branch.values).toEqual(first.values);
      }
      expect(world.asked).toHaveLength(4);
      // What was never done on any branch is done.
      await runThread(graph, { cents: 0, done: [] }, { threadId: "t", ifExists: "newTurn" });
    });
  });

  it("of a subgraph that its node runs again is the one that was done", async () => {
    const charge = effectOn(world);
    let fails = 2;
    const inner = new StateGraph(State)
      .addNode("pay", async ({ cents }: S, config) => ({ done: [(await charge({ cents }, config)).id] }))
      .addNode("after", async () => {
        if (fails-- > 0) throw fault("unavailable", { status: 503 });
        return {};
      })
      .addEdge(START, "pay")
      .addEdge("pay", "after")
      .addEdge("after", END)
      .compile();
    const builder = new StateGraph(State)
      .addNode(
        "outer",
        resilient(async ({ cents }: S, config) => ({ done: (await inner.invoke({ cents }, config)).done }), {
          retry: { initialDelayMs: 1, maxAttempts: 2 },
        }),
      )
      .addEdge(START, "outer")
      .addEdge("outer", END);
    installRecovery(builder);
    const graph = builder.compile({ checkpointer: persistence().checkpointer });
    expect((await runThread(graph, { cents: 5 }, { threadId: "t" })).status).toBe("waiting_human");
    const resumed = await resumeThread(graph, "t", { action: "retry" });
    expect(resumed.status).toBe("succeeded");
    expect(world.asked).toHaveLength(1);
  });

  it("of a graph that its node calls twice is done in each call, and in none again when the node is tried again", async () => {
    const charge = effectOn(world);
    let fails = 2;
    const inner = new StateGraph(State)
      .addNode("pay", async ({ cents }: S, config) => ({ done: [(await charge({ cents }, config)).id] }))
      .addEdge(START, "pay")
      .addEdge("pay", END)
      .compile();
    const graph = graphOf(async ({ cents }, config) => {
      const once = await inner.invoke({ cents }, config);
      const twice = await inner.invoke({ cents }, config);
      if (fails-- > 0) throw fault("unavailable", { status: 503 });
      return { done: [...once.done, ...twice.done] };
    });
    const { status, values } = await runThread(graph, { cents: 5 }, { threadId: "t" });
    expect(status).toBe("succeeded");
    expect(world.asked).toHaveLength(2);
    expect(values.done).toEqual(world.deeds.map(({ key }) => `receipt of ${key}`));
  });

  it("of a node that asks before and after is done once", async () => {
    const charge = effectOn(world);
    const graph = graphOf(async ({ cents }, config) => {
      const before = interrupt("may I?") as string;
      const { id } = await charge({ cents }, config);
      return { done: [before, id, interrupt("thank you?") as string] };
    });
    await runThread(graph, { cents: 5 }, { threadId: "t" });
    await resumeThread(graph, "t", "yes");
    const { values } = await resumeThread(graph, "t", "welcome");
    expect(values.done).toEqual(["yes", `receipt of ${world.deeds[0]?.key}`, "welcome"]);
    expect(world.asked).toHaveLength(1);
  });

  it("of an answer that is addressed to an old checkpoint is the one that was done", async () => {
    const charge = effectOn(world);
    const builder = new StateGraph(State)
      .addNode("pay", async ({ cents }: S, config) => {
        const answer = interrupt("how much?") as number;
        return { done: [`${answer}: ${(await charge({ cents: cents + answer }, config)).id}`] };
      })
      .addEdge(START, "pay")
      .addEdge("pay", END);
    const graph = builder.compile({ checkpointer: persistence().checkpointer });
    const config = { configurable: { thread_id: "t" } };
    await graph.invoke({ cents: 5 }, config);
    const asking = (await graph.getState(config)).config;
    await graph.invoke(new Command({ resume: 1 }), asking);
    await graph.invoke(new Command({ resume: 1 }), asking);
    expect(world.asked).toHaveLength(1);
    await graph.invoke(new Command({ resume: 2 }), asking).catch(() => {});
    expect(world.asked).toHaveLength(1);
  });

  it("of parallel workers is done once for each", async () => {
    const charge = effectOn(world);
    let fails = 1;
    const builder = new StateGraph(State)
      .addNode("start", async () => ({}))
      .addNode(
        "pay",
        resilient(async ({ cents }: S, config) => {
          const { id } = await charge({ cents }, config);
          if (cents === 2 && fails-- > 0) throw fault("unavailable", { status: 503 });
          return { done: [id] };
        }, quick),
      )
      .addEdge(START, "start")
      .addConditionalEdges("start", () => [1, 2, 3].map((cents) => new Send("pay", { cents })), ["pay"])
      .addEdge("pay", END);
    installRecovery(builder);
    const graph = builder.compile({ checkpointer: persistence().checkpointer });
    expect((await runThread(graph, { cents: 0 }, { threadId: "t" })).status).toBe("succeeded");
    expect(world.asked.map(({ cents }) => cents).toSorted()).toEqual([1, 2, 3]);
  });

  describe("is refused, and nothing is called,", () => {
    const refusal = async (compile: object, invoke: object, inside = true) => {
      const charge = effectOn(world);
      const graph = new StateGraph(State)
        .addNode("pay", async ({ cents }: S, config) => ({
          done: [(await charge({ cents }, inside ? config : {})).id],
        }))
        .addEdge(START, "pay")
        .addEdge("pay", END)
        .compile(compile);
      const error = await graph.invoke({ cents: 5 }, { configurable: { thread_id: "t" }, ...invoke }).catch((e) => e);
      expect(world.asked).toHaveLength(0);
      return error;
    };

    it("without a checkpointer", async () => {
      expect(await refusal({}, {})).toMatchObject({
        code: "EFFECT_NOT_RECORDED",
        message: expect.stringContaining("outside of a graph that has a checkpointer"),
      });
    });

    it("with a checkpointer that has no ledger", async () => {
      expect(await refusal({ checkpointer: new MemorySaver() }, {})).toMatchObject({
        message: expect.stringContaining("has no ledger"),
      });
    });

    it("with durability exit", async () => {
      expect(await refusal({ checkpointer: persistence().checkpointer }, { durability: "exit" })).toMatchObject({
        code: "EFFECT_NOT_RECORDED",
        message: expect.stringContaining('Durability "exit" stores none'),
      });
    });

    it("for an input that does not fit", async () => {
      const charge = effectOn(world);
      const graph = graphOf(async (_, config) => ({ done: [(await charge({ cents: "5" as never }, config)).id] }));
      const { status, error } = await runThread(graph, { cents: 5 }, { threadId: "t" });
      expect(status).toBe("failed");
      expect(error?.message).toContain('Effect "charge" was not begun: its input does not fit: cents');
      expect(world.asked).toHaveLength(0);
    });
  });

  it("takes its config from the running node where none is given", async () => {
    const charge = effectOn(world);
    const graph = graphOf(async ({ cents }) => ({ done: [(await charge({ cents })).id] }));
    expect((await runThread(graph, { cents: 5 }, { threadId: "t" })).status).toBe("succeeded");
    expect(await states(graph)).toEqual(["confirmed"]);
  });

  it("that reads is called each time and leaves no entry", async () => {
    const look = effectOn(world, { kind: "read" });
    let fails = 1;
    const graph = graphOf(async ({ cents }, config) => {
      await look({ cents }, config);
      if (fails-- > 0) throw fault("unavailable", { status: 503 });
      return {};
    });
    expect((await runThread(graph, { cents: 5 }, { threadId: "t" })).status).toBe("succeeded");
    expect(world.asked).toHaveLength(2);
    expect(await states(graph)).toEqual([]);
  });
});

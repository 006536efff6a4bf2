/** What a step does to the outside world, once. */
import { END, MemorySaver, START, StateGraph } from "@langchain/langgraph";
import { beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { defineEffect } from "../../../src/langgraph/effects/define-effect.js";
import { listEffects, settleEffect } from "../../../src/langgraph/effects/ledger-of-thread.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { recovering, type S, State } from "./paying-graphs.js";
import { effectOn, fault, newWorld, probeOf, stores, type World } from "./world.js";

describe.each(stores)("an effect (%s)", (_, open) => {
  const { persistence } = open();
  let world: World;
  beforeEach(() => {
    world = newWorld();
  });

  const graphOf = (node: Parameters<typeof recovering>[1], options = {}) => recovering(persistence(), node, options);
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

/** What TypeScript infers: these tests fail to compile, not to run. */
import { Annotation, END, type LangGraphRunnableConfig, MemorySaver, START, StateGraph } from "@langchain/langgraph";
import { describe, expect, expectTypeOf, it } from "vitest";
import { z } from "zod";
import { installRecovery } from "../../../src/langgraph/install-recovery.js";
import { type DecoratedNode, resilient } from "../../../src/langgraph/resilient.js";
import { withFallback, withRetry, withTimeout } from "../../../src/langgraph/single-rungs.js";

const ZodState = z.object({ orderId: z.string(), cents: z.number(), letter: z.string().optional() });
type S = z.infer<typeof ZodState>;
const AnnotatedState = Annotation.Root({ cents: Annotation<number>, letter: Annotation<string> });
type A = typeof AnnotatedState.State;

describe("types", () => {
  it("of a decorated node are those of the node and of its fallbacks", () => {
    const node = resilient(async (s: S) => ({ letter: s.orderId }), {
      fallback: [
        {
          name: "template",
          run: (s, config, failure) => {
            expectTypeOf(s).toEqualTypeOf<S>();
            expectTypeOf(config).toEqualTypeOf<LangGraphRunnableConfig>();
            expectTypeOf(failure.category).toBeString();
            return { letter: `Refunded ${s.cents} cents.` };
          },
        },
      ],
      validate: (result) => {
        expectTypeOf(result.letter).toBeString();
        return undefined;
      },
    });
    expectTypeOf(node).parameter(0).toEqualTypeOf<S>();
    expectTypeOf<Awaited<ReturnType<typeof node>>>().toExtend<{ letter: string }>();
    expectTypeOf(withRetry(async (s: S) => ({ cents: s.cents }))).toEqualTypeOf<DecoratedNode<S, { cents: number }>>();
    expectTypeOf(withTimeout(async (_: S) => ({ cents: 1 }))).toEqualTypeOf<DecoratedNode<S, { cents: number }>>();
    expectTypeOf(
      withFallback(async (_: S) => ({ cents: 1 }), [{ name: "f", run: () => ({ letter: "x" }) }]),
    ).toEqualTypeOf<DecoratedNode<S, { cents: number } | { letter: string }>>();
    expect(node.name).toBe("node");
  });

  it("of a graph with a zod state stay inferred through addNode, as in the README", async () => {
    const builder = new StateGraph(ZodState)
      .addNode(
        "refund",
        resilient(async (s: S, config) => {
          expectTypeOf(config).toEqualTypeOf<LangGraphRunnableConfig>();
          return { cents: s.cents };
        }),
      )
      .addNode(
        "write",
        resilient(async (s: S) => ({ letter: `Confirm ${s.cents}` }), {
          fallback: [{ name: "template", run: (s) => ({ letter: `Refunded ${s.cents} cents.` }) }],
        }),
      )
      .addEdge(START, "refund")
      .addEdge("refund", "write")
      .addEdge("write", END);
    const installed = installRecovery(builder);
    expectTypeOf(installed).toEqualTypeOf(builder);
    const graph = builder.compile({ checkpointer: new MemorySaver() });
    const result = await graph.invoke({ orderId: "17", cents: 100 }, { configurable: { thread_id: "t" } });
    expectTypeOf(result.letter).toEqualTypeOf<string | undefined>();
    expect(result.letter).toBe("Confirm 100");
    const node = resilient(async (_: S) => ({}));
    const other = new StateGraph(ZodState).addNode("a", node);
    // @ts-expect-error an edge to a node that does not exist
    other.addEdge(START, "b");
  });

  it("of state and update are inferred where nodes are added as a record, without an annotation", () => {
    new StateGraph(ZodState).addNode({
      write: resilient(async (s) => {
        expectTypeOf(s.orderId).toEqualTypeOf<string>();
        return { letter: s.orderId };
      }),
    });
    new StateGraph(AnnotatedState).addNode({
      write: withRetry(async (s) => {
        expectTypeOf(s).toEqualTypeOf<A>();
        return { letter: String(s.cents) };
      }),
    });
    expect(resilient(async () => ({})).name).toBe("node");
  });

  it("of a graph with annotations stay inferred through addNode", async () => {
    const graph = new StateGraph(AnnotatedState)
      .addNode(
        "a",
        resilient(async (s: A) => ({ letter: `${s.cents}` }), { retry: false }),
      )
      .addNode(
        "b",
        withRetry(async (s: typeof AnnotatedState.State) => ({ cents: s.cents + 1 })),
      )
      .addEdge(START, "a")
      .addEdge("a", "b")
      .compile();
    const result = await graph.invoke({ cents: 1 });
    expectTypeOf(result).toEqualTypeOf<{ cents: number; letter: string }>();
    expect(result).toEqual({ cents: 2, letter: "1" });
  });

  it("of options refuse what does not exist", () => {
    // @ts-expect-error no such option
    expect(() => resilient(async (_: S) => ({}), { retries: 3 })).toThrow();
    const step = { name: "f", run: () => ({}), when: ["weather"] as const };
    // @ts-expect-error no such category
    expect(() => resilient(async (_: S) => ({}), { fallback: [step] })).toThrow();
  });
});

/** LangGraph steers by throwing. Whatever decorators stand around a node, in whatever order: they let it through. */
import {
  Command,
  GraphBubbleUp,
  GraphDrained,
  GraphInterrupt,
  interrupt,
  MemorySaver,
  ParentCommand,
  START,
  StateGraph,
} from "@langchain/langgraph";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CATEGORIES } from "../../src/errors/categories.js";
import { type Node, resilient } from "../../src/langgraph/resilient.js";
import {
  withBulkhead,
  withCache,
  withCircuitBreaker,
  withFallback,
  withRetry,
  withTimeout,
} from "../../src/langgraph/single-rungs.js";
import type { BreakerOptions } from "../../src/policies/breaker/breaker-options.js";
import { protect } from "../../src/policies/protect.js";
import { createService, serviceSchema } from "../../src/policies/service.js";
import { FakeClock } from "../support/fake-clock.js";
import { type Log, LogState, unavailable } from "../support/graphs.js";

type Update = Partial<Log>;
type TestNode = Node<Log, Update>;

const input: Log = { log: [], value: 1 };

/** What a decorator must not do; each call of these is noted. */
const instead = (log: string[]): Update => {
  log.push("fallback");
  return { log: ["fallback"] };
};
const retryOf = (log: string[]) => ({ initialDelayMs: 0, onRetry: () => void log.push("retry"), retryOn: () => true });
/** One failure opens it. */
const touchy: BreakerOptions = { trip: { kind: "consecutive", failures: 1 }, counts: [...CATEGORIES] };
/** One caller at a time, and nobody waits. */
const narrow = { maxConcurrent: 1, maxQueue: 0 };

/** Each with limits so tight that whatever it counted, kept or did not give back would show in the next call. */
const DECORATORS: Record<string, (node: TestNode, log: string[]) => TestNode> = {
  withRetry: (node, log) => withRetry(node, retryOf(log)),
  withTimeout: (node) => withTimeout(node, { deadlineMs: 60_000, firstTokenMs: 60_000, idleMs: 60_000 }),
  withFallback: (node, log) => withFallback(node, [{ name: "f", when: [...CATEGORIES], run: () => instead(log) }]),
  withCircuitBreaker: (node) => withCircuitBreaker(node, touchy),
  withBulkhead: (node) => withBulkhead(node, narrow),
  withCache: (node) => withCache(node, { ttlMs: 60_000, staleIfErrorMs: 60_000 }),
  resilient: (node, log) =>
    resilient(node, {
      retry: retryOf(log),
      timeout: { deadlineMs: 60_000 },
      circuitBreaker: touchy,
      bulkhead: narrow,
      retryBudget: { ratio: 0, minRetries: 1 },
      cache: { ttlMs: 60_000 },
      fallback: [{ name: "f", when: [...CATEGORIES], run: () => instead(log) }],
      validate: () => void log.push("validate"),
    }),
  protect: (node, log) => {
    const call = protect(async (run: () => Promise<Update>) => await run(), {
      retry: retryOf(log),
      timeout: { deadlineMs: 60_000 },
      circuitBreaker: touchy,
      bulkhead: narrow,
      fallback: [{ name: "f", when: [...CATEGORIES], run: () => instead(log) }],
      onFailedAttempt: () => void log.push("failed attempt"),
    });
    return (state, config) => call(async () => await node(state, config), { signal: config.signal });
  },
};

const CONTROL_FLOW = {
  interrupt: () => new GraphInterrupt([{ id: "i", value: "proceed?" }]),
  parentCommand: () => new ParentCommand(new Command({ graph: Command.PARENT, goto: "there" })),
  drained: () => new GraphDrained("deploy"),
  bubbleUp: () => new GraphBubbleUp("up"),
  // Two copies of LangGraph may be loaded, so the flag counts and not the class.
  ofAnotherCopy: () => Object.assign(new Error("up"), { is_bubble_up: true }),
};

/** Innermost first; the same one several times, too. */
const stack = fc.array(fc.constantFrom(...Object.keys(DECORATORS)), { minLength: 1, maxLength: 6 });
const steering = fc.constantFrom(...(Object.keys(CONTROL_FLOW) as (keyof typeof CONTROL_FLOW)[]));

function stacked(names: readonly string[], node: TestNode, log: string[]): TestNode {
  return names.reduce((within, name) => DECORATORS[name]?.(within, log) ?? within, node);
}

describe("LangGraph's control flow", () => {
  it("passes through every decorator in every order: the very same object, nothing counted, nothing kept", async () => {
    await fc.assert(
      fc.asyncProperty(
        stack,
        fc.array(steering, { minLength: 2, maxLength: 3 }),
        fc.boolean(),
        async (names, steered, throwsLater) => {
          const log: string[] = [];
          const thrown: unknown[] = [];
          let calls = 0;
          const node = stacked(
            names,
            (): Update | Promise<Update> => {
              const signal = CONTROL_FLOW[steered[calls] ?? "interrupt"]();
              calls += 1;
              thrown.push(signal);
              if (throwsLater) return new Promise((_, reject) => setImmediate(reject, signal));
              throw signal;
            },
            log,
          );
          for (const [index] of steered.entries()) {
            const caught = await Promise.resolve()
              .then(() => node(input, {}))
              .catch((error: unknown) => error);
            expect(caught).toBe(thrown[index]);
            expect(calls).toBe(index + 1);
          }
          expect(log).toEqual([]);
        },
      ),
      { numRuns: 200 },
    );
  });

  it("after a failure leaves that one attempt counted and no other", async () => {
    await fc.assert(
      fc.asyncProperty(stack, steering, async (names, kind) => {
        const log: string[] = [];
        let calls = 0;
        const signal = CONTROL_FLOW[kind]();
        const once: TestNode = () => {
          calls += 1;
          if (calls === 1) throw unavailable();
          throw signal;
        };
        const node = stacked(names, withRetry(once, { initialDelayMs: 0, onRetry: () => void log.push("retry") }), log);
        const caught = await Promise.resolve()
          .then(() => node(input, {}))
          .catch((error: unknown) => error);
        expect(caught).toBe(signal);
        expect(calls).toBe(2);
        expect(log).toEqual(["retry"]);
      }),
      { numRuns: 100 },
    );
  });

  it("of a half-open circuit's probe gives the probe back", async () => {
    await fc.assert(
      fc.asyncProperty(steering, fc.integer({ min: 1, max: 5 }), async (kind, times) => {
        const clock = new FakeClock();
        const service = createService(
          "s",
          serviceSchema.parse({
            circuitBreaker: { ...touchy, recoveryMs: 1000, halfOpenSuccesses: 1 },
            bulkhead: narrow,
            clock,
          }),
        );
        const { breaker, bulkhead } = service.guards();
        let next: () => Update = () => {
          throw unavailable();
        };
        const node = resilient(async (_: Log) => next(), { service, clock, retry: false });
        await expect(node(input, {})).rejects.toMatchObject({ status: 503 });
        await clock.advance(1000);
        for (let time = 0; time < times; time += 1) {
          const signal = CONTROL_FLOW[kind]();
          next = () => {
            throw signal;
          };
          await expect(node(input, {})).rejects.toBe(signal);
          expect(bulkhead?.inFlight).toBe(0);
        }
        next = () => ({ log: ["done"] });
        expect(await node(input, {})).toEqual({ log: ["done"] });
        expect(breaker?.state.kind).toBe("closed");
        expect(clock.alarms).toEqual([]);
      }),
      { numRuns: 40 },
    );
  });

  it("pauses and resumes a real graph through every stack", async () => {
    await fc.assert(
      fc.asyncProperty(stack, fc.integer({ min: 1, max: 3 }), async (names, questions) => {
        const log: string[] = [];
        const asks: TestNode = () => ({
          log: Array.from({ length: questions }, (_, index) => String(interrupt(`question ${index}`))),
        });
        const graph = new StateGraph(LogState)
          .addNode("node", stacked(names, asks, log))
          .addEdge(START, "node")
          .compile({ checkpointer: new MemorySaver() });
        const config = { configurable: { thread_id: "t" } };
        let state: unknown = await graph.invoke({ value: 1 }, config);
        for (let index = 0; index < questions; index += 1) {
          expect(state).toMatchObject({ __interrupt__: [{ value: `question ${index}` }] });
          state = await graph.invoke(new Command({ resume: `answer ${index}` }), config);
        }
        expect(state).toMatchObject({ log: Array.from({ length: questions }, (_, index) => `answer ${index}`) });
        expect(log.filter((entry) => entry !== "validate")).toEqual([]);
      }),
      { numRuns: 25 },
    );
  });
});

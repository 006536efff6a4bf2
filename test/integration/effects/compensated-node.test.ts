/** A node that says itself how it is undone. */
import { AIMessage } from "@langchain/core/messages";
import { Command, END, interrupt, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { onCrashPoint } from "../../../src/core/crash-points.js";
import { attempt } from "../../../src/langgraph/attempt-scope.js";
import { listEffects } from "../../../src/langgraph/effects/ledger-of-thread.js";
import { installRecovery } from "../../../src/langgraph/install-recovery.js";
import { resilient } from "../../../src/langgraph/resilient.js";
import type { ResilientOptions } from "../../../src/langgraph/resilient-options.js";
import { rollback } from "../../../src/langgraph/rollback/rollback.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { fault, stores } from "./world.js";

type Update = Partial<typeof MessagesAnnotation.State>;
type Work = (state: typeof MessagesAnnotation.State, config: never) => unknown;

describe.each(stores)("a node with compensate (%s)", (_, open) => {
  const { persistence } = open();
  const keys: (string | undefined)[] = [];
  const undone: [result: unknown, key: string][] = [];
  beforeEach(() => {
    keys.length = 0;
    undone.length = 0;
  });
  afterEach(() => onCrashPoint(undefined));

  const greet: Work = (_, config) => {
    keys.push(attempt(config).idempotencyKey);
    return { messages: [new AIMessage({ content: "booked", id: "m" })] };
  };
  const graphOf = (work: Work, options: ResilientOptions<never, never> = {}) => {
    const builder = new StateGraph(MessagesAnnotation)
      .addNode(
        "book",
        resilient(work as never, {
          name: "book a flight",
          retry: { initialDelayMs: 1 },
          compensate: ((result: Update, { idempotencyKey }: { idempotencyKey: string }) => {
            undone.push([result, idempotencyKey]);
          }) as never,
          ...options,
        }) as never,
      )
      .addEdge(START, "book" as never)
      .addEdge("book" as never, END);
    installRecovery(builder);
    return builder.compile({ checkpointer: persistence().checkpointer });
  };

  it("is taken back by what it returned, under a key of its own, and done anew under another", async () => {
    const graph = graphOf(greet);
    expect((await runThread(graph, { messages: [] }, { threadId: "t" })).status).toBe("succeeded");
    expect(await rollback(graph, "t", { to: { before: "book" } })).toMatchObject({
      undone: [{ effect: "book-a-flight", node: "book" }],
    });
    expect(undone).toEqual([[{ messages: [expect.objectContaining({ content: "booked" })] }, `${keys[0]}-undo`]]);
    expect(undone[0]?.[0]).toMatchObject({ messages: [expect.any(AIMessage)] });
    expect((await resumeThread(graph, "t")).status).toBe("succeeded");
    expect(new Set(keys).size).toBe(2);
  });

  it("is tried again with the same key, whatever came of the attempt before", async () => {
    let failures = 2;
    const graph = graphOf((state, config) => {
      if (failures-- > 0) {
        keys.push(attempt(config).idempotencyKey);
        throw fault("unavailable", { status: 503 });
      }
      return greet(state, config);
    });
    expect((await runThread(graph, { messages: [] }, { threadId: "t" })).status).toBe("succeeded");
    expect(keys).toHaveLength(3);
    expect(new Set(keys).size).toBe(1);
    expect(await listEffects(graph, "t")).toMatchObject([{ state: "confirmed", calls: 3 }]);
  });

  it("is not run again once its result is kept, messages and all", async () => {
    const graph = graphOf(greet);
    onCrashPoint((point) => {
      if (point === "node.attempt.after") throw fault("died", { code: "CANCELLED" });
    });
    await runThread(graph, { messages: [] }, { threadId: "t", lock: false });
    onCrashPoint(undefined);
    const { status, values } = await resumeThread(graph, "t", undefined, { lock: false });
    expect(status).toBe("succeeded");
    expect(values.messages).toMatchObject([{ content: "booked" }]);
    expect(keys).toHaveLength(1);
  });

  it("may ask a person before", async () => {
    const graph = graphOf((state, config) => {
      interrupt("book it?");
      return greet(state, config);
    });
    expect((await runThread(graph, { messages: [] }, { threadId: "t" })).status).toBe("waiting_human");
    expect((await resumeThread(graph, "t", "yes")).status).toBe("succeeded");
    expect(keys).toHaveLength(1);
  });

  it("has a name, no cache, and returns no command", async () => {
    expect(() => resilient(async () => ({}), { compensate: () => {} })).toThrow(/give \{ name \}/);
    expect(() => resilient(async function named() {}, { compensate: () => {}, cache: { ttlMs: 1 } as never })).toThrow(
      /before it was undone/,
    );
    const graph = graphOf(() => new Command({ goto: END }), { retry: false });
    const { error } = await runThread(graph, { messages: [] }, { threadId: "t" });
    expect(error?.message).toMatch(/returned a Command, which cannot be kept/);
  });
});

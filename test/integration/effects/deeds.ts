/** Deeds that can be undone, written down in the order they happened; each can be made to fail. And graphs that do them. */
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { z } from "zod";
import type { Persistence } from "../../../src/core/ports.js";
import { defineEffect } from "../../../src/langgraph/effects/define-effect.js";
import { installRecovery, type RecoveryOptions } from "../../../src/langgraph/install-recovery.js";
import { resilient } from "../../../src/langgraph/resilient.js";
import { fault } from "./world.js";

export const State = Annotation.Root({
  done: Annotation<string[]>({ reducer: (a, b) => a.concat(b), default: () => [] }),
});
export type S = typeof State.State;

export function newDeeds() {
  /** What happened and was undone, in order. */
  const log: string[] = [];
  /** What is to fail next, by what it would have been written down as. */
  const failing = new Map<string, Error[]>();
  const happen = (what: string) => {
    const error = failing.get(what)?.shift();
    if (error !== undefined) throw error;
    log.push(what);
  };
  return {
    log,
    failing,
    happen,
    failNext: (what: string, error: Error, times = 1) => failing.set(what, Array(times).fill(error)),
    reset() {
      log.length = 0;
      failing.clear();
    },
    deed: (name: string, options: object = {}) =>
      defineEffect({
        name,
        kind: "reversible",
        input: z.object({}),
        output: z.object({ of: z.string() }),
        run: async () => {
          happen(name);
          return { of: name };
        },
        compensate: async ({ of }: { of: string }) => happen(`undo ${of}`),
        retry: { maxAttempts: 2, initialDelayMs: 1 },
        ...options,
      }),
  };
}

type Deeds = ReturnType<typeof newDeeds>;

/** Nodes that do deeds, and graphs of them one after the other. */
export function doing(deeds: Deeds, persistence: () => Persistence) {
  const effects = new Map(["order", "charge", "stock", "ship", "note"].map((name) => [name, deeds.deed(name)]));
  const declined = fault("declined", { status: 402 });
  const fails = (what: string) => deeds.failing.get(what)?.shift() !== undefined;
  return {
    effects,
    declined,
    /** A node that does the effect of its name, and may fail before and after that. */
    does: (name: string, options: object = {}, effect = effects.get(name)) =>
      resilient(
        async (_: S, config) => {
          if (fails(`!${name}`)) throw fault(`${name} is down`, { status: 403 });
          await effect?.({}, config);
          if (fails(`${name}!`)) throw fault(`${name} is broken`, { status: 403 });
          return { done: [name] };
        },
        { retry: false, ...options },
      ),
    breakNext: (name: string, times = 1) => deeds.failNext(`${name}!`, declined, times),
    breakBefore: (name: string, times = 1) => deeds.failNext(`!${name}`, declined, times),
    chain(nodes: Record<string, unknown>, options: RecoveryOptions = {}, compile: object = {}) {
      const builder = new StateGraph(State);
      let before: string = START;
      for (const [name, node] of Object.entries(nodes)) {
        builder.addNode(name, node as never);
        builder.addEdge(before as never, name as never);
        before = name;
      }
      builder.addEdge(before as never, END);
      installRecovery(builder, options);
      return builder.compile({ checkpointer: persistence().checkpointer, ...compile });
    },
  };
}

/** Deeds that can be undone, written down in the order they happened; each can be made to fail. */
import { z } from "zod";
import { defineEffect } from "../../../src/langgraph/effects/define-effect.js";

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

/** What is to be written before a persistence closes, by those who write to it in the background. */
import { asError } from "../errors/own-errors.js";

const hooks = new WeakMap<object, Set<() => Promise<void>>>();

export function beforeClose(persistence: object, hook: () => Promise<void>): void {
  const known = hooks.get(persistence) ?? new Set();
  known.add(hook);
  hooks.set(persistence, known);
}

/** Called by a persistence that is about to close. What cannot be written any more is warned of: closing goes on. */
export async function settleBeforeClose(persistence: object): Promise<void> {
  const known = [...(hooks.get(persistence) ?? [])];
  hooks.delete(persistence);
  const settled = await Promise.allSettled(known.map((hook) => hook()));
  for (const one of settled) {
    if (one.status === "fulfilled") continue;
    process.emitWarning(
      `On closing, what other processes should know could not be written: ${asError(one.reason).message}`,
      "ResilienceWarning",
    );
  }
}

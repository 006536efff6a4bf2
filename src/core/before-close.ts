/** What is to be written or ended before a persistence closes, by those who use it in the background. */
import { asError } from "../errors/own-errors.js";

type Hook = () => Promise<void>;

export interface BeforeCloseOptions {
  /** Called also where nothing was read or written: for what would go on for ever. Default false. */
  readonly evenUnused?: boolean;
}

const hooks = new WeakMap<object, Map<Hook, BeforeCloseOptions>>();
const closing = new WeakSet<object>();

/** @returns forgets it again: it is over by itself */
export function beforeClose(persistence: object, hook: Hook, options: BeforeCloseOptions = {}): () => void {
  const known = hooks.get(persistence) ?? new Map<Hook, BeforeCloseOptions>();
  known.set(hook, options);
  hooks.set(persistence, known);
  return () => void known.delete(hook);
}

/** Whether it is closed, or about to: who begins something now is not told of it any more. */
export function isClosing(persistence: object): boolean {
  return closing.has(persistence);
}

/**
 * Called by a persistence that is about to close. What cannot be written any more is warned of: closing goes on.
 *
 * @param wasUsed whether it has connected; without, there is nothing to write
 */
export async function settleBeforeClose(persistence: object, wasUsed = true): Promise<void> {
  closing.add(persistence);
  const known = [...(hooks.get(persistence) ?? [])];
  hooks.delete(persistence);
  const called = known.filter(([, { evenUnused = false }]) => wasUsed || evenUnused);
  const settled = await Promise.allSettled(called.map(([hook]) => hook()));
  for (const one of settled) {
    if (one.status === "fulfilled") continue;
    process.emitWarning(
      `On closing, what other processes should know could not be written: ${asError(one.reason).message}`,
      "ResilienceWarning",
    );
  }
}

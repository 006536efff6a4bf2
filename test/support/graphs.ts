/** Small graphs and failures that the tests of the ladder are made of. */
import { Annotation, MemorySaver } from "@langchain/langgraph";
import type { ResilienceEvent } from "../../src/core/events.js";
import type { RetryOptions } from "../../src/policies/retry-options.js";

/** A state that remembers which nodes ran, and one value that flows along. */
export const LogState = Annotation.Root({
  log: Annotation<string[]>({ reducer: (before, added) => before.concat(added), default: () => [] }),
  value: Annotation<number>,
});
export type Log = typeof LogState.State;

/** Waits of a millisecond: quick, and still waits. */
export const quick: RetryOptions = { initialDelayMs: 1, jitter: "none" };
/** No second attempt. */
export const once = { retry: false } as const;

export const httpError = (status: number, message = `answered ${status}`): Error =>
  Object.assign(new Error(message), { status });
export const errno = (code: string): Error => Object.assign(new Error(`connect ${code}`), { code });
export const unavailable = (): Error => httpError(503);
export const badInput = (): Error => httpError(422, "no such quarter");

/** Counts the calls of each name and fails as told: `fail.b = 2` fails the first two calls of "b". */
export function failures(plan: Record<string, number> = {}, error: (name: string) => unknown = unavailable) {
  const calls: Record<string, number> = {};
  return {
    plan,
    calls,
    /** Call it first in a node. */
    pass(name: string): void {
      calls[name] = (calls[name] ?? 0) + 1;
      if (calls[name] <= (plan[name] ?? 0)) throw error(name);
    },
  };
}

export interface Recorder {
  readonly events: ResilienceEvent[];
  readonly onEvent: (event: ResilienceEvent) => void;
  /** The types in order; those named only, where any are. */
  types(...only: string[]): string[];
}

export function recorder(): Recorder {
  const events: ResilienceEvent[] = [];
  return {
    events,
    onEvent: (event) => void events.push(event),
    types: (...only) => events.map((event) => event.type).filter((type) => only.length === 0 || only.includes(type)),
  };
}

/** A saver of which the test sees and steers each write, as a process that dies would. */
export class DyingSaver extends MemorySaver {
  /** Return false to lose the write. */
  keeps: (write: { taskId: string; channels: readonly string[] }) => boolean = () => true;

  override async putWrites(...parameters: Parameters<MemorySaver["putWrites"]>): Promise<void> {
    const [, writes, taskId] = parameters;
    if (this.keeps({ taskId, channels: writes.map(([channel]) => String(channel)) }))
      await super.putWrites(...parameters);
  }
}

/** Rejections nobody handled while `work` ran and for a moment after it. */
export async function unhandledDuring(work: () => Promise<unknown>, settleMs = 50): Promise<unknown[]> {
  const seen: unknown[] = [];
  const note = (reason: unknown) => void seen.push(reason);
  process.on("unhandledRejection", note);
  try {
    await work();
    await new Promise((resolve) => setTimeout(resolve, settleMs));
  } finally {
    process.off("unhandledRejection", note);
  }
  return seen;
}

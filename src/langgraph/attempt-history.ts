/**
 * The failed attempts of a step in a table of their own, written after an attempt failed and before the next begins, so
 * that whoever takes the thread over goes on counting. A step that succeeds at once reads and writes nothing.
 */
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import type { Clock } from "../core/clock.js";
import { persistenceOf } from "../core/persistence-of.js";
import type { Persistence } from "../core/ports.js";
import type { AttemptRecord } from "../core/records.js";
import type { AttemptScope, StoredAttempts } from "../core/store-ports.js";
import { rethrowControlFlow } from "../errors/control-flow.js";
import { asError } from "../errors/own-errors.js";
import { PROCESS_DIED } from "../errors/policy-errors.js";
import { checkpointerOf, mayHaveRunBefore, namespaceOf } from "./internals.js";

/** Configurable key: the run takes over from a process that died, although nothing else tells a step so. */
export const TAKEOVER_KEY = "__lgr_takeover";

/** What earlier processes have left of a step. */
export interface Earlier {
  readonly attempts: readonly AttemptRecord[];
  /** The number of the last question they asked; −1 where they asked none. */
  readonly asked: number;
}

export interface AttemptHistory {
  /**
   * The failed attempts of the step in earlier processes; the one that ended with its process counts as one. Undefined,
   * and nothing is read, where no earlier process can have begun the step.
   *
   * @param retries whether it makes more than one: a step that makes one is simply run again after a crash
   */
  earlier(step: string, retries: boolean): Promise<Earlier> | undefined;
  /**
   * Resolves when the record is durable.
   * @param asked the number of the last question of the step so far
   */
  append(record: AttemptRecord, asked: number): Promise<void>;
  /** Says how the steps were left; undefined where there is nothing to say it of. */
  leave(how: "succeeded" | "paused" | "ended"): Promise<void> | undefined;
}

/** A step that is not run again asks nothing again either, and what the next one asks must not get its answers. */
type KeptAttempt = AttemptRecord & { readonly asked?: number };

const NOTHING: readonly KeptAttempt[] = [];

/**
 * @param steps those that make more than one attempt
 * @returns undefined where there is nothing to count by: no thread, or a persistence that keeps no attempts
 */
export function attemptHistory(
  config: LangGraphRunnableConfig,
  persistence: Persistence | undefined,
  label: string,
  steps: () => readonly string[],
  clock: Clock,
): AttemptHistory | undefined {
  const store = persistence?.attempts;
  const configurable = config.configurable as Record<string, unknown> | undefined;
  const threadId = configurable?.thread_id;
  const checkpointId = config.executionInfo?.checkpointId;
  if (store === undefined || typeof threadId !== "string" || checkpointId === undefined) return undefined;
  const takenOver = mayHaveRunBefore(config);
  // One process died in one step; those after it had not begun.
  let processDied = takenOver && configurable?.[TAKEOVER_KEY] === true;
  let isTriedAnew = false;
  const scopeOf = (step: string): AttemptScope => ({
    threadId,
    step: [namespaceOf(config), checkpointId, label, step].join("/"),
  });
  /** Steps that have attempts in the store. */
  const stored = new Set<string>();
  /** Steps that may have some, left by an earlier process. */
  const unread = new Set(takenOver ? steps() : []);

  const append = async (record: AttemptRecord, asked: number): Promise<void> => {
    stored.add(record.step);
    const kept: KeptAttempt = asked < 0 ? record : { ...record, asked };
    await orWarn("written", store.append(scopeOf(record.step), kept));
  };
  const clearAll = async (): Promise<void> => {
    for (const step of [...stored, ...unread]) await orWarn("written", store.clear(scopeOf(step)));
    stored.clear();
    unread.clear();
  };

  const loaded = async (step: string, retries: boolean): Promise<readonly KeptAttempt[]> => {
    if (isTriedAnew) return NOTHING;
    unread.delete(step);
    const found = await orWarn("read", store.load(scopeOf(step)));
    if (found !== undefined) stored.add(step);
    const attempts: readonly KeptAttempt[] = found?.attempts ?? NOTHING;
    switch (howLeft(found, processDied)) {
      case "as recorded":
        return attempts;
      case "stopped":
        await orWarn("written", store.mark(scopeOf(step), "open"));
        return attempts;
      case "given up":
        // The failure went on from here, and whoever resumes has presumably mended what was wrong: all is tried anew.
        isTriedAnew = true;
        await clearAll();
        return NOTHING;
      case "died": {
        processDied = false;
        if (!retries) return attempts;
        const died = diedRecord((attempts.at(-1)?.number ?? 0) + 1, step, clock.now());
        await append(died, -1);
        return [...attempts, died];
      }
    }
  };

  const earlier = async (step: string, retries: boolean): Promise<Earlier> => {
    const kept = await loaded(step, retries);
    return {
      attempts: kept.map(({ asked: _, ...attempt }) => attempt),
      asked: Math.max(-1, ...kept.map(({ asked = -1 }) => asked)),
    };
  };

  const markAll = async (how: "paused" | "ended"): Promise<void> => {
    for (const step of stored) await orWarn("written", store.mark(scopeOf(step), how));
  };

  return {
    append,
    earlier: (step, retries) => (takenOver ? earlier(step, retries) : undefined),
    leave(how) {
      if (how !== "succeeded") return stored.size === 0 ? undefined : markAll(how);
      return stored.size + unread.size === 0 ? undefined : clearAll();
    },
  };
}

/**
 * The failed attempts of a task that had given up for good when its process died, so that the record of its failure died
 * too; undefined where it is not known to have, and may be tried anew.
 *
 * @param namespace of the task
 * @param steps in order, those that make more than one attempt
 */
export async function attemptsOfEnded(
  config: LangGraphRunnableConfig,
  namespace: string,
  label: string,
  steps: readonly string[],
): Promise<readonly AttemptRecord[] | undefined> {
  const configurable = config.configurable as Record<string, unknown> | undefined;
  const store = persistenceOf(checkpointerOf(config))?.attempts;
  const threadId = configurable?.thread_id;
  const checkpointId = config.executionInfo?.checkpointId;
  if (store === undefined || typeof threadId !== "string" || configurable?.[TAKEOVER_KEY] !== true) return undefined;
  const attempts: AttemptRecord[] = [];
  for (const step of steps) {
    const scope = { threadId, step: [namespace, checkpointId, label, step].join("/") };
    const found = await orWarn("read", store.load(scope));
    if (found !== undefined && found.state !== "ended") return undefined;
    attempts.push(
      ...((found?.attempts ?? NOTHING) as readonly KeptAttempt[]).map(({ asked: _, ...attempt }) => attempt),
    );
  }
  return attempts.length === 0 ? undefined : attempts;
}

function howLeft(
  found: StoredAttempts | undefined,
  processDied: boolean,
): "as recorded" | "stopped" | "given up" | "died" {
  const last = found?.attempts.at(-1);
  if (found === undefined || last === undefined) return processDied ? "died" : "as recorded";
  switch (found.state) {
    case "paused":
      return "stopped";
    case "ended":
      return processDied ? "as recorded" : "given up";
    case "open": {
      const gaveUp = last.delayMs === undefined && last.report.code !== PROCESS_DIED;
      return gaveUp ? "as recorded" : "died";
    }
  }
}

function diedRecord(number: number, step: string, nowMs: number): AttemptRecord {
  const message = "The process died during this attempt, or in the wait before it";
  return {
    number,
    step,
    startedAt: nowMs,
    durationMs: 0,
    report: { category: "unknown", retryable: true, code: PROCESS_DIED, message },
  };
}

/** The step goes on with what this process knows; a database that is gone ends the run at its next checkpoint anyway. */
async function orWarn<T>(what: "read" | "written", access: Promise<T>): Promise<T | undefined> {
  try {
    return await access;
  } catch (error) {
    rethrowControlFlow(error);
    process.emitWarning(
      `Failed attempts could not be ${what}, so that after a crash the count may begin anew: ${asError(error).message}`,
      "ResilienceWarning",
    );
    return undefined;
  }
}

/**
 * The failed attempts of a step in a table of their own, written after an attempt failed and before the next begins, so
 * that whoever takes the thread over goes on counting. A step that succeeds at once reads and writes nothing.
 */
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import type { Clock } from "../core/clock.js";
import type { Persistence } from "../core/ports.js";
import type { AttemptRecord } from "../core/records.js";
import type { AttemptScope, StoredAttempts } from "../core/store-ports.js";
import { rethrowControlFlow } from "../errors/control-flow.js";
import { asError } from "../errors/own-errors.js";
import { PROCESS_DIED } from "../errors/policy-errors.js";
import { mayHaveRunBefore, namespaceOf } from "./internals.js";

/** Configurable key: the run takes over from a process that died, although nothing else tells a step so. */
export const TAKEOVER_KEY = "__lgr_takeover";

export interface AttemptHistory {
  /**
   * The failed attempts of the step in earlier processes; the one that ended with its process counts as one. Undefined,
   * and nothing is read, where no earlier process can have begun the step.
   */
  earlier(step: string): Promise<readonly AttemptRecord[]> | undefined;
  /** Resolves when the record is durable. */
  append(record: AttemptRecord): Promise<void>;
  /** Says how the steps were left; undefined where there is nothing to say it of. */
  leave(how: "succeeded" | "paused" | "ended"): Promise<void> | undefined;
}

const NOTHING: readonly AttemptRecord[] = [];

/** @returns undefined where there is nothing to count by: no thread, or a persistence that keeps no attempts */
export function attemptHistory(
  config: LangGraphRunnableConfig,
  persistence: Persistence | undefined,
  label: string,
  clock: Clock,
): AttemptHistory | undefined {
  const store = persistence?.attempts;
  const configurable = config.configurable as Record<string, unknown> | undefined;
  const threadId = configurable?.thread_id;
  const checkpointId = config.executionInfo?.checkpointId;
  if (store === undefined || typeof threadId !== "string" || checkpointId === undefined) return undefined;
  const takenOver = mayHaveRunBefore(config);
  const processDied = takenOver && configurable?.[TAKEOVER_KEY] === true;
  const scopeOf = (step: string): AttemptScope => ({
    threadId,
    step: [namespaceOf(config), checkpointId, label, step].join("/"),
  });
  /** Steps that have attempts in the store. */
  const stored = new Set<string>();

  const append = async (record: AttemptRecord): Promise<void> => {
    stored.add(record.step);
    await orWarn("written", store.append(scopeOf(record.step), record));
  };

  const loaded = async (step: string): Promise<readonly AttemptRecord[]> => {
    const found = await orWarn("read", store.load(scopeOf(step)));
    if (found !== undefined) stored.add(step);
    const attempts = found?.attempts ?? NOTHING;
    switch (howLeft(found, processDied)) {
      case "as recorded":
        return attempts;
      case "stopped":
        await orWarn("written", store.mark(scopeOf(step), "open"));
        return attempts;
      case "given up":
        // The failure went on from here, and whoever resumes has presumably mended what was wrong: tried anew.
        stored.delete(step);
        await orWarn("written", store.clear(scopeOf(step)));
        return NOTHING;
      case "died": {
        const died = diedRecord(attempts.length + 1, step, clock.now());
        await append(died);
        return [...attempts, died];
      }
    }
  };

  const leaveAll = async (how: "succeeded" | "paused" | "ended"): Promise<void> => {
    for (const step of stored) {
      const scope = scopeOf(step);
      await orWarn("written", how === "succeeded" ? store.clear(scope) : store.mark(scope, how));
    }
  };

  return {
    append,
    earlier: (step) => (takenOver ? loaded(step) : undefined),
    leave: (how) => (stored.size === 0 ? undefined : leaveAll(how)),
  };
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

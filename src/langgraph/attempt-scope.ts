/**
 * Every attempt runs in its own scope: a copied config with the attempt's signal and number, the interrupt counter
 * reset, entered through LangGraph's async-local config.
 */
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import type { AttemptRecord, FailureRecord } from "../core/records.js";
import type { ErrorReport } from "../errors/report.js";
import { answerRefused, countedApart, namespaceOf, runInConfig } from "./internals.js";

const ATTEMPT = "__lgr_attempt";

/** Which attempt this is, and what failed before. */
export interface Attempt {
  /** 1 for the first. */
  readonly number: number;
  /** "node", or the name of the fallback step. */
  readonly step: string;
  /** Failed attempts of this step before this one, oldest first; before a person sent it back too. */
  readonly failures: readonly AttemptRecord[];
  /** The last of them: what to feed back to a model. */
  readonly previous?: ErrorReport;
}

interface ScopedAttempt extends Attempt {
  readonly checkpointNs: string;
}

const FIRST: Attempt = { number: 1, step: "node", failures: [] };

/**
 * Which attempt of the node is running.
 *
 * @param config the config the node was called with
 * @returns attempt 1 without failures outside of a decorated node
 */
export function attempt(config: LangGraphRunnableConfig | undefined): Attempt {
  return scoped(config) ?? FIRST;
}

/** Whether a decorator of the same task is already at work further out. Keys of a parent task reach subgraphs too. */
export function isInsideAttempt(config: LangGraphRunnableConfig): boolean {
  return scoped(config)?.checkpointNs === namespaceOf(config);
}

export function runAttempt<T>(
  config: LangGraphRunnableConfig,
  signal: AbortSignal,
  attempt: Attempt,
  interruptsAsked: number,
  work: (config: LangGraphRunnableConfig) => Promise<T> | T,
): Promise<T> {
  const marker: ScopedAttempt = { ...attempt, checkpointNs: namespaceOf(config) };
  const own: LangGraphRunnableConfig = {
    ...config,
    signal,
    configurable: { ...countedApart(config, interruptsAsked), [ATTEMPT]: marker },
  };
  return runInConfig(own, async () => {
    try {
      return await work(own);
    } catch (error) {
      throw answerRefused(error) ?? error;
    }
  });
}

export function attemptOf(
  number: number,
  step: string,
  failures: readonly AttemptRecord[],
  earlier: FailureRecord["attempts"],
): Attempt {
  const all = [...earlier, ...failures];
  const previous = all.at(-1)?.report;
  return { number, step, failures: all, ...(previous === undefined ? {} : { previous }) };
}

function scoped(config: LangGraphRunnableConfig | undefined): ScopedAttempt | undefined {
  return (config?.configurable as Record<string, unknown> | undefined)?.[ATTEMPT] as ScopedAttempt | undefined;
}

import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import type { AttemptRecord, Degradation } from "../core/records.js";
import type { ErrorReport } from "../errors/report.js";
import type { CompiledLadder, CompiledStep } from "../policies/compiled-ladder.js";
import type { RunningAttempt } from "../policies/running-attempt.js";
import { type AttemptHistory, attemptHistory } from "./attempt-history.js";
import { ordinalInTask } from "./attempt-internals.js";
import { type AttemptMarker, attemptAround, markerOf } from "./attempt-scope.js";
import { type Cached, cachedFor } from "./cached.js";
import { type Reentry, reentryOf } from "./envelope.js";
import type { ResilientPolicy } from "./resilient-options.js";
import { type RunContext, runContextOf } from "./run-context.js";

/** A node and its policy, made once; each entry of the node is a climb of its own. */
export interface Decorated {
  /** For messages outside of a graph. */
  readonly label: string;
  readonly policy: ResilientPolicy;
  /** Of several in one task, as the calls of a tool are: each counts for itself, and none is the task. */
  readonly isTool: boolean;
  /** What it is called in messages. Default "tool" or "node". */
  readonly noun?: string;
  readonly ladder: CompiledLadder<LangGraphRunnableConfig>;
  classify(error: unknown): ErrorReport;
}

interface UnderWay {
  readonly step: CompiledStep<LangGraphRunnableConfig>;
  readonly running: RunningAttempt;
  /** ms since the Unix epoch. */
  readonly startedAt: number;
}

/** One entry of a decorated node. */
export interface NodeEntry extends Decorated {
  readonly noun: string;
  readonly input: unknown;
  readonly context: RunContext;
  /** The attempt of the same task that this entry is part of: no decorator is at work further out where there is none. */
  readonly around: AttemptMarker | undefined;
  readonly reentry: Reentry | undefined;
  readonly history: AttemptHistory | undefined;
  readonly cached: Cached | undefined;
  /** The attempt that has begun, until it has answered or is counted as failed. */
  underWay: UnderWay | undefined;
  /** Filled with every failed attempt, for the failure record. */
  readonly attempts: AttemptRecord[];
  /** Filled with who answered in place of what, decorators further in included. */
  readonly degradations: Degradation[];
  /** Which decorator of the task this is. */
  readonly place: string;
  /** The same beneath the node's own decorator, which may be renamed or left out: "" for that. */
  readonly part: string;
  /** What tells an answer that may be kept from one that may not. */
  readonly seen: { asked: boolean; degraded: boolean; acted: boolean };
  /** The attempt that this entry is part of, be it of the graph around. */
  readonly outside: AttemptMarker | undefined;
}

export function nodeEntry(decorated: Decorated, given: unknown, config: LangGraphRunnableConfig): NodeEntry {
  const { label, ladder, policy, isTool, noun, classify } = decorated;
  const context = runContextOf(config, label);
  const around = attemptAround(config);
  const outside = markerOf(config);
  const reentry = isTool ? undefined : reentryOf(given, config);
  const input = reentry === undefined ? given : reentry.input;
  const own = ownPlace(config, label);
  const place = around === undefined ? own : `${around.place}>${own}`;
  const keepsHistory = (ladder.retries || ladder.fallbacks.length > 0) && !isTool && around?.retries !== true;
  return {
    label,
    ladder,
    policy,
    isTool,
    noun: noun ?? (isTool ? "tool" : "node"),
    classify,
    input,
    context,
    around,
    reentry,
    history: keepsHistory
      ? attemptHistory(config, context.persistence, place, () => countedSteps(ladder), policy.clock)
      : undefined,
    cached:
      ladder.cache === undefined
        ? undefined
        : cachedFor(ladder.cache, input, context, policy.cache !== false && policy.cache.store === "shared"),
    underWay: undefined,
    attempts: [],
    degradations: [],
    place,
    part: partOfTask(config, label, around, isTool),
    seen: { asked: false, degraded: false, acted: false },
    outside,
  };
}

/** Names of the steps whose attempts are kept beyond the process. */
function countedSteps({ node, fallbacks }: Decorated["ladder"]): readonly string[] {
  return [node, ...fallbacks].map((step) => step.name);
}

/** The node itself, or which of its calls of which decorated function. */
function ownPlace(config: LangGraphRunnableConfig, label: string): string {
  const ordinal = ordinalInTask(config, label);
  return ordinal === 0 ? label : `${label}#${ordinal}`;
}

/** LangGraph's own retry has the same task enter all of it again, in the same order. */
function partOfTask(
  config: LangGraphRunnableConfig,
  label: string,
  around: AttemptMarker | undefined,
  isTool: boolean,
): string {
  const { nodeAttempt = 1 } = config.executionInfo ?? {};
  const ordinal = ordinalInTask(config, `part ${nodeAttempt} ${label}`);
  const own = ordinal === 0 ? label : `${label}#${ordinal}`;
  if (around !== undefined) return around.part === "" ? own : `${around.part}>${own}`;
  // The first is the node itself, those beside it are parts.
  return isTool || ordinalInTask(config, `decorated ${nodeAttempt}`) > 0 ? own : "";
}

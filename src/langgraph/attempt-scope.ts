/**
 * Every attempt runs in its own scope: a copied config with the attempt's signal and number, the interrupt counter
 * reset, its writes gated, entered through LangGraph's async-local config.
 */
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import type { EffectScope } from "../core/effect-ports.js";
import { type AttemptRecord, type Degradation, type FailureRecord, NODE_STEP } from "../core/records.js";
import { CancelledError } from "../errors/own-errors.js";
import type { ErrorReport } from "../errors/report.js";
import type { RunningAttempt } from "../policies/running-attempt.js";
import { type AttemptGate, ownConfigurable, type Questions, runInConfig } from "./attempt-internals.js";
import { namespaceOf } from "./internals.js";

const ATTEMPT = "__lgr_attempt";
/** Configurable key: the idempotency key of a node that is an effect as a whole. */
export const NODE_KEY = "__lgr_node_key";

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
  /** Present when a person sent the step back here: what they decided. */
  readonly directive?: "retry" | "fallback";
  /** Of a node that declares `compensate`: the same for each attempt, and after a crash. Hand it to the service. */
  readonly idempotencyKey?: string;
}

/** What the scope of an attempt knows, beneath what the node is told. */
export interface AttemptMarker {
  readonly running: RunningAttempt;
  readonly step: string;
  /** Failed attempts before a person sent the step back, oldest first. */
  readonly earlier: FailureRecord["attempts"];
  readonly directive: "retry" | "fallback" | undefined;
  readonly checkpointNs: string;
  /** The step at its first execution. */
  readonly scope: () => EffectScope;
  /** Numbers of the graphs that the attempt has called, in order. */
  readonly graphs: number[];
  /** The attempt that this is part of, be it of the graph around. */
  readonly outside: AttemptMarker | undefined;
  /** Which of the decorated calls within the node it belongs to, be it of a tool; "" for the node itself. */
  readonly part: string;
  /** Which decorator of the task it belongs to: the names of those further out, and its own. */
  readonly place: string;
  /** Whether this decorator, or one further out, makes more than one attempt. */
  readonly retries: boolean;
  /** Who answered in place of what, further in. */
  readonly degradations: Degradation[];
  /** Whether it did something outside that the ledger knows, be it further in. */
  readonly did: { effects: boolean };
}

const FIRST: Attempt = { number: 1, step: NODE_STEP, failures: [] };

/**
 * Which attempt of the node is running.
 *
 * @param config the config the node was called with
 * @returns attempt 1 without failures outside of a decorated node
 */
export function attempt(config: LangGraphRunnableConfig | undefined): Attempt {
  const marker = markerOf(config);
  if (marker === undefined) return FIRST;
  const { running, step, earlier, directive } = marker;
  const failures = earlier.length === 0 ? running.failures : [...earlier, ...running.failures];
  const previous = failures.at(-1)?.report;
  const idempotencyKey = (config?.configurable as Record<string, unknown> | undefined)?.[NODE_KEY] as
    | string
    | undefined;
  return {
    number: running.number,
    step,
    failures,
    ...(previous === undefined ? {} : { previous }),
    ...(directive === undefined ? {} : { directive }),
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
  };
}

/**
 * Says that the attempt is about to change the outside world in a way that must not happen twice: call it just before.
 * If the attempt then fails, for whatever reason, neither it nor a fallback is tried: a person decides.
 *
 * @param effect what is done, for people: "charge order-17"
 * @throws CancelledError in an attempt that was given up on: another may be about to do the same
 */
export function beginEffect(config: LangGraphRunnableConfig, effect: string): void {
  const own = markerOf(config);
  if (own !== undefined && isOver(own.running))
    throw new CancelledError(
      `Effect "${effect}" was not begun: this attempt was given up on, and another may be at it. Listen to config.signal`,
    );
  own?.running.scope?.noteEffect(effect);
}

/** The attempt that this is part of, be it of a task of the graph around. */
export function markerOf(config: LangGraphRunnableConfig | undefined): AttemptMarker | undefined {
  return (config?.configurable as Record<string, unknown> | undefined)?.[ATTEMPT] as AttemptMarker | undefined;
}

/** The attempt of the same task that this is part of. Keys of a parent task reach subgraphs too, and count for nothing there. */
export function attemptAround(config: LangGraphRunnableConfig): AttemptMarker | undefined {
  const marker = markerOf(config);
  return marker?.checkpointNs === namespaceOf(config) ? marker : undefined;
}

/** An answer of an attempt that changed the outside world stands for no other. */
export function noteActed(marker: AttemptMarker | undefined): void {
  for (let one = marker; one !== undefined; one = one.outside) one.did.effects = true;
}

function isOver({ scope, hasFailed }: RunningAttempt): boolean {
  return hasFailed === true || scope?.aborted === true;
}

/** Made when somebody asks for it. One getter for all configs: with one each, V8 would give each a hidden class of its own. */
const SIGNAL: PropertyDescriptor = {
  get(this: LangGraphRunnableConfig) {
    return markerOf(this)?.running.scope?.signal;
  },
  enumerable: true,
  configurable: true,
};

/** Runs `work` as the attempt that the marker tells of. */
export function runAttempt<T>(
  config: LangGraphRunnableConfig,
  marker: AttemptMarker,
  questions: Questions,
  work: (config: LangGraphRunnableConfig) => T,
): T {
  const { running } = marker;
  const beat = () => running.liveness?.beat();
  const gate: AttemptGate = { open: () => !isOver(running), passed: beat };
  const { configurable, flush } = ownConfigurable(config, questions, gate, marker.graphs, marker.part === "");
  configurable[ATTEMPT] = marker;
  const { writer } = config;
  const own: LangGraphRunnableConfig = {
    ...config,
    configurable,
    heartbeat() {
      if (!gate.open()) return;
      beat();
      config.heartbeat?.();
    },
    ...(writer === undefined ? {} : { writer: gated(writer, gate) }),
  };
  Object.defineProperty(own, "signal", SIGNAL);
  const result = runInConfig(own, () => work(own));
  return flush === undefined ? result : (flushedAfter(result, flush) as T);
}

async function flushedAfter(result: unknown, flush: () => void): Promise<unknown> {
  const answer = await result;
  flush();
  return answer;
}

function gated(
  writer: NonNullable<LangGraphRunnableConfig["writer"]>,
  gate: AttemptGate,
): NonNullable<LangGraphRunnableConfig["writer"]> {
  return (chunk) => {
    if (!gate.open()) return;
    gate.passed();
    writer(chunk);
  };
}

/** Whether the attempt that this is part of, or one around it, was given up on. */
export function isGivenUp(marker: AttemptMarker | undefined): boolean {
  return marker !== undefined && (isOver(marker.running) || isGivenUp(marker.outside));
}

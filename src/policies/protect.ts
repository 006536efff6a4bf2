import { z } from "zod";
import { cancellationOf, unlessAborted } from "../core/abort.js";
import { markExhausted } from "../core/failures.js";
import { parseOptions } from "../core/options.js";
import { type AttemptRecord, NODE_STEP } from "../core/records.js";
import type { ResultCache } from "../core/store-ports.js";
import { classifyError } from "../errors/classify.js";
import { CancelledError, ConfigError } from "../errors/own-errors.js";
import { DeadlineExceededError } from "../errors/policy-errors.js";
import type { ErrorReport } from "../errors/report.js";
import { type CompiledLadder, type CompiledStep, compileLadder } from "./compiled-ladder.js";
import { heard } from "./heard.js";
import { type Answer, type Climber, climbLadder } from "./ladder.js";
import { checkLadder, type LadderOptions, ladderShape } from "./ladder-options.js";
import type { RunningAttempt } from "./running-attempt.js";
import type { BreakerHome } from "./service.js";
import { withTimeLimit } from "./timeout.js";
import { refuseInvalid } from "./validate.js";

/** What a protected function is told of the attempt it is, and can tell of it. */
export interface ProtectedCall {
  /** Aborts when the attempt's time is up, or the caller gave up. */
  readonly signal: AbortSignal;
  /** 1 for the first. */
  readonly attempt: number;
  /** The failed attempts before this one, oldest first. */
  readonly failures: readonly AttemptRecord[];
  /** A sign of life, for `firstTokenMs` and `idleMs`. */
  heartbeat(): void;
  /**
   * Says that the attempt is about to do something that must not happen twice; it is then not repeated if it fails.
   *
   * @throws CancelledError when the attempt was given up on: another may be doing it by now
   */
  beginEffect(effect: string): void;
  /** Says how many tokens the call has used, for a service's tokens a minute. */
  usedTokens(tokens: number): void;
}

export interface ProtectOptions<I, O, F = O> extends LadderOptions<I, ProtectedCall, O, F> {
  /** Where shared breakers and answers are kept; without one, in this process. */
  readonly persistence?: BreakerHome & { readonly cache?: ResultCache };
  /** Called for each failed attempt. */
  readonly onFailedAttempt?: (record: AttemptRecord) => void;
  /** Called when something simpler has answered: which step, and the failure it answered for. */
  readonly onDegraded?: (step: string, because: ErrorReport) => void;
}

const protectSchema = z
  .strictObject({
    ...ladderShape,
    persistence: z
      .custom<BreakerHome & { readonly cache?: ResultCache }>((value) => typeof value === "object" && value !== null)
      .optional(),
    onFailedAttempt: z.custom<(record: AttemptRecord) => void>((value) => typeof value === "function").optional(),
    onDegraded: z
      .custom<(step: string, because: ErrorReport) => void>((value) => typeof value === "function")
      .optional(),
  })
  .superRefine(checkLadder);

/** Nothing need be given to a function that takes nothing. */
type ProtectedParameters<I> = unknown extends I
  ? [input?: I, given?: { readonly signal?: AbortSignal | undefined }]
  : [input: I, given?: { readonly signal?: AbortSignal | undefined }];

type ProtectPolicy = z.output<typeof protectSchema>;

/** What a function without a name is called. */
const UNNAMED = "call";

/**
 * The policies of `resilient`, in the same order, around any async function; no LangGraph needed. Within a decorated
 * node, pass on its `config.signal`: the deadline is inherited, and what this has given up on the node does not repeat.
 *
 * @param fn called as `(input, call)`
 * @returns a function called as `(input, { signal? })`
 * @throws ConfigError at once for wrong options
 */
export function protect<I, O, F = O>(
  fn: (input: I, call: ProtectedCall) => O | Promise<O>,
  options: ProtectOptions<I, O, F> = {},
): (...parameters: ProtectedParameters<I>) => Promise<O | F> {
  const label = options.name ?? (fn.name === "" ? UNNAMED : fn.name);
  const owner = `protect(${label})`;
  const policy = parseOptions(owner, protectSchema, options);
  if (options.name === undefined && policy.cache !== false && policy.cache.store === "shared")
    throw new ConfigError(
      `${owner}: its answers are shared with other processes, under a name that must tell it from all other functions; set the option "name"`,
    );
  const ladder = compileLadder(owner, label, fn as (input: unknown, call: ProtectedCall) => unknown, policy);
  const isProtected = async (...[input, given]: ProtectedParameters<I>): Promise<O | F> =>
    (await call(label, ladder, policy, input, given?.signal)) as O | F;
  Object.defineProperty(isProtected, "name", { value: label });
  return isProtected;
}

async function call(
  label: string,
  ladder: CompiledLadder<ProtectedCall>,
  policy: ProtectPolicy,
  input: unknown,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  const { cache, node, fallbacks } = ladder;
  const key = cache?.keyOf(input);
  const shared = policy.persistence?.cache;
  signal?.throwIfAborted();
  if (cache !== undefined && key !== undefined) {
    const looked = cache.fresh(key, shared);
    const fresh = looked instanceof Promise ? await unlessAborted(looked, signal) : looked;
    if (fresh !== undefined) return fresh.value;
  }
  const seen = { degraded: false };
  const stale = cache === undefined || key === undefined ? undefined : () => cache.stale(key, shared);
  const climb = (outer: AbortSignal | undefined) =>
    climbLadder(node, fallbacks, climberOf(label, policy, input, outer, stale, seen));
  const answer = await withDeadline(label, policy, signal, climb);
  const { because, answeredBy } = answer;
  if (because !== undefined || seen.degraded) cancellationOf(signal)?.noteDegraded();
  if (because !== undefined) await heard("onDegraded", () => policy.onDegraded?.(answeredBy, because));
  else if (!seen.degraded && cache !== undefined && key !== undefined) await cache.put(key, answer.result, shared);
  return answer.result;
}

function withDeadline(
  label: string,
  { timeout, clock }: ProtectPolicy,
  outer: AbortSignal | undefined,
  climb: (signal: AbortSignal | undefined) => Promise<Answer>,
): Promise<Answer> {
  const limitMs = timeout === false ? undefined : timeout.deadlineMs;
  if (limitMs === undefined) return climb(outer);
  const onLimit = () => {
    const error = new DeadlineExceededError(`Call "${label}"`, limitMs);
    // All there was to try was tried in that time.
    markExhausted(error);
    return error;
  };
  return withTimeLimit((scope) => climb(scope.signal), { limitMs, onLimit, clock, outer, inherited: true });
}

function climberOf(
  label: string,
  policy: ProtectPolicy,
  input: unknown,
  signal: AbortSignal | undefined,
  stale: Climber<CompiledStep<ProtectedCall>>["stale"],
  seen: { degraded: boolean },
): Climber<CompiledStep<ProtectedCall>> {
  const { clock, validate, estimateTokens, onFailedAttempt } = policy;
  const attempts: AttemptRecord[] = [];
  const what = (step: CompiledStep<ProtectedCall>) =>
    step.name === NODE_STEP ? `Call "${label}"` : `Fallback "${step.name}" of call "${label}"`;
  return {
    clock,
    random: policy.random,
    signal,
    home: policy.persistence,
    outermost: false,
    attempts,
    classify: classifyError,
    stale,
    what,
    async attempt(step, running, because) {
      const result = await step.run(input, new ToldCall(running), because as ErrorReport);
      if (validate !== undefined) await refuseInvalid(validate, result, () => what(step));
      if (running.scope?.degraded === true) seen.degraded = true;
      return result;
    },
    async failed(_, record) {
      attempts.push(record);
      if (onFailedAttempt !== undefined) await heard("onFailedAttempt", () => onFailedAttempt(record), signal);
    },
    sleep: (ms) => clock.sleep(ms, signal),
    estimatedTokens:
      estimateTokens === undefined ? undefined : () => (estimateTokens as (input: unknown) => number)(input),
  };
}

/** A class, so that what it can do is made when it is asked for and not for each attempt. May be taken apart all the same. */
class ToldCall implements ProtectedCall {
  readonly #running: RunningAttempt;

  constructor(running: RunningAttempt) {
    this.#running = running;
  }

  get signal(): AbortSignal {
    return (this.#running.scope as NonNullable<RunningAttempt["scope"]>).signal;
  }

  get attempt(): number {
    return this.#running.number;
  }

  get failures(): readonly AttemptRecord[] {
    return this.#running.failures;
  }

  get heartbeat(): () => void {
    return () => this.#running.liveness?.beat();
  }

  get beginEffect(): (effect: string) => void {
    return (effect) => {
      if (this.#running.scope?.aborted === true)
        throw new CancelledError(`"${effect}" was not begun: this attempt was given up on; listen to its signal`);
      this.#running.scope?.noteEffect(effect);
    };
  }

  get usedTokens(): (tokens: number) => void {
    return (tokens) => {
      if (!Number.isFinite(tokens) || tokens < 0)
        throw new RangeError(`usedTokens(${tokens}): give a number of tokens, 0 or more`);
      this.#running.usedTokens = (this.#running.usedTokens ?? 0) + tokens;
    };
  }
}

import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import type { StoredEffect } from "../../core/effect-ports.js";
import { parseOptions } from "../../core/options.js";
import { persistenceOf } from "../../core/persistence-of.js";
import { runHoldOf } from "../../core/run-hold.js";
import type { Effect } from "../../effects/effect.js";
import { effectKey } from "../../effects/effect-key.js";
import type { EffectRequest } from "../../effects/effect-request.js";
import { type KnownEffect, noteEffect, noteUse } from "../../effects/known-effects.js";
import { LedgerBook } from "../../effects/ledger-book.js";
import { performEffect } from "../../effects/perform-effect.js";
import { runningEffects } from "../../effects/running-effects.js";
import type { Undoing } from "../../effects/undo-effect.js";
import { EffectNotRecordedError, EffectReceiptError } from "../../errors/effect-errors.js";
import { AttemptTimeoutError, asError, CancelledError, InvalidInputError } from "../../errors/own-errors.js";
import { digestOf } from "../../policies/cache-key.js";
import { protect } from "../../policies/protect.js";
import { retrySchema } from "../../policies/retry-options.js";
import { attemptTimeoutMs, withTimeLimit } from "../../policies/timeout.js";
import { inboxPlan } from "../../recovery/inbox-plan.js";
import { ambientConfig } from "../attempt-internals.js";
import { isGivenUp, markerOf, noteActed } from "../attempt-scope.js";
import { checkpointerOf } from "../internals.js";
import { leftByRollbacks } from "../rollback/reach.js";
import { runContextOf } from "../run-context.js";
import { approvalOf, isApprovalNeeded } from "./ask-approval.js";
import { leftBehind, wentStraightOn } from "./branches.js";
import { isOtherAlive, ownProcess } from "./calling-process.js";
import { stepIsDurable } from "./durable-step.js";
import { type EffectFunction, type EffectOptions, type EffectPolicy, effectSchema } from "./effect-options.js";
import { ordinalOf, ownFrames, placeOf, scopeOf } from "./effect-scope.js";
import { transactionOf } from "./transaction.js";
import { asCall, besideOthers, throwIfAsking } from "./turns.js";

/** How long a call without a time limit is taken to be under way, by a process that did not begin it. */
const withoutLimitMs = 300_000;

/** One attempt at the effect, of those that its own `retry` makes. */
interface Try {
  readonly number: number;
  readonly signal: AbortSignal;
}

/**
 * What a step does to the outside world, recorded in the ledger of the persistence so that it is done once: a step that
 * is retried, resumed, or run again after a crash is given the recorded receipt. What a call that died left open is
 * found out by `probe`, by a repetition with the same key where `kind` allows it, or by a person; never by a blind
 * second call.
 *
 * @returns a function to be called within a node, with the node's config: `await charge(input, config)`. Several calls
 * in one node are told apart by `key(input)`, or by their order. Calling it throws InvalidInputError for an input that
 * does not fit, and what `run` throws; EffectUnknownError, EffectInputChangedError, EffectForbiddenError,
 * EffectReceiptError and EffectRejectedError go to a person; EffectNotRecordedError where there is no ledger. With
 * `requireApproval` the run pauses as with `interrupt()` until somebody has approved it.
 * @throws ConfigError at once for wrong options
 */
export function defineEffect<I, O>(options: EffectOptions<I, O>): EffectFunction<I, O> {
  return effectOf(options);
}

/** @param source what tells it from another effect of the same name; default: its functions */
export function effectOf<I, O>(options: EffectOptions<I, O>, source?: string): EffectFunction<I, O> {
  const owner = `defineEffect(${String(options?.name)})`;
  const policy = parseOptions(owner, effectSchema, options);
  const effect: Effect = {
    name: policy.name,
    kind: policy.kind,
    onFork: policy.onFork,
    run: policy.run as Effect["run"],
    probe: policy.probe as Effect["probe"],
    notDone: policy.notDone as Effect["notDone"],
  };
  const definition = knownAs(effect, policy, source);
  noteEffect(definition);
  const perform = async (given: I, config: LangGraphRunnableConfig = ambientConfig()): Promise<O> => {
    const input = parsedInput(policy, given);
    const requested = requestOf(definition, policy, input, config);
    const once = (attempt: Try) =>
      policy.kind === "read"
        ? readOnce(effect, policy, input, attempt)
        : besideOthers(config, requested.isAsked, attempt.signal, () => performEffect(requested.attempt(attempt)));
    const receipt = await tried(policy, config, once).catch((error: unknown) => {
      requested.failed?.();
      throw error;
    });
    return parsedReceipt(policy, receipt) as O;
  };
  Object.defineProperty(perform, "name", { value: policy.name });
  return Object.assign(perform, { effectName: policy.name });
}

function knownAs(effect: Effect, policy: EffectPolicy, source: string | undefined): KnownEffect {
  const { compensate, undone, run, probe, retry, timeout } = policy;
  // Undoing is tried again although doing is not: what is left of a group that failed must not stay for one hiccup.
  const patient = { ...policy, retry: retry === false ? retrySchema.parse({}) : retry };
  const limitMs = timeout === false ? undefined : attemptTimeoutMs(timeout, 1);
  return {
    effect,
    undoing:
      compensate === undefined
        ? undefined
        : { compensate: compensate as Undoing["compensate"], undone: undone as Undoing["undone"] },
    limitMs: limitMs ?? withoutLimitMs,
    tried: (work, signal) =>
      tried(patient, signal === undefined ? {} : { signal }, (attempt) =>
        limited(policy, limitMs, attempt.signal, work),
      ),
    source: source ?? [run, compensate, undone, probe].map(String).join("\n"),
  };
}

/** With retries of its own, each of which goes by what the ledger says by then. */
function tried<T>(
  { name, retry, clock }: EffectPolicy,
  { signal }: Pick<LangGraphRunnableConfig, "signal">,
  once: (attempt: Try) => Promise<T>,
): Promise<T> {
  if (retry === false) return once({ number: 1, signal: signal ?? new AbortController().signal });
  const retrying = protect((_: undefined, call) => once({ number: call.attempt, signal: call.signal }), {
    name,
    retry,
    timeout: false,
    clock,
  });
  return retrying(undefined, signal === undefined ? {} : { signal });
}

interface Requested {
  /** Whether a person has to approve it. */
  readonly isAsked: boolean;
  attempt(attempt: Try): EffectRequest;
  /** To be called when it failed for good. */
  failed?(): void;
}

/** All that does not depend on the attempt is settled when the effect is called: its place among the calls above all. */
function requestOf(
  definition: KnownEffect,
  policy: EffectPolicy,
  input: unknown,
  config: LangGraphRunnableConfig,
): Requested {
  const { name, clock } = policy;
  if (policy.kind === "read") return { isAsked: false, attempt: () => ({}) as never };
  const marker = markerOf(config);
  if (isGivenUp(marker))
    throw new CancelledError(
      `Effect "${name}" was not begun: this attempt was given up on, and another may be at it. Listen to config.signal`,
    );
  const saver = checkpointerOf(config) as BaseCheckpointSaver | undefined;
  const context = runContextOf(config, "node");
  const { threadId, persistence, emit } = context;
  if (saver === undefined || threadId === undefined)
    throw new EffectNotRecordedError(
      name,
      "it was called outside of a graph that has a checkpointer. Compile the graph with one of openPersistence(), the subgraph as well unless it inherits it, and hand on the config that the node is given",
    );
  const ledger = persistence?.ledger ?? persistenceOf(saver)?.ledger;
  if (ledger === undefined)
    throw new EffectNotRecordedError(
      name,
      "the graph's checkpointer has no ledger. Compile it with the checkpointer of openPersistence()",
    );
  const isAsked = isApprovalNeeded(policy, input);
  const frames = ownFrames(config);
  const scope = scopeOf(config);
  const place = placeOf(config, frames);
  const given = policy.key === undefined ? undefined : keyOf(policy, input);
  const inputHash = digestOf(input);
  const numbered = ordinalOf(config, name, place, inputHash);
  const identity = { threadId, effect: name, scope, place, name: given ?? `#${numbered.ordinal}` };
  const key = effectKey(identity);
  noteUse(key, definition);
  noteActed(marker);
  const { effect } = definition;
  const branch = { saver, ledger, threadId, scope, frames, name: given, inputHash };
  const isAlike = (entry: StoredEffect) => entry.effect === name && entry.place === place;
  const attempt = ({ number, signal }: Try): EffectRequest => {
    const limitMs = policy.timeout === false ? undefined : attemptTimeoutMs(policy.timeout, number);
    return {
      effect,
      identity: { ...identity, key },
      input,
      inputHash,
      transaction: transactionOf(config),
      approval: approvalOf({
        isNeeded: isAsked,
        config,
        context,
        ledger,
        signal,
        plan: policy.approval && inboxPlan(policy.approval),
      }),
      book: new LedgerBook(ledger, runHoldOf(config)?.lease, clock),
      running: runningEffects(),
      clock,
      signal,
      process: ownProcess(),
      limitMs: limitMs ?? withoutLimitMs,
      limited: (work) => asCall(() => limited(policy, limitMs, signal, work)),
      isOtherAlive,
      durable: () => stepIsDurable(name, saver, config, frames, clock),
      wentStraightOn: (newest) => wentStraightOn(branch, newest),
      leftBehind: async () => {
        const all = await ledger.list(threadId);
        return leftBehind(branch, all.filter(isAlike), await leftByRollbacks({ saver, ledger, threadId }, all));
      },
      throwIfAsking: () => throwIfAsking(config),
      noteBegun: (what) => marker?.running.scope?.noteEffect(what),
      tell: (type, { calls, error }) =>
        emit(type, { effect: name, key, calls, ...(error === undefined ? {} : { report: error }) }),
    };
  };
  return { isAsked, attempt, failed: numbered.failed };
}

function keyOf({ name, key }: EffectPolicy, input: unknown): string {
  const given: unknown = (key as (input: unknown) => unknown)(input);
  if (typeof given === "string" && given !== "") return given;
  throw new InvalidInputError(
    `Effect "${name}" was not begun: its key(input) gave ${given === "" ? "an empty text" : String(given)}; it has to tell its calls apart by a text`,
  );
}

function readOnce(effect: Effect, policy: EffectPolicy, input: unknown, { number, signal }: Try): Promise<unknown> {
  const limitMs = policy.timeout === false ? undefined : attemptTimeoutMs(policy.timeout, number);
  return limited(policy, limitMs, signal, async (within) => effect.run(input, { idempotencyKey: "", signal: within }));
}

function limited<T>(
  { name, clock }: EffectPolicy,
  limitMs: number | undefined,
  outer: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const onLimit = () => new AttemptTimeoutError(`Effect "${name}"`, limitMs ?? 0);
  return withTimeLimit((scope) => work(scope.signal), { limitMs, onLimit, clock, outer });
}

function parsedInput({ name, input }: EffectPolicy, given: unknown): unknown {
  const parsed = input.safeParse(given);
  if (!parsed.success)
    throw new InvalidInputError(`Effect "${name}" was not begun: its input does not fit: ${faultsOf(parsed.error)}`);
  try {
    digestOf(parsed.data);
    return parsed.data === undefined ? undefined : JSON.parse(JSON.stringify(parsed.data));
  } catch (error) {
    throw new InvalidInputError(
      `Effect "${name}" was not begun: its input cannot be written down: ${asError(error).message}`,
      { cause: error },
    );
  }
}

function parsedReceipt({ name, output }: EffectPolicy, receipt: unknown): unknown {
  const parsed = output.safeParse(receipt);
  if (parsed.success) return parsed.data;
  throw new EffectReceiptError(name, faultsOf(parsed.error));
}

function faultsOf({
  issues,
}: {
  readonly issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[];
}) {
  return issues.map(({ path, message }) => (path.length === 0 ? message : `${path.join(".")}: ${message}`)).join("; ");
}

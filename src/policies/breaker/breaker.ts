import type { Clock } from "../../core/clock.js";
import type { Category } from "../../errors/categories.js";
import { asError } from "../../errors/own-errors.js";
import { CircuitOpenError } from "../../errors/policy-errors.js";
import type { ErrorReport } from "../../errors/report.js";
import type { BreakerPolicy } from "./breaker-options.js";
import { type BreakerKind, type BreakerState, closedState } from "./breaker-state.js";
import { type BreakerEvent, type Override, type ProbeEnded, transition } from "./breaker-transitions.js";
import { steadyTime } from "./steady-time.js";

/** Leave to make one call; hand it back with {@link Breaker.settle} exactly once, whatever the call came to. */
export type Admission = CallAdmission | ProbeAdmission;

export interface CallAdmission {
  readonly kind: "call";
  readonly generation: number;
}

export interface ProbeAdmission {
  readonly kind: "probe";
  readonly generation: number;
  readonly holder: string;
  readonly number: number;
}

/**
 * What a call came to. `neutral` counts in neither direction: an interrupt, an abort by the caller, a refusal of our own
 * bulkhead, a failure of a category that does not speak of the service's health ({@link Breaker.counts}).
 */
export type CallOutcome = "success" | "failure" | "neutral";

export interface Breaker {
  readonly service: string;
  /** What this process knows of it; one that is shared is closed, of generation -1, until the store has answered. Plain JSON. */
  readonly state: BreakerState;
  /**
   * Leave to make a call: at once while it is closed. A promise only where processes share it and a probe may be due.
   *
   * @param leaseMs how long the call may take should it be a probe; default `probeLeaseMs` of the policy
   * @throws CircuitOpenError (by rejection where it is a promise) when the call must not be made
   */
  admit(leaseMs?: number): Admission | Promise<Admission>;
  /**
   * Tells what a call came to. Calls admitted before the last change of kind are not counted, nor is a probe whose
   * lease has run out.
   *
   * @param durationMs of the call itself, without waits in queues
   * @param report of a failure, so that the state can tell what opened it
   * @returns a promise for a probe of a shared breaker: when it resolves the others can know, or cannot be reached
   */
  settle(
    admission: Admission,
    outcome: CallOutcome,
    durationMs: number,
    report?: ErrorReport,
  ): undefined | Promise<void>;
  /** Whether failures of this category speak of the service's health. */
  counts(category: Category): boolean;
  /** As if tripped: recovers by itself. @throws (by rejection) BreakerStoreError where it is shared and the store fails */
  open(): undefined | Promise<void>;
  /** As if recovered. @throws (by rejection) BreakerStoreError where it is shared and the store fails */
  close(): undefined | Promise<void>;
  /** Open until opened or closed by hand. @throws (by rejection) BreakerStoreError where it is shared and the store fails */
  isolate(): undefined | Promise<void>;
}

/** Told of each change of kind that this process makes or learns of. Nobody waits for it; one that throws is passed over. */
export type OnBreakerChange = (from: BreakerKind, to: BreakerKind) => void;

export interface BreakerEnvironment {
  readonly clock: Clock;
  readonly onChange?: OnBreakerChange | undefined;
}

/** Who holds the probes of a breaker that is not shared. */
const THIS_PROCESS = "this process";

/** A breaker of this process alone: nothing is awaited. */
export function createBreaker(service: string, policy: BreakerPolicy, environment: BreakerEnvironment): Breaker {
  const nowMs = steadyTime(environment.clock);
  const counted = new Set<Category>(policy.counts);
  let state = closedState(0, nowMs());
  // All calls of one closed period share their admission.
  let ticket: CallAdmission = { kind: "call", generation: state.generation };

  const become = (next: BreakerState): undefined => {
    if (next === state) return;
    const from = state.kind;
    state = next;
    if (next.kind === "closed" && next.generation !== ticket.generation)
      ticket = { kind: "call", generation: next.generation };
    if (next.kind !== from) announce(service, environment.onChange, from, next.kind);
  };
  const happens = (event: BreakerEvent) => become(transition(state, event, policy, nowMs()));
  const override = (to: Override) => happens({ kind: "override", to });

  return {
    service,
    get state() {
      return state;
    },
    admit(leaseMs = policy.probeLeaseMs) {
      if (state.kind === "closed") return ticket;
      const at = nowMs();
      const next = transition(state, { kind: "probe_wanted", holder: THIS_PROCESS, leaseMs }, policy, at);
      const probe = next === state ? undefined : probeUnderWay(next, at);
      if (probe === undefined) throw circuitOpen(service, state, policy, at);
      become(next);
      return probe;
    },
    settle(admission, outcome, durationMs, report) {
      if (admission.kind === "probe") return happens(endOfProbe(admission, outcome, durationMs, report));
      if (outcome === "neutral") return;
      const { generation } = admission;
      happens({ kind: "call_ended", generation, outcome, durationMs, times: 1, report });
    },
    counts: (category) => counted.has(category),
    open: () => override("open"),
    close: () => override("close"),
    isolate: () => override("isolate"),
  };
}

/** What the state machine is told of the end of a probe. */
export function endOfProbe(
  { generation, holder, number }: ProbeAdmission,
  outcome: CallOutcome,
  durationMs: number,
  report: ErrorReport | undefined,
): ProbeEnded {
  return { kind: "probe_ended", generation, holder, number, outcome, durationMs, report };
}

/** The probe that is under way in this state. */
export function probeUnderWay(state: BreakerState, nowMs: number): ProbeAdmission | undefined {
  if (state.kind !== "half_open" || state.probe === null || nowMs >= state.probe.leaseEndsAtMs) return undefined;
  const { holder, number } = state.probe;
  return { kind: "probe", generation: state.generation, holder, number };
}

/** Why a call is refused in this state. */
export function circuitOpen(
  service: string,
  state: BreakerState,
  policy: BreakerPolicy,
  nowMs: number,
): CircuitOpenError {
  switch (state.kind) {
    case "open":
      return new CircuitOpenError(service, Math.max(0, state.openedAtMs + policy.recoveryMs - nowMs));
    case "half_open":
    case "closed":
      return new CircuitOpenError(service, 0);
    case "isolated":
      return new CircuitOpenError(service, undefined);
  }
}

export function announce(
  service: string,
  onChange: OnBreakerChange | undefined,
  from: BreakerKind,
  to: BreakerKind,
): void {
  if (onChange === undefined) return;
  const warn = (broken: unknown) =>
    process.emitWarning(
      `onChange of the circuit "${service}" threw and was passed over: ${String(asError(broken))}`,
      "ResilienceWarning",
    );
  try {
    Promise.resolve(onChange(from, to)).catch(warn);
  } catch (broken) {
    warn(broken);
  }
}

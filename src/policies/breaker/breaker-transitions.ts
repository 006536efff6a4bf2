/**
 * The circuit breaker as a state machine, after Michael Nygard, "Release It!", 2007: states and events in, states out,
 * no clock and no waiting. The breaker of one process and the one that processes share both run on it.
 *
 *     closed ──a trip says so──▶ open ──recoveryMs passed, a call asks──▶ half_open
 *       ▲                          ▲                                        │  │
 *       │                          └──────────a probe fails or is slow──────┘  │
 *       └─────────────────────────halfOpenSuccesses probes in a row────────────┘
 *
 * From any state an operator may open, close or isolate it; an isolated one changes in no other way.
 */
import { redactText } from "../../core/redact.js";
import type { ErrorReport } from "../../errors/report.js";
import type { BreakerPolicy, Trip } from "./breaker-options.js";
import { type BreakerState, closedState, type LastFailure, type OpenReason } from "./breaker-state.js";
import { fitting, recorded, type TripStatistics, totals } from "./trip-statistics.js";

type ClosedState = Extract<BreakerState, { kind: "closed" }>;
type HalfOpenState = Extract<BreakerState, { kind: "half_open" }>;

/** A call that was admitted while the breaker was closed has ended. */
export interface CallEnded {
  readonly kind: "call_ended";
  /** Of the state that admitted it. */
  readonly generation: number;
  readonly outcome: "success" | "failure";
  readonly durationMs: number;
  /** So many calls, one after the other, all alike. */
  readonly times: number;
  readonly report?: ErrorReport | undefined;
}

export interface ProbeEnded {
  readonly kind: "probe_ended";
  readonly generation: number;
  readonly holder: string;
  readonly number: number;
  readonly outcome: "success" | "failure" | "neutral";
  readonly durationMs: number;
  readonly report?: ErrorReport | undefined;
}

export type Override = "open" | "close" | "isolate";

export type BreakerEvent =
  | CallEnded
  | ProbeEnded
  | { readonly kind: "probe_wanted"; readonly holder: string; readonly leaseMs: number }
  | { readonly kind: "override"; readonly to: Override };

/** @returns the state after the event: the very same object where it changes nothing */
export function transition(
  state: BreakerState,
  event: BreakerEvent,
  policy: BreakerPolicy,
  nowMs: number,
): BreakerState {
  switch (event.kind) {
    case "call_ended":
      return state.kind === "closed" && state.generation === event.generation
        ? afterCall(state, event, policy, nowMs)
        : state;
    case "probe_wanted":
      return withProbe(state, event, policy, nowMs);
    case "probe_ended":
      return state.kind === "half_open" && isCurrentProbe(state, event, nowMs)
        ? afterProbe(state, event, policy, nowMs)
        : state;
    case "override":
      return overridden(state, event.to, nowMs);
  }
}

/** Whether a call that asks now may be the probe. */
export function isProbeDue(state: BreakerState, policy: BreakerPolicy, nowMs: number): boolean {
  switch (state.kind) {
    case "open":
      return nowMs >= state.openedAtMs + policy.recoveryMs;
    case "half_open":
      return state.probe === null || nowMs >= state.probe.leaseEndsAtMs;
    case "closed":
    case "isolated":
      return false;
  }
}

/** What an operator decides needs no policy. */
export function overridden(state: BreakerState, to: Override, nowMs: number): BreakerState {
  const generation = state.generation + 1;
  switch (to) {
    case "open":
      return { kind: "open", generation, openedAtMs: nowMs, why: { kind: "operator" } };
    case "close":
      return closedState(generation, nowMs);
    case "isolate":
      return state.kind === "isolated" ? state : { kind: "isolated", generation, isolatedAtMs: nowMs };
  }
}

function afterCall(state: ClosedState, event: CallEnded, policy: BreakerPolicy, nowMs: number): BreakerState {
  const { generation, closedAtMs } = state;
  let statistics: TripStatistics[] | undefined;
  let why: OpenReason | undefined;
  for (const [index, trip] of policy.trip.entries()) {
    const before = fitting(state.statistics[index], trip);
    const marked = trip.kind === "slow" ? event.durationMs > trip.slowCallMs : event.outcome === "failure";
    const after = recorded(before, marked, event.times, nowMs);
    if (marked) why ??= reasonToOpen(trip, after, event.report);
    if (after === before) continue;
    statistics ??=
      state.statistics.length === policy.trip.length
        ? state.statistics.slice()
        : policy.trip.map((each, at) => fitting(state.statistics[at], each));
    statistics[index] = after;
  }
  if (why !== undefined) return { kind: "open", generation: generation + 1, openedAtMs: nowMs, why };
  return statistics === undefined ? state : { kind: "closed", generation, closedAtMs, statistics };
}

function reasonToOpen(trip: Trip, statistics: TripStatistics, report: ErrorReport | undefined): OpenReason | undefined {
  if (statistics.kind === "consecutive") {
    const { failures } = statistics;
    if (trip.kind !== "consecutive" || failures < trip.failures) return undefined;
    return { kind: "consecutive", failures, ...lastFailure(report) };
  }
  if (trip.kind === "consecutive") return undefined;
  const { calls, marked } = totals(statistics);
  if (calls < trip.minimumCalls || marked < trip.ratio * calls) return undefined;
  return trip.kind === "slow"
    ? { kind: "slow", slow: marked, calls, slowCallMs: trip.slowCallMs }
    : { kind: "ratio", failures: marked, calls, ...lastFailure(report) };
}

function withProbe(
  state: BreakerState,
  { holder, leaseMs }: { readonly holder: string; readonly leaseMs: number },
  policy: BreakerPolicy,
  nowMs: number,
): BreakerState {
  if (!isProbeDue(state, policy, nowMs)) return state;
  const leaseEndsAtMs = nowMs + leaseMs;
  switch (state.kind) {
    case "open": {
      const { openedAtMs, why } = state;
      const probe = { holder, number: 1, leaseEndsAtMs };
      const generation = state.generation + 1;
      return { kind: "half_open", generation, openedAtMs, why, successes: 0, probes: 1, probe };
    }
    case "half_open": {
      const number = state.probes + 1;
      return { ...state, probes: number, probe: { holder, number, leaseEndsAtMs } };
    }
    case "closed":
    case "isolated":
      return state;
  }
}

/** Not one that has come too late, or has been settled already. */
function isCurrentProbe({ generation, probe }: HalfOpenState, event: ProbeEnded, nowMs: number): boolean {
  return (
    probe !== null &&
    generation === event.generation &&
    probe.number === event.number &&
    probe.holder === event.holder &&
    nowMs < probe.leaseEndsAtMs
  );
}

function afterProbe(state: HalfOpenState, event: ProbeEnded, policy: BreakerPolicy, nowMs: number): BreakerState {
  const generation = state.generation + 1;
  const reopened = (found: "failure" | "slow"): BreakerState => ({
    kind: "open",
    generation,
    openedAtMs: nowMs,
    why: { kind: "probe", found, ...lastFailure(event.report) },
  });
  switch (event.outcome) {
    case "neutral":
      return { ...state, probe: null };
    case "failure":
      return reopened("failure");
    case "success": {
      if (policy.trip.some((trip) => trip.kind === "slow" && event.durationMs > trip.slowCallMs))
        return reopened("slow");
      const successes = state.successes + 1;
      return successes < policy.halfOpenSuccesses
        ? { ...state, successes, probe: null }
        : closedState(generation, nowMs);
    }
  }
}

const MAX_MESSAGE = 300;

/** Fit to be stored and shown: databases refuse NUL and halves of surrogate pairs, terminals obey control characters. */
function lastFailure(report: ErrorReport | undefined): { readonly last?: LastFailure } {
  if (report === undefined) return {};
  const message = redactText(report.message)
    .slice(0, MAX_MESSAGE)
    .replace(/[\p{Cc}\p{Cs}]+/gu, " ");
  return { last: { category: report.category, message } };
}

import { randomUUID } from "node:crypto";
import type { Clock } from "../../core/clock.js";
import type { Versioned, VersionedStore } from "../../core/store-ports.js";
import { announce, type CallAdmission, type OnBreakerChange } from "./breaker.js";
import type { BreakerPolicy } from "./breaker-options.js";
import { type BreakerState, closedState } from "./breaker-state.js";
import { type BreakerEvent, type CallEnded, type ProbeEnded, transition } from "./breaker-transitions.js";
import { createPendingOutcomes, ofPeriod, UNKNOWN_GENERATION } from "./pending-outcomes.js";
import { steadyTime } from "./steady-time.js";
import { createStoreLine, type Exchanged } from "./store-line.js";
import { type ReadBreaker, type StoredBreaker, warnUnreadable, withApplied } from "./stored-breaker.js";

/** What one process knows of a shared breaker: what it read last, and what it has found since. */
export interface BreakerReplica {
  readonly state: BreakerState;
  /** What the closed period admits with. Only a call that was given this one, or one before anything was known, counts. */
  readonly ticket: CallAdmission;
  /** Under which its probes go. */
  readonly holder: string;
  readonly isDown: boolean;
  storeNow(): number;
  /** Hands in what is pending, then makes `change`, on top of what is stored. */
  exchange(
    change: (state: BreakerState, nowMs: number) => BreakerState,
    how?: { readonly joinable?: boolean; readonly insist?: boolean },
  ): Promise<Exchanged>;
  /** Hands in what is pending. */
  flush(): Promise<Exchanged>;
  /** Learns what others changed, in the background, unless it did a moment ago. */
  refreshWhenStale(): void;
  /** Counts it here, and for all as soon as the store can be told. */
  callEnded(admission: CallAdmission, event: CallEnded): void;
  /** Tells the store; here it counts when the store has answered, or has not. */
  probeEnded(event: ProbeEnded): Promise<void>;
  /** Goes on without the store. */
  alone(event: BreakerEvent, nowMs: number): void;
}

export interface ReplicaOptions {
  readonly clock: Clock;
  readonly store: VersionedStore;
  readonly onChange?: OnBreakerChange | undefined;
  readonly holder: string;
  readonly refreshMs: number;
  readonly patienceMs: number;
}

export function createReplica(service: string, policy: BreakerPolicy, options: ReplicaOptions): BreakerReplica {
  const holder = `${options.holder} ${randomUUID()}`;
  const localNow = steadyTime(options.clock);
  const pending = createPendingOutcomes(policy);
  const line = createStoreLine(service, { ...options, localNow });

  /** What to add to the time of this process to get the store's. */
  let offsetMs = 0;
  let known: { readonly state: BreakerState; readonly version: number } | undefined;
  let view = closedState(UNKNOWN_GENERATION, 0);
  /** Compared by identity: a period that only this process has seen may bear the number of one of the store. */
  let ticket: CallAdmission = { kind: "call", generation: UNKNOWN_GENERATION };
  const firstTicket = ticket;
  /** The view has gone through probes that the store knows nothing of. */
  let diverged = false;
  let unreadableVersion: number | undefined;

  const toStoreTime = (localMs: number) => localMs + offsetMs;

  function become(next: BreakerState, newPeriod = false): void {
    const from = view.kind;
    view = next;
    if (newPeriod || (next.kind === "closed" && next.generation !== ticket.generation))
      ticket = { kind: "call", generation: next.generation };
    if (next.kind !== from) announce(service, options.onChange, from, next.kind);
  }

  /** What is stored, or a closed state in its place: the same one for as long as nobody writes. */
  function storedOr(read: ReadBreaker, { version, nowMs }: Versioned): StoredBreaker {
    if (read.kind === "readable") {
      unreadableVersion = undefined;
      return read.stored;
    }
    if (read.kind === "unreadable" && unreadableVersion !== version) {
      unreadableVersion = version;
      warnUnreadable(service, read.problem);
    }
    if (known?.version === version) return { state: known.state, applied: [] };
    const state = known === undefined ? closedState(0, 0) : closedState(known.state.generation + 1, nowMs);
    return { state, applied: [] };
  }

  const exchange: BreakerReplica["exchange"] = (change, how = {}) => {
    let sealed = 0;
    return line.exchange({
      ...how,
      change(read, at) {
        offsetMs = at.nowMs - localNow();
        const stored = storedOr(read, at);
        pending.forget(stored.applied.find((one) => one.holder === holder)?.upTo ?? 0);
        const told = pending.applyTo(stored.state, policy, toStoreTime);
        sealed = pending.seal();
        const state = change(told, at.nowMs);
        if (state === stored.state) return { write: false, stored };
        return { write: true, stored: { state, applied: withApplied(stored.applied, { holder, upTo: sealed }) } };
      },
      landed({ stored, version }) {
        pending.forget(sealed);
        known = { state: stored.state, version };
        const newPeriod = diverged;
        diverged = false;
        become(pending.applyTo(stored.state, policy, toStoreTime), newPeriod);
      },
    });
  };

  const flush = () => exchange((state) => state, { joinable: true });

  function alone(event: BreakerEvent, nowMs: number): void {
    const next = transition(view, event, policy, nowMs);
    if (next === view) return;
    diverged = true;
    // What was found before it recovered must not open it for everyone when the store is back.
    if (next.kind === "closed") pending.forgetCalls();
    become(next);
  }

  return {
    get state() {
      return view;
    },
    get ticket() {
      return ticket;
    },
    holder,
    get isDown() {
      return line.isDown;
    },
    storeNow: () => toStoreTime(localNow()),
    exchange,
    flush,
    refreshWhenStale() {
      if (line.isStale) void flush();
    },
    callEnded(admission, event) {
      if (admission !== ticket && admission !== firstTicket) return;
      const atMs = localNow();
      const ended = ofPeriod(event, view, toStoreTime(atMs - event.durationMs));
      const next = transition(view, ended, policy, toStoreTime(atMs));
      if (next === view) return;
      const isUrgent = event.outcome === "failure" || next.kind !== view.kind || hasRowOfFailures(view);
      if (!diverged) pending.add(ended, atMs);
      become(next);
      if (isUrgent && (!line.isDown || line.isStale)) void flush();
    },
    async probeEnded(event) {
      const atMs = localNow();
      pending.add(event, atMs);
      const exchanged = await flush();
      if (exchanged.kind === "unreachable") alone(event, toStoreTime(atMs));
    },
    alone,
  };
}

function hasRowOfFailures(state: BreakerState): boolean {
  return state.kind === "closed" && state.statistics.some((one) => one.kind === "consecutive" && one.failures > 0);
}

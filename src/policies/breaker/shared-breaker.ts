import { z } from "zod";
import { parseOptions } from "../../core/options.js";
import type { VersionedStore } from "../../core/store-ports.js";
import type { Category } from "../../errors/categories.js";
import { BreakerStoreError } from "../../errors/policy-errors.js";
import {
  type Admission,
  type Breaker,
  type BreakerEnvironment,
  circuitOpen,
  endOfProbe,
  type ProbeAdmission,
  probeUnderWay,
} from "./breaker.js";
import type { BreakerPolicy } from "./breaker-options.js";
import { createReplica } from "./breaker-replica.js";
import type { BreakerState } from "./breaker-state.js";
import { isProbeDue, type Override, transition } from "./breaker-transitions.js";
import type { Exchanged } from "./store-line.js";

const sharingSchema = z.strictObject({
  /** Who makes this process's probes, for people who look at the state. Need not be unique. */
  holder: z.string().min(1).default(`process ${process.pid}`),
  /** What others changed is looked for at most so often, and only while calls are made. */
  refreshMs: z.number().min(0).default(1000),
  /** A store that takes longer for one exchange counts as unreachable: the longest that a probe waits for it. */
  patienceMs: z.number().positive().default(1000),
});

export type SharingOptions = z.input<typeof sharingSchema>;

export interface SharedBreakerEnvironment extends BreakerEnvironment, SharingOptions {
  /** Where all who share the breaker keep it: `openPersistence(…).breakers`. */
  readonly store: VersionedStore;
}

export interface SharedBreaker extends Breaker {
  /**
   * Writes what the store has not been told yet and learns what others changed; for the start and the end of a process.
   * @throws BreakerStoreError when the store fails
   */
  sync(): Promise<void>;
}

/**
 * One breaker for all processes that use the same store, which keeps it under the name of the service. They must use
 * the same policy: statistics of another window begin anew.
 *
 * - A call that is admitted while closed waits for nothing, nor does a success that changes nothing touch the store. What
 *   others changed is learned in the background, by calls, at most every `refreshMs`.
 * - Failures, and successes that end a row of them, are written at once, in the background, on top of the freshest state,
 *   so that the failures of all add up. Other successes, which only ratio and slow trips look at, go with a refresh.
 * - All times are the store's, so it does not matter how the clocks of the processes differ.
 * - One process at a time holds the probe, by compare-and-swap and for the length of its lease.
 * - While the store cannot be reached this process goes on with what it knows, probes included, and says so once. What it
 *   found before its first own probe is written when the store is back.
 *
 * @throws ConfigError for sharing options out of range
 */
export function createSharedBreaker(
  service: string,
  policy: BreakerPolicy,
  { clock, store, onChange, ...sharing }: SharedBreakerEnvironment,
): SharedBreaker {
  const options = parseOptions(`createSharedBreaker("${service}")`, sharingSchema, sharing);
  const replica = createReplica(service, policy, { ...options, clock, store, onChange });
  const counted = new Set<Category>(policy.counts);
  /** The claim that is under way: what comes of it decides for all calls that ask meanwhile. */
  let claiming: Promise<unknown> | undefined;
  /** The last that a call was given. */
  let usedProbe: ProbeAdmission | undefined;

  function admittedOrRefused(): Admission {
    const { state } = replica;
    if (state.kind === "closed") return replica.ticket;
    throw circuitOpen(service, state, policy, replica.storeNow());
  }

  /** A probe that is ours and was given to no call: claimed right now, or when we had given up on the store's answer. */
  function unusedProbe(state: BreakerState, nowMs: number): ProbeAdmission | undefined {
    const probe = probeUnderWay(state, nowMs);
    if (probe === undefined || probe.holder !== replica.holder) return undefined;
    return probe.number === usedProbe?.number && probe.generation === usedProbe.generation ? undefined : probe;
  }

  async function claimProbe(leaseMs: number): Promise<Admission> {
    const wanted = { kind: "probe_wanted", holder: replica.holder, leaseMs } as const;
    if (replica.isDown) {
      replica.refreshWhenStale();
      replica.alone(wanted, replica.storeNow());
    } else {
      const exchanged = await replica.exchange((state, nowMs) =>
        unusedProbe(state, nowMs) === undefined ? transition(state, wanted, policy, nowMs) : state,
      );
      if (exchanged.kind === "unreachable") replica.alone(wanted, replica.storeNow());
    }
    const probe = unusedProbe(replica.state, replica.storeNow());
    if (probe === undefined) return admittedOrRefused();
    usedProbe = probe;
    return probe;
  }

  async function override(to: Override): Promise<void> {
    const event = { kind: "override", to } as const;
    orThrow(await replica.exchange((state, nowMs) => transition(state, event, policy, nowMs), { insist: true }));
  }

  function orThrow(exchanged: Exchanged): void {
    switch (exchanged.kind) {
      case "landed":
        return;
      case "busy":
        throw new BreakerStoreError(service, "others were faster each time");
      case "unreachable":
        throw exchanged.cause;
    }
  }

  return {
    service,
    get state() {
      return replica.state;
    },
    admit(leaseMs = policy.probeLeaseMs) {
      const { state } = replica;
      if (state.kind === "closed") {
        replica.refreshWhenStale();
        return replica.ticket;
      }
      if (claiming !== undefined) return claiming.then(admittedOrRefused);
      const nowMs = replica.storeNow();
      if (!isProbeDue(state, policy, nowMs) && unusedProbe(state, nowMs) === undefined) {
        replica.refreshWhenStale();
        return admittedOrRefused();
      }
      const claim = claimProbe(leaseMs);
      const end = () => {
        claiming = undefined;
      };
      claiming = claim.then(end, end);
      return claim;
    },
    settle(admission, outcome, durationMs, report) {
      if (admission.kind === "probe") return replica.probeEnded(endOfProbe(admission, outcome, durationMs, report));
      if (outcome === "neutral") return;
      const { generation } = admission;
      replica.callEnded(admission, { kind: "call_ended", generation, outcome, durationMs, times: 1, report });
    },
    counts: (category) => counted.has(category),
    open: () => override("open"),
    close: () => override("close"),
    isolate: () => override("isolate"),
    sync: async () => orThrow(await replica.exchange((state) => state, { insist: true })),
  };
}

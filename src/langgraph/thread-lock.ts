/**
 * One run at a time on a thread: a lease that the run renews while it lasts. Its token goes with each write, where the
 * checkpointer refuses it once the lease is another's, so that a process which slept through the end of its lease can
 * do no harm when it wakes.
 */
import type { RunControl } from "@langchain/langgraph";
import { z } from "zod";
import { Cancellation } from "../core/abort.js";
import { type Clock, systemClock } from "../core/clock.js";
import { offOr, parseOptions } from "../core/options.js";
import { type HeldLease, threadLease } from "../core/run-hold.js";
import type { LeaseAnswer, LeaseStore } from "../core/store-ports.js";
import { CancelledError, ConfigError } from "../errors/own-errors.js";
import { LeaseLostError, ThreadBusyError } from "../errors/persistence-errors.js";
import { onDrain } from "./internals.js";
import { describeHolder, isGone, newHolder } from "./lease-holder.js";

export interface LockOptions {
  /**
   * For how long the thread stays locked when its process is not heard of any more, in milliseconds: from 100, default
   * 30 000. It is renewed every third of that; a process that is paused, or whose event loop is blocked, for longer
   * loses the thread. Whoever comes after a process of the same host that has died does not wait for it.
   */
  readonly leaseMs?: number;
  /** How long to wait for a thread that another run has, in milliseconds; default 0, `Infinity` for as long as it takes. */
  readonly waitMs?: number;
}

const lockSchema = z.strictObject({
  leaseMs: z.int().min(100).max(86_400_000).default(30_000),
  waitMs: z.union([z.number().min(0), z.literal(Number.POSITIVE_INFINITY)]).default(0),
});
const optionsSchema = z.object({ lock: offOr(lockSchema).prefault({}) });

/** How often a waiting run asks for the thread, in milliseconds: soon at first, then less and less. */
const firstPollMs = 100;
const maxPollMs = 1_000;

export interface ThreadLock {
  /** Absent where the thread is not locked. */
  readonly lease?: HeldLease;
  /** Ends when the thread is this run's no more. */
  readonly loss: Cancellation;
  /** Asks the database whether the thread is still this run's to write to; lost once is lost for good. */
  isHeld(): Promise<boolean>;
}

export interface LockRequest {
  /** For messages. */
  readonly caller: string;
  readonly threadId: string;
  /** What people call the thread. */
  readonly label: string;
  /** Absent where the persistence has none. */
  readonly locks: LeaseStore | undefined;
  readonly lock: LockOptions | false | undefined;
  /** Either ends the wait for the thread. */
  readonly signal: AbortSignal | undefined;
  readonly control: RunControl | undefined;
}

/**
 * Does the work while it holds the thread.
 *
 * @throws ThreadBusyError when another run has it, at once or after `waitMs`
 * @throws CancelledError when it is told to stop while it waits
 * @throws ConfigError for wrong options, and for a lock that was asked for where none can be had
 */
export async function withThreadLock<T>(
  request: LockRequest,
  work: (lock: ThreadLock) => Promise<T>,
  clock: Clock = systemClock,
): Promise<T> {
  const { caller, locks, threadId } = request;
  const { lock } = parseOptions(caller, optionsSchema, request.lock === undefined ? {} : { lock: request.lock });
  if (lock !== false && locks === undefined && request.lock !== undefined) {
    throw new ConfigError(
      `${caller}: option "lock" was given, but the graph's checkpointer has no locks; compile the graph with that of openPersistence(), or leave the option out and make sure that one process at a time runs a thread`,
    );
  }
  if (lock === false || locks === undefined) return await work(notLocked());
  const name = threadLease(threadId);
  const token = await acquired(locks, name, lock, request, clock);
  const held = holding(locks, { name, token }, lock.leaseMs, clock);
  try {
    return await work(held.lock);
  } finally {
    await held.release();
  }
}

function notLocked(): ThreadLock {
  const loss = new Cancellation();
  return { loss, isHeld: async () => !loss.aborted };
}

/** Renews the lease until it is released or lost. */
function holding(
  locks: LeaseStore,
  lease: HeldLease,
  leaseMs: number,
  clock: Clock,
): { readonly lock: ThreadLock; release(): Promise<void> } {
  const { name, token } = lease;
  const loss = new Cancellation();
  let released = false;
  let reachable = true;
  const isHeld = async (): Promise<boolean> => {
    if (loss.aborted) return false;
    const renewed = await locks.renew(name, token, leaseMs).catch((error: unknown) => {
      reachable = false;
      throw error;
    });
    reachable = true;
    if (!renewed && !released) loss.abort(new LeaseLostError(name));
    return !loss.aborted;
  };
  const renew = async (): Promise<void> => {
    // A database that cannot be asked may answer the next time; until then it takes or refuses writes by its own clock.
    await isHeld().catch(() => undefined);
    if (!released && !loss.aborted) cancelRenewal = clock.after(leaseMs / 3, () => void renew());
  };
  let cancelRenewal = clock.after(leaseMs / 3, () => void renew());
  return {
    lock: { lease, loss, isHeld },
    async release() {
      released = true;
      cancelRenewal();
      // Where it cannot be said that the thread is free again, the lease ends by itself.
      const told = locks.release(name, token).catch(() => undefined);
      if (reachable) await told;
    },
  };
}

async function acquired(
  locks: LeaseStore,
  name: string,
  { leaseMs, waitMs }: { readonly leaseMs: number; readonly waitMs: number },
  { label, signal, control }: LockRequest,
  clock: Clock,
): Promise<number> {
  const holder = newHolder();
  const until = clock.now() + waitMs;
  const waiting = new Cancellation({ outer: signal });
  const forget = control === undefined ? undefined : onDrain(control, () => waiting.abort(control.drainReason));
  try {
    for (let pollMs = firstPollMs; ; pollMs = Math.min(pollMs * 2, maxPollMs)) {
      const answer = await askFor(locks, name, holder, leaseMs);
      if (answer.kind === "held") return answer.token;
      const leftMs = until - clock.now();
      if (leftMs <= 0) throw new ThreadBusyError(label, describeHolder(answer.holder), answer.expiresInMs);
      if (control?.drainRequested === true) waiting.abort(control.drainReason);
      if (waiting.aborted) throw givenUp(label, waiting.reason);
      await clock.sleep(Math.min(pollMs, leftMs, answer.expiresInMs + 1), waiting.signal).catch((reason: unknown) => {
        throw givenUp(label, reason);
      });
    }
  } finally {
    forget?.();
    waiting.dispose();
  }
}

async function askFor(locks: LeaseStore, name: string, holder: string, leaseMs: number): Promise<LeaseAnswer> {
  const answer = await locks.acquire(name, holder, leaseMs);
  // Whoever it was does not come back to renew it; and should another have taken it first, the token tells.
  return answer.kind === "busy" && isGone(answer.holder)
    ? await locks.takeOver(name, answer.token, holder, leaseMs)
    : answer;
}

function givenUp(label: string, reason: unknown): CancelledError {
  return new CancelledError(
    `Told to stop while it waited for thread "${label}", which another run has; nothing was run`,
    {
      cause: reason,
    },
  );
}

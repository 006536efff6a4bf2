/** The line in which callers wait for a bulkhead or a rate limit: first come, first served, and anybody may leave. */

/** One caller in line. */
export interface Waiter<T> {
  readonly ticket: T;
  /** Resolves when the caller may go on; rejects when it was turned away, or with its signal's reason. */
  readonly turn: Promise<void>;
  /**
   * Lets the caller go on.
   * @returns false if its signal has aborted: it was turned away with the signal's reason instead
   */
  admit(): boolean;
  /** Turns the caller away. */
  refuse(reason: unknown): void;
}

export interface WaitQueue<T> {
  readonly length: number;
  /** Whoever has waited longest. */
  readonly first: Waiter<T> | undefined;
  /** Puts a caller last in line. The signal must not have aborted yet. */
  join(ticket: T, signal?: AbortSignal): Waiter<T>;
}

export interface WaitQueueHooks<T> {
  /** A caller is out of the line, whichever way it left. */
  readonly onLeave: (ticket: T) => void;
  /** Callers have left because their signal aborted. */
  readonly onAbort?: () => void;
}

interface Place<T> extends Waiter<T> {
  ahead: Place<T> | undefined;
  behind: Place<T> | undefined;
}

/**
 * Those who wait under one signal share a listener: Node looks through all listeners to add or remove one, and from
 * eleven on it warns of a leak.
 */
interface Party<T> {
  readonly members: Set<Place<T>>;
  readonly onAbort: () => void;
}

/** Every operation takes the same time however many wait. Whatever leaves keeps nothing: no neighbour, no listener. */
export function createWaitQueue<T>(hooks: WaitQueueHooks<T>): WaitQueue<T> {
  const parties = new Map<AbortSignal, Party<T>>();
  let first: Place<T> | undefined;
  let last: Place<T> | undefined;
  let length = 0;

  function leave(place: Place<T>, signal: AbortSignal | undefined): void {
    if (place.ahead === undefined) first = place.behind;
    else place.ahead.behind = place.behind;
    if (place.behind === undefined) last = place.ahead;
    else place.behind.ahead = place.ahead;
    place.ahead = undefined;
    place.behind = undefined;
    length -= 1;
    if (signal !== undefined) leaveParty(place, signal);
    hooks.onLeave(place.ticket);
  }

  function joinParty(place: Place<T>, signal: AbortSignal): void {
    let party = parties.get(signal);
    if (party === undefined) {
      const members = new Set<Place<T>>();
      const onAbort = () => {
        for (const member of members) member.refuse(signal.reason);
        hooks.onAbort?.();
      };
      party = { members, onAbort };
      parties.set(signal, party);
      signal.addEventListener("abort", onAbort, { once: true });
    }
    party.members.add(place);
  }

  function leaveParty(place: Place<T>, signal: AbortSignal): void {
    const party = parties.get(signal);
    if (party === undefined) return;
    party.members.delete(place);
    if (party.members.size > 0) return;
    parties.delete(signal);
    signal.removeEventListener("abort", party.onAbort);
  }

  return {
    get length() {
      return length;
    },
    get first() {
      return first;
    },
    join(ticket, signal) {
      let resolve = (): void => undefined;
      let reject = (_: unknown): void => undefined;
      const turn = new Promise<void>((yes, no) => {
        resolve = yes;
        reject = no;
      });
      const place: Place<T> = {
        ticket,
        turn,
        ahead: last,
        behind: undefined,
        admit() {
          leave(place, signal);
          // Another listener of the same signal may have freed the room before ours was told of the abort.
          if (signal?.aborted) reject(signal.reason);
          else resolve();
          return signal?.aborted !== true;
        },
        refuse(reason) {
          leave(place, signal);
          reject(reason);
        },
      };
      if (last === undefined) first = place;
      else last.behind = place;
      last = place;
      length += 1;
      if (signal !== undefined) joinParty(place, signal);
      return place;
    },
  };
}

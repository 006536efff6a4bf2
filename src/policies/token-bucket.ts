/** A bucket that fills evenly up to its capacity and may be overdrawn. It keeps no clock: every call says what time it is. */
export interface TokenBucket {
  /** What is in it; below zero in debt. */
  levelAt(nowMs: number): number;
  /** Whole milliseconds until `amount` can be taken; 0 when it can be now. */
  waitMs(amount: number, nowMs: number): number;
  /**
   * The same for an amount that is taken after others: first `headAmount`, in `headWaitMs` from now, then
   * `between` in all. Never longer than the wait will be.
   */
  waitBehindMs(amount: number, headAmount: number, headWaitMs: number, between: number, nowMs: number): number;
  /** Takes an amount whether it is there or not; a negative one is given back, up to the capacity. */
  take(amount: number, nowMs: number): void;
}

const MINUTE_MS = 60_000;

/**
 * Full at first. An amount beyond the capacity can be taken when the bucket is full, and nothing at all unless it is in
 * debt. When the clock is set back, the bucket fills on from there.
 *
 * @param capacityShare what fits in, as a share of what flows in within a minute
 */
export function createTokenBucket(perMinute: number, capacityShare: number, startMs: number): TokenBucket {
  // Counted in 60 000ths, of which a whole number flows in each millisecond: no rounding adds up over time.
  const capacity = Math.ceil(perMinute * MINUTE_MS * capacityShare);
  let level = capacity;
  let atMs = startMs;

  function fill(nowMs: number): void {
    if (nowMs > atMs) level = Math.min(capacity, level + (nowMs - atMs) * perMinute);
    atMs = nowMs;
  }

  const needed = (amount: number) => Math.min(amount * MINUTE_MS, capacity);
  const msFor = (missing: number) => Math.max(0, Math.ceil(missing / perMinute));

  return {
    levelAt(nowMs) {
      fill(nowMs);
      return level / MINUTE_MS;
    },
    waitMs(amount, nowMs) {
      fill(nowMs);
      return msFor(needed(amount) - level);
    },
    waitBehindMs(amount, headAmount, headWaitMs, between, nowMs) {
      fill(nowMs);
      const afterHead = Math.min(capacity, level + headWaitMs * perMinute) - headAmount * MINUTE_MS;
      return headWaitMs + msFor(needed(amount) + between * MINUTE_MS - afterHead);
    },
    take(amount, nowMs) {
      fill(nowMs);
      level = Math.min(capacity, level - amount * MINUTE_MS);
    },
  };
}

import { createHash } from "node:crypto";

/** Uniform in [0, 1). */
export type Random = () => number;

/**
 * A generator that gives the same numbers for the same seed and stream. Each request gets a stream of its own, so that
 * what runs side by side does not change what another one draws.
 */
export function seededRandom(seed: number, stream: number): Random {
  let drawn = 0;
  return () => {
    drawn += 1;
    return createHash("sha256").update(`${seed}/${stream}/${drawn}`).digest().readUInt32BE() / 2 ** 32;
  };
}

/** Which passages to crash at. */
import type { CompiledCrashOptions } from "./crash-scenario.js";
import { seededRandom } from "./seeded-random.js";

/** Streams of chance, so that what is drawn for one does not change what is drawn for the other. */
const SINGLE = 1;
const PAIRS = 2;

/** @returns numbers of passages from 1, ascending */
export function choosePassages(count: number, options: CompiledCrashOptions): readonly number[] {
  const { only, sample, atMost, seed } = options;
  if (only !== undefined) return [...new Set(only)].sort((a, b) => a - b);
  return spread(count, Math.min(Math.ceil(count * sample), atMost), seed, SINGLE).map((index) => index + 1);
}

export interface PassagePair {
  readonly first: number;
  readonly second: number;
}

/**
 * Draws pairs: a passage, and one of the process that took over after it.
 *
 * @param takeovers for each passage that was crashed at, how many passages the process had that took over
 */
export function choosePairs(
  takeovers: readonly { readonly n: number; readonly passages: number }[],
  options: CompiledCrashOptions,
): readonly PassagePair[] {
  const pairs = takeovers.flatMap(({ n, passages }) =>
    Array.from({ length: passages }, (_, index) => ({ first: n, second: index + 1 })),
  );
  return spread(pairs.length, options.twice, options.seed, PAIRS).map((index) => pairs[index] as PassagePair);
}

/** `wanted` of the indices below `count`, ascending: one out of each of as many equal parts. */
function spread(count: number, wanted: number, seed: number, stream: number): number[] {
  const random = seededRandom(seed, stream);
  const parts = Math.min(count, wanted);
  const start = (part: number) => Math.floor((part * count) / parts);
  return Array.from({ length: parts }, (_, part) => {
    const from = start(part);
    return from + Math.floor(random() * (start(part + 1) - from));
  });
}

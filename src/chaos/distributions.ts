import { z } from "zod";
import type { Random } from "./seeded-random.js";

/** A length of time in milliseconds: always the same, or drawn anew each time. */
export type Distribution =
  | number
  | { readonly kind: "uniform"; readonly minMs: number; readonly maxMs: number }
  /** Skewed to the right, as latencies are: half below the median, 5 % above the 95th percentile. */
  | { readonly kind: "lognormal"; readonly medianMs: number; readonly p95Ms: number };

/** Longest time that is ever drawn: the tail of a lognormal has no end. */
const MAX_MS = 600_000;
const ms = z.number().min(0).max(MAX_MS);

export const DistributionSchema = z.union(
  [
    ms,
    z
      .strictObject({ kind: z.literal("uniform"), minMs: ms, maxMs: ms })
      .refine(({ minMs, maxMs }) => minMs <= maxMs, "minMs is above maxMs"),
    z
      .strictObject({ kind: z.literal("lognormal"), medianMs: ms.positive(), p95Ms: ms })
      .refine(({ medianMs, p95Ms }) => medianMs <= p95Ms, "medianMs is above p95Ms"),
  ],
  `expected milliseconds up to ${MAX_MS}, { kind: "uniform", minMs, maxMs } or { kind: "lognormal", medianMs, p95Ms }`,
);

/** 95th percentile of the standard normal distribution. */
const Z95 = 1.6448536269514722;

/** One length of time in milliseconds. */
export function sample(distribution: Distribution, random: Random): number {
  if (typeof distribution === "number") return distribution;
  switch (distribution.kind) {
    case "uniform":
      return distribution.minMs + random() * (distribution.maxMs - distribution.minMs);
    case "lognormal": {
      const sigma = Math.log(distribution.p95Ms / distribution.medianMs) / Z95;
      return Math.min(MAX_MS, distribution.medianMs * Math.exp(sigma * standardNormal(random)));
    }
  }
}

/** Box and Muller, 1958; 1 − u is in (0, 1], where the logarithm is finite. */
function standardNormal(random: Random): number {
  const radius = Math.sqrt(-2 * Math.log(1 - random()));
  return radius * Math.cos(2 * Math.PI * random());
}

import { z } from "zod";
import { type Fault, FaultSchema } from "./faults.js";
import type { Random } from "./seeded-random.js";

/** Faults that hit at random, each request for itself. */
export interface FaultRate {
  /** Share of the requests that meet a fault, 0 to 1. */
  readonly rate: number;
  /**
   * Which ones, by weight. Default: what providers really do in passing, namely 503 (4), 429 (3), 500 (1), a reset
   * before the answer (1) and a stream that is cut (1).
   */
  readonly mix?: readonly { readonly weight: number; readonly fault: Fault }[];
}

const DEFAULT_MIX: NonNullable<FaultRate["mix"]> = [
  { weight: 4, fault: { kind: "status", status: 503 } },
  { weight: 3, fault: { kind: "status", status: 429 } },
  { weight: 1, fault: { kind: "status", status: 500 } },
  { weight: 1, fault: { kind: "reset" } },
  { weight: 1, fault: { kind: "cut_stream" } },
];

export const FaultRateSchema = z.strictObject({
  rate: z.number().min(0).max(1),
  mix: z
    .array(z.strictObject({ weight: z.number().positive(), fault: FaultSchema }))
    .min(1)
    .default([...DEFAULT_MIX]),
});

export type CompiledFaultRate = z.output<typeof FaultRateSchema>;

/** Always takes two numbers, so that what is drawn next does not depend on the outcome. */
export function drawFault(faultRate: CompiledFaultRate | undefined, random: Random): Fault | undefined {
  const [whether, which] = [random(), random()];
  if (faultRate === undefined || whether >= faultRate.rate) return undefined;
  const { mix } = faultRate;
  let left = which * mix.reduce((sum, { weight }) => sum + weight, 0);
  for (const { weight, fault } of mix) {
    left -= weight;
    if (left < 0) return fault;
  }
  // Where rounding leaves a rest.
  return mix.at(-1)?.fault;
}

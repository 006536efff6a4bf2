/** The states of a circuit breaker: plain JSON, the same in one process and shared by many. */
import { z } from "zod";
import { CATEGORIES, type Category } from "../../errors/categories.js";
import { BUCKETS, type TripStatistics } from "./trip-statistics.js";

/** The failure that opened it. */
export interface LastFailure {
  readonly category: Category;
  /** Without secrets, and cut short. */
  readonly message: string;
}

export type OpenReason =
  | { readonly kind: "consecutive"; readonly failures: number; readonly last?: LastFailure | undefined }
  | {
      readonly kind: "ratio";
      readonly failures: number;
      readonly calls: number;
      readonly last?: LastFailure | undefined;
    }
  | { readonly kind: "slow"; readonly slow: number; readonly calls: number; readonly slowCallMs: number }
  | { readonly kind: "probe"; readonly found: "failure" | "slow"; readonly last?: LastFailure | undefined }
  | { readonly kind: "operator" };

/** A call that tries the service while others are refused. */
export interface Probe {
  /** Which breaker of which process made it. */
  readonly holder: string;
  /** Grows with each probe of a half-open period, so that a late outcome is known for one. */
  readonly number: number;
  /** From then on another probe may be made. */
  readonly leaseEndsAtMs: number;
}

/**
 * Times are milliseconds since the Unix epoch, by the store's clock where the breaker is shared. `generation` grows with
 * every change of kind and every override, so that a call admitted in one closed period is not counted in another.
 */
export type BreakerState =
  | {
      /** Calls go through; one set of statistics for each trip of the policy, none before the first call. */
      readonly kind: "closed";
      readonly generation: number;
      /** 0 where nothing is stored of a shared one: it has never been anything else. */
      readonly closedAtMs: number;
      readonly statistics: readonly TripStatistics[];
    }
  | {
      /** Calls are refused. It stays open past its `recoveryMs` until a call asks and becomes the probe. */
      readonly kind: "open";
      readonly generation: number;
      readonly openedAtMs: number;
      readonly why: OpenReason;
    }
  | {
      /** One probe at a time goes through. */
      readonly kind: "half_open";
      readonly generation: number;
      readonly openedAtMs: number;
      readonly why: OpenReason;
      /** Probes that succeeded, in a row. */
      readonly successes: number;
      /** Probes made so far. */
      readonly probes: number;
      /** `null` while the next call may be one. */
      readonly probe: Probe | null;
    }
  | {
      /** Calls are refused until an operator says otherwise. */
      readonly kind: "isolated";
      readonly generation: number;
      readonly isolatedAtMs: number;
    };

export type BreakerKind = BreakerState["kind"];

export function closedState(generation: number, closedAtMs: number): BreakerState {
  return { kind: "closed", generation, closedAtMs, statistics: [] };
}

const count = z.int().min(0);
const last = z.strictObject({ category: z.enum(CATEGORIES), message: z.string() }).optional();

const statisticsSchema: z.ZodType<TripStatistics> = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("consecutive"), failures: count }),
  z
    .strictObject({
      kind: z.literal("calls"),
      size: z.int().min(1),
      calls: count,
      next: count,
      bits: z.array(z.int32()),
      word: z.int32(),
    })
    .refine(({ size, calls, next, bits }) => calls <= size && next < size && bits.length === Math.ceil(size / 32)),
  z.strictObject({
    kind: z.literal("time"),
    bucketMs: z.number().positive(),
    newest: count,
    calls: count,
    marked: count,
    past: z.strictObject({ calls: z.array(count).length(BUCKETS), marked: z.array(count).length(BUCKETS) }),
  }),
]);

const whySchema: z.ZodType<OpenReason> = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("consecutive"), failures: count, last }),
  z.strictObject({ kind: z.literal("ratio"), failures: count, calls: count, last }),
  z.strictObject({ kind: z.literal("slow"), slow: count, calls: count, slowCallMs: z.number() }),
  z.strictObject({ kind: z.literal("probe"), found: z.enum(["failure", "slow"]), last }),
  z.strictObject({ kind: z.literal("operator") }),
]);

/** For a state read back from where others may have written. */
export const stateSchema: z.ZodType<BreakerState> = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("closed"),
    generation: count,
    closedAtMs: z.number(),
    statistics: z.array(statisticsSchema),
  }),
  z.strictObject({ kind: z.literal("open"), generation: count, openedAtMs: z.number(), why: whySchema }),
  z.strictObject({
    kind: z.literal("half_open"),
    generation: count,
    openedAtMs: z.number(),
    why: whySchema,
    successes: count,
    probes: count,
    probe: z.strictObject({ holder: z.string(), number: count, leaseEndsAtMs: z.number() }).nullable(),
  }),
  z.strictObject({ kind: z.literal("isolated"), generation: count, isolatedAtMs: z.number() }),
]);

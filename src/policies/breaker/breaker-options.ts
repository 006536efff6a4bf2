import { z } from "zod";
import { CATEGORIES } from "../../errors/categories.js";

/** More calls would make the state that is copied on each call, and shared as JSON, large. */
const MAX_WINDOW_CALLS = 1000;
const MAX_TRIPS = 8;

const windowSchema = z.union(
  [
    z.strictObject({ calls: z.int().min(1).max(MAX_WINDOW_CALLS) }),
    z.strictObject({ ms: z.number().min(10).max(86_400_000) }),
  ],
  `must be { calls: 1 to ${MAX_WINDOW_CALLS} } or { ms: 10 to 86400000 }`,
);

const overWindow = {
  /** Share of the window's calls, above 0 up to 1. */
  ratio: z.number().gt(0).max(1).default(0.5),
  /** With fewer calls in the window it does not open. */
  minimumCalls: z.int().min(1).default(20),
  /**
   * The last so many calls, or the calls of the last so many milliseconds, which slides in tenths. Processes that share
   * a breaker hand in their successes up to `refreshMs` late, so that one which makes more calls than that in the
   * meantime fills a window of calls alone: take one of milliseconds there.
   */
  window: windowSchema.default({ ms: 60_000 }),
};

const reachable = (trip: { readonly minimumCalls: number; readonly window: z.output<typeof windowSchema> }) =>
  !("calls" in trip.window) || trip.window.calls >= trip.minimumCalls;
const unreachable = { path: ["window"], message: "must hold at least minimumCalls (default 20) calls" };

const tripSchema = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("consecutive"),
    /** So many failures with no success between them. */
    failures: z.int().min(1).max(1000).default(5),
  }),
  z.strictObject({ kind: z.literal("ratio"), ...overWindow }).refine(reachable, unreachable),
  z
    .strictObject({
      kind: z.literal("slow"),
      /** A call that takes longer is slow, whatever it ends in. No default: only its caller knows what is slow. */
      slowCallMs: z.number().positive(),
      ...overWindow,
    })
    .refine(reachable, unreachable),
]);

export type TripOptions = z.input<typeof tripSchema>;
export type Trip = z.output<typeof tripSchema>;

/** One or several; what is wrong is said of the one at fault, not of the choice. */
const tripsSchema = z
  .custom<TripOptions | readonly TripOptions[]>()
  .transform((given, context): readonly Trip[] => {
    const several: boolean = Array.isArray(given);
    const parsed = z
      .array(tripSchema)
      .min(1)
      .max(MAX_TRIPS)
      .safeParse(several ? given : [given]);
    if (parsed.success) return parsed.data;
    for (const issue of parsed.error.issues) {
      const path = several ? issue.path : issue.path.slice(1);
      context.addIssue({ ...issue, path } as Parameters<typeof context.addIssue>[0]);
    }
    return z.NEVER;
  })
  .prefault({ kind: "consecutive" });

export const breakerSchema = z.strictObject({
  /** It opens when any of them says so; only a failure or a slow call makes one say so, never a success. */
  trip: tripsSchema,
  /** How long it stays open before a probe is let through. */
  recoveryMs: z.number().min(0).default(60_000),
  /** Probes in a row that must succeed before it closes. One that fails, or is slow where slow calls trip it, reopens it. */
  halfOpenSuccesses: z.int().min(1).max(1000).default(3),
  /** How long a probe has to tell what came of it. After that another may be made, and what it tells is ignored. */
  probeLeaseMs: z.number().positive().default(60_000),
  /**
   * The failures that speak of the service's health: it cannot be reached, does not answer, or says that it is broken; a
   * tool fails by itself.
   * Others leave the breaker as it is. `rate_limit` and `quota` are answers of a healthy service to this caller, which
   * Retry-After and budgets deal with; `malformed_output`, `context_length`, `content_policy`, `not_found` and
   * `invalid_input` speak of one request; `auth` and `permission` of the credentials; `bug`, `environment` and
   * `cancelled` of this side; and `unknown` might be any of these.
   */
  counts: z
    .array(z.enum(CATEGORIES))
    .default(["network", "timeout", "server_error", "model_unavailable", "tool_execution"]),
});

export type BreakerOptions = z.input<typeof breakerSchema>;
export type BreakerPolicy = z.output<typeof breakerSchema>;

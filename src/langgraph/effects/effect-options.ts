import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { z } from "zod";
import { type Clock, systemClock } from "../../core/clock.js";
import { EFFECT_KINDS, type EffectKind } from "../../core/effect-ports.js";
import { offOr } from "../../core/options.js";
import { type EffectCall, ON_FORK, type OnFork, type ProbeAnswer } from "../../effects/effect.js";
import type { ErrorReport } from "../../errors/report.js";
import { type RetryOptions, retrySchema } from "../../policies/retry-options.js";
import { type TimeoutOptions, timeoutSchema } from "../../policies/timeout.js";
import { type ApprovalPlanOptions, approvalPlanSchema } from "../../recovery/inbox-plan.js";

export interface EffectOptions<I, O> {
  /** In messages and in the ledger; unique among the effects of a graph, and the same in each version of it. */
  readonly name: string;
  /**
   * What may be done where it is not known whether it happened. `read`: it changes nothing, and is not recorded.
   * `idempotent`: it is done again with the same key, which the service must honour. `reversible` (has `compensate`) and
   * `irreversible`: `probe` is asked, and without one a person.
   */
  readonly kind: EffectKind;
  /** What it is given. Checked before anything else; JSON. */
  readonly input: z.ZodType<I>;
  /** What it gives back. JSON, as it is read again from the ledger. */
  readonly output: z.ZodType<O>;
  /** Does it. Hand `idempotencyKey` to the service if it takes one, and `signal` to the request. */
  readonly run: (input: I, call: EffectCall) => Promise<O> | O;
  /**
   * Undoes it; for `reversible` ones. Has a key of its own, and must be harmless when it is repeated with that: after a
   * crash in the middle it is, unless `undone` says that there is no need.
   */
  readonly compensate?: (receipt: O, call: EffectCall) => unknown;
  /** Asks the service whether it is undone, where a process died while it was undoing it. */
  readonly undone?: (receipt: O, call: EffectCall) => Promise<boolean> | boolean;
  /** Asks the service whether it happened, by the key or by what the input says of it. */
  readonly probe?: (input: I, call: EffectCall) => Promise<ProbeAnswer<O>> | ProbeAnswer<O>;
  /** What tells two calls in one step apart. Default: which call of this effect in the attempt it is. */
  readonly key?: (input: I) => string;
  /**
   * Whether a person has to approve it before it is begun, or what says so of an input: the run pauses with an
   * {@link ApprovalRequest}. Not for `read`. Default `false`.
   */
  readonly requireApproval?: boolean | ((input: I) => boolean);
  /** Who is asked for approval, for how long, and what is done when nobody answers. Default: it waits. */
  readonly approval?: ApprovalPlanOptions;
  /** On a branch of the thread that comes to it again. Default "reuse". */
  readonly onFork?: OnFork;
  /** Attempts of its own, as far as a repetition is safe. Default `false`: the node's retries are enough. */
  readonly retry?: RetryOptions | false;
  /** Of one call; default 30,000 ms. `false`: none, and another process waits 5 minutes before it takes the call for lost. */
  readonly timeout?: TimeoutOptions | false;
  /**
   * Whether a failure says that nothing happened. Undefined, and by default: a status 4xx says so (but for 408, 409 and
   * 425), and a connection that was never made; everything else may have come after the deed.
   */
  readonly notDone?: (report: ErrorReport, error: unknown) => boolean | undefined;
  /** Default: the system clock. Tests pass a fake one. */
  readonly clock?: Clock;
}

/** Does the effect once for the step it is called in, and gives its receipt. See {@link defineEffect}. */
export interface EffectFunction<I, O> {
  (input: I, config?: LangGraphRunnableConfig): Promise<O>;
  readonly effectName: string;
}

const func = z.custom<(...parameters: never[]) => unknown>(
  (value) => typeof value === "function",
  "must be a function",
);
const schema = z.custom<z.ZodType>(
  (value) => typeof (value as { safeParse?: unknown } | undefined)?.safeParse === "function",
  "must be a zod schema",
);

export const effectSchema = z
  .strictObject({
    name: z.string().regex(/^[\w.:-]{1,100}$/, 'must be 1 to 100 letters, digits, "_", ".", ":" or "-"'),
    kind: z.enum(EFFECT_KINDS),
    input: schema,
    output: schema,
    run: func,
    compensate: func.optional(),
    undone: func.optional(),
    probe: func.optional(),
    key: func.optional(),
    requireApproval: z.union([z.boolean(), func], "must be true, false or a function").default(false),
    approval: approvalPlanSchema.optional(),
    onFork: z.enum(ON_FORK).default("reuse"),
    retry: offOr(retrySchema).default(false),
    timeout: offOr(timeoutSchema).prefault({}),
    notDone: func.optional(),
    clock: z
      .custom<Clock>((value) => typeof value === "object" && value !== null, "must be a clock")
      .default(systemClock),
  })
  .superRefine(({ kind, compensate, requireApproval, approval }, context) => {
    const fault = (message: string, path = "compensate") => context.addIssue({ code: "custom", path: [path], message });
    if (kind === "read" && requireApproval !== false)
      fault('a "read" effect changes nothing, so there is nothing to approve', "requireApproval");
    if (approval !== undefined && requireApproval === false)
      fault('says how somebody is asked, but "requireApproval" says that nobody is', "approval");
    if (kind === "reversible" && compensate === undefined)
      fault('a "reversible" effect needs a "compensate" that undoes it; without one it is "irreversible"');
    if ((kind === "irreversible" || kind === "read") && compensate !== undefined)
      fault(`a "${kind}" effect has nothing to undo it by; with "compensate" it is "reversible"`);
  });

export type EffectPolicy = z.output<typeof effectSchema>;

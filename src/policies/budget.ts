import { z } from "zod";
import type { Clock } from "../core/clock.js";
import { BudgetExceededError } from "../errors/policy-errors.js";
import { createActiveTime } from "./active-time.js";
import { costOf } from "./prices.js";
import { type ModelUsage, roundUsd, type Spending, settled, type Usage } from "./usage.js";
import { addToTally, countCall, emptyTally, takeFromTally, type UsageTally } from "./usage-tally.js";

/** What a thread may spend, over all its runs, failed attempts included. A limit left out is none. */
export const budgetSchema = z.strictObject({
  /** Attempts at nodes and fallback steps. */
  maxAttempts: z.int().min(1).optional(),
  /** Input and output tokens together. */
  maxTokens: z.int().min(1).optional(),
  /** US dollars, by the price table; tokens without a price are not in it (see `definePrice`). */
  maxUsd: z.number().positive().optional(),
  /** Milliseconds in which at least one attempt is under way: neither people nor downtime are waited for at its cost. */
  maxActiveMs: z.number().positive().optional(),
});

export type BudgetOptions = z.input<typeof budgetSchema>;
export type BudgetPolicy = z.output<typeof budgetSchema>;

/** What came of an attempt: its result was used, or it failed. */
export type AttemptOutcome = "useful" | "wasted";

export interface MeteredAttempt {
  /** Counts a model call. One that is told of after the end counts as the attempt does. */
  add(call: ModelUsage): void;
  /** Call it in a `finally`: until then the clock runs. Only the first call counts. */
  end(outcome: AttemptOutcome): void;
}

/** Counts what a thread spends. */
export interface Meter {
  /** As of now. */
  readonly spent: Spending;
  /** Whether no attempt is under way. */
  readonly idle: boolean;
  /** `attempts`: 0 for one that is part of an attempt counted already. Call it when an attempt begins, right after `check` and without waiting in between: then `maxAttempts` is exact. */
  begin(attempts?: 0 | 1): MeteredAttempt;
  /**
   * To be called before each attempt. An attempt that has begun is not cut short, so n attempts at once may overshoot by
   * what they spend; what a model call of theirs has used counts as soon as it is known.
   *
   * @param who whose budget it is, for the message: `thread "order-17"`
   * @throws BudgetExceededError naming the limit that is reached, what was used of it, and how to go on
   */
  check(policy: BudgetPolicy, who: string): void;
  /** Adds what was spent elsewhere: before this meter was made, or in another process. */
  learn(elsewhere: Spending): void;
}

export interface MeterEnvironment {
  readonly clock: Clock;
  /** What was spent before; attempts that were in flight then count as wasted. Default: nothing. */
  readonly initial?: Spending;
}

export function createMeter({ clock, initial }: MeterEnvironment): Meter {
  const useful = emptyTally();
  const wasted = emptyTally();
  const inFlight = emptyTally();
  const ended = { useful, wasted };
  const time = createActiveTime(clock);
  let unpricedModel: string | undefined;

  function count(call: ModelUsage, ...tallies: readonly UsageTally[]): void {
    const usd = costOf(call);
    if (usd === undefined && call.totalTokens > 0) unpricedModel = call.model;
    for (const tally of tallies) countCall(tally, call, usd);
  }

  function total(field: keyof Usage): number {
    const sum = useful[field] + wasted[field] + inFlight[field];
    if (field === "usd") return roundUsd(sum);
    return field === "activeMs" ? sum + time.pendingMs() : sum;
  }

  function learn(elsewhere: Spending): void {
    const all = settled(elsewhere);
    addToTally(useful, all.useful);
    addToTally(wasted, all.wasted);
  }

  if (initial !== undefined) learn(initial);
  return {
    get spent() {
      return { useful: { ...useful }, wasted: { ...wasted }, inFlight: { ...inFlight, activeMs: time.pendingMs() } };
    },
    get idle() {
      return time.openIntervals === 0;
    },
    begin(attempts = 1) {
      const stop = time.begin();
      const own = emptyTally();
      own.attempts = attempts;
      inFlight.attempts += attempts;
      let outcome: AttemptOutcome | undefined;
      return {
        add(call) {
          if (outcome === undefined) count(call, own, inFlight);
          else count(call, ended[outcome]);
        },
        end(reached) {
          if (outcome !== undefined) return;
          outcome = reached;
          takeFromTally(inFlight, own);
          own.activeMs = stop();
          addToTally(ended[outcome], own);
        },
      };
    },
    check(policy, who) {
      if (policy.maxUsd !== undefined && total("unpricedTokens") > 0) warnOfUnpriced(unpricedModel);
      for (const limit of LIMITS) {
        const allowed = policy[limit.option];
        if (allowed === undefined) continue;
        const used = total(limit.field);
        if (used >= allowed) throw exceeded(limit, { used, allowed, wasted: wasted[limit.field] }, who);
      }
    },
    learn,
  };
}

interface Limit {
  readonly option: keyof BudgetPolicy;
  readonly field: keyof Usage;
  readonly unit: string;
}

const LIMITS: readonly Limit[] = [
  { option: "maxAttempts", field: "attempts", unit: "attempts" },
  { option: "maxTokens", field: "totalTokens", unit: "tokens" },
  { option: "maxUsd", field: "usd", unit: "USD" },
  { option: "maxActiveMs", field: "activeMs", unit: "ms of active time" },
];

interface Excess {
  readonly used: number;
  readonly allowed: number;
  /** Of what was used. */
  readonly wasted: number;
}

function exceeded({ option, unit }: Limit, { used, allowed, wasted }: Excess, who: string): BudgetExceededError {
  const inVain = wasted === 0 ? "" : `, ${wasted} wasted`;
  return new BudgetExceededError(
    `The budget of ${who} is used up: ${used} of ${allowed} ${unit} (${option})${inVain}; raise ${option} and resume, or let a simpler step answer`,
    { details: { limit: option, used, allowed, wasted } },
  );
}

/** Models that were warned of. Names come from providers, so there is an end to them. */
const warnedOf = new Set<string>();
const MAX_WARNINGS = 100;

function warnOfUnpriced(model = "a model of an earlier run"): void {
  if (warnedOf.has(model) || warnedOf.size >= MAX_WARNINGS) return;
  warnedOf.add(model);
  process.emitWarning(
    `maxUsd does not count what ${model === "" ? "a model without a name" : `"${model}"`} costs: its price is not known; add it with definePrice()`,
    "ResilienceWarning",
  );
}

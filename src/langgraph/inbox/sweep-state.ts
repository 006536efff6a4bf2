/** What a sweep is told, what it is made of, and what it says in the end. */
import type { Clock } from "../../core/clock.js";
import type { InboxStore } from "../../core/inbox-ports.js";
import type { Channel } from "../../core/notice-ports.js";
import type { Persistence } from "../../core/ports.js";
import type { Expiries } from "./expiries.js";
import type { GivenGraphs, GraphsAtHand } from "./graphs-at-hand.js";
import type { SweepLeftovers } from "./sweep-leftovers.js";

export interface SweepOptions {
  /**
   * Compiled graphs by the name that their threads have, or what finds one. Default actions need them: those of other
   * graphs are left to a process that has these. Default: none.
   */
  readonly graphs?: GivenGraphs;
  /** By which people are told. Default: none, and messages wait for a process that has some. */
  readonly channels?: readonly Channel[];
  /** Address of the console, for links in messages. */
  readonly consoleUrl?: string;
  /** Ends the sweep early; what it has begun is left as if it had not been, or is finished by the next. */
  readonly signal?: AbortSignal;
  /** Default: the system clock. */
  readonly clock?: Clock;
}

/** How many questions were what; of `told` and `untold` how many messages. */
export interface SweepReport {
  reminded: number;
  escalated: number;
  overdue: number;
  withdrawn: number;
  /** Default actions that were done, could not be, or are tried again later. */
  expired: number;
  failed: number;
  putOff: number;
  told: number;
  untold: number;
}

export interface Sweep {
  readonly persistence: Persistence;
  readonly inbox: InboxStore;
  readonly options: SweepOptions;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly graphs: GraphsAtHand;
  readonly leftovers: SweepLeftovers;
  readonly expiries: Expiries;
  /** Versions of the items, by ID, of which people could not be told; tried again at the next thorough sweep. */
  readonly untellable: Map<string, number>;
  /** What was done since the report was taken last. */
  report: SweepReport;
}

export function emptyReport(): SweepReport {
  return {
    reminded: 0,
    escalated: 0,
    overdue: 0,
    withdrawn: 0,
    expired: 0,
    failed: 0,
    putOff: 0,
    told: 0,
    untold: 0,
  };
}

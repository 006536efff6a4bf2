import { z } from "zod";
import { type Clock, systemClock } from "../core/clock.js";
import { NOTICE_EVENTS, type Notice, type NoticeEvent } from "../core/notice-ports.js";

/** What every channel can be given. `T` is what its template makes of a notice. */
export interface ChannelOptions<T> {
  /** Unique among the channels of a process, and the same in each; default the kind of channel. */
  readonly name?: string;
  /** What it tells of; default everything but `resolved` and `withdrawn`. */
  readonly events?: readonly NoticeEvent[];
  /** Says it in your words. Where it throws, or makes something unusable, the built-in words are sent, and a process warning says so. */
  readonly template?: (notice: Notice) => T;
  /** How often it is tried before `send` rejects, the first time included; default 3. */
  readonly attempts?: number;
  /** Limit of one attempt; default 10,000 ms. */
  readonly timeoutMs?: number;
  /** The first wait between attempts, ± 25 %; the second is twice as long; default 500 ms. Rate limits wait twice as long. */
  readonly initialDelayMs?: number;
  /** A Retry-After is waited for up to this; a longer one ends the sending at once; default 30,000 ms. */
  readonly maxRetryAfterMs?: number;
  /** Default: the system clock. Tests pass a fake one. */
  readonly clock?: Clock;
}

export const channelShape = {
  name: z
    .string()
    .regex(/^[\w.-]{1,64}$/, "up to 64 letters, digits, and . _ -")
    .optional(),
  events: z.array(z.enum(NOTICE_EVENTS)).optional(),
  template: z
    .custom<(notice: Notice) => unknown>((value) => typeof value === "function", "must be a function")
    .optional(),
  attempts: z.int().min(1).max(10).default(3),
  timeoutMs: z.number().positive().max(600_000).default(10_000),
  initialDelayMs: z.number().min(0).max(60_000).default(500),
  maxRetryAfterMs: z.number().min(0).max(600_000).default(30_000),
  clock: z
    .custom<Clock>((value) => typeof value === "object" && value !== null, "must be a clock")
    .default(systemClock),
};

const policySchema = z.strictObject(channelShape);

/** The defaults filled in. */
export type ChannelPolicy = z.output<typeof policySchema>;

/** Names as graphs write them → as this channel knows them. */
export const peopleShape = z.record(z.string(), z.string());

/** Its value may be secret, and is looked at by a check that does not print it. */
export const unprinted = z.unknown().optional();

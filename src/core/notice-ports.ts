/** What people are told of the questions that wait for them: the port that channels fill, and what they are handed. */
import type { InboxItem } from "./inbox-ports.js";

/**
 * `opened`: somebody is asked. `reminder`: nobody has answered yet. `escalated`: the people of the next level are asked.
 * `overdue`: the time of the last level is over, and nothing is to happen by itself. `expired`: it is over, and what was
 * to happen then has. `failed`: what was to happen then could not. `resolved`: it was answered. `withdrawn`: it is no
 * longer asked.
 */
export const NOTICE_EVENTS = [
  "opened",
  "reminder",
  "escalated",
  "overdue",
  "expired",
  "failed",
  "resolved",
  "withdrawn",
] as const;
export type NoticeEvent = (typeof NOTICE_EVENTS)[number];

/** One message about one item, for every channel. Without secrets: the item is as the inbox keeps it. */
export interface Notice {
  readonly v: 1;
  /** Unique, and the same each time it is sent: a receiver can tell by it what it has had before. */
  readonly id: string;
  readonly event: NoticeEvent;
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
  /** The people of its level, as the graph names them; empty: whomever the channel tells by default. */
  readonly to: readonly string[];
  readonly item: InboxItem;
  /** A command line that shows the question and how it can be answered. */
  readonly command: string;
  /** Where the console shows it; absent where none is known. */
  readonly url?: string;
}

/** A way to tell people. */
export interface Channel {
  /** Unique among the channels of a process, and the same in each. */
  readonly name: string;
  /** What it tells of; default everything but `resolved` and `withdrawn`. */
  readonly events?: readonly NoticeEvent[];
  /**
   * Resolves when the receiver has taken it. What it rejects with is noted, and the notice is sent again later: with the
   * same ID, and perhaps after it had been received.
   */
  send(notice: Notice, signal: AbortSignal): Promise<void>;
  /** Lets go of connections. */
  close?(): Promise<void> | void;
}

/**
 * What happens to questions as time goes by: people are told, reminded, and others are asked; in the end the default
 * action is done. Any number of processes may sweep: each change is made by one of them.
 */

import { type Clock, systemClock } from "../../core/clock.js";
import type { InboxStore, StoredInboxItem } from "../../core/inbox-ports.js";
import type { Channel } from "../../core/notice-ports.js";
import type { Persistence } from "../../core/ports.js";
import { asError, ConfigError } from "../../errors/own-errors.js";
import { changeItem, inboxOf } from "../../recovery/inbox-change.js";
import { ended, type InboxChange, reopened, turnOf } from "../../recovery/inbox-life.js";
import type { GraphLike } from "../threads/graph.js";
import { expire } from "./expire.js";
import { isGone, questionAt } from "./settle-inbox.js";
import { tellPeople } from "./tell.js";

type FoundGraph = GraphLike | undefined;

export interface SweepOptions {
  /**
   * Compiled graphs by the name that their threads have, or what finds one. Default actions need them: those of other
   * graphs are left to a process that has these. Default: none.
   */
  readonly graphs?: Readonly<Record<string, GraphLike>> | ((name: string) => FoundGraph | Promise<FoundGraph>);
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

/** What a sweep is made of, and what it goes on with beside others. */
export interface Sweep {
  readonly persistence: Persistence;
  readonly inbox: InboxStore;
  readonly options: SweepOptions;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Default actions that are being done: their runs may take long. */
  readonly expiring: Set<Promise<void>>;
}

const pageSize = 50;
const maxExpiring = 4;
/** So long an answer takes at most to be taken in, with the wait for the thread. */
const holdMs = 5 * 60_000;

/**
 * Does once what is due by now, and waits for the default actions that it has begun.
 *
 * @throws ConfigError where the persistence has no inbox
 */
export async function sweepInbox(persistence: Persistence, options: SweepOptions = {}): Promise<SweepReport> {
  const sweep = sweepOf(persistence, options, "sweepInbox()");
  const report = await sweepOnce(sweep);
  await Promise.all(sweep.expiring);
  if (options.channels !== undefined && !sweep.signal.aborted) await tell(sweep, report);
  return report;
}

/** @throws ConfigError for channels with the same name */
export function sweepOf(persistence: Persistence, options: SweepOptions, caller: string): Sweep {
  const { clock = systemClock, signal = new AbortController().signal, channels = [] } = options;
  const twice = channels.find(({ name }, at) => channels.findIndex((one) => one.name === name) !== at);
  if (twice !== undefined)
    throw new ConfigError(`${caller}: two channels are called "${twice.name}"; give one of them another name`);
  return { persistence, inbox: inboxOf(persistence, caller), options, clock, signal, expiring: new Set() };
}

/** Goes through what is due; default actions it only begins. */
export async function sweepOnce(sweep: Sweep): Promise<SweepReport> {
  const report: SweepReport = {
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
  const { inbox, clock, signal } = sweep;
  /** Those that this process can do nothing about stay the longest overdue. */
  const left = new Set<string>();
  for (let limit = pageSize; !signal.aborted; ) {
    const due = await inbox.due(clock.now(), limit);
    const fresh = due.filter(({ id }) => !left.has(id));
    for (const item of fresh) {
      if (signal.aborted) break;
      if (!(await turned(sweep, item, report))) left.add(item.id);
    }
    if (due.length < limit) break;
    if (left.size > limit / 2) limit *= 2;
  }
  await tell(sweep, report);
  return report;
}

async function tell({ persistence, inbox, options, clock, signal }: Sweep, report: SweepReport): Promise<void> {
  const { channels = [], consoleUrl } = options;
  const { sent, failed } = await tellPeople({ persistence, inbox, channels, consoleUrl, clock, signal });
  report.told += sent;
  report.untold += failed;
}

/** @returns false where the item stays due */
async function turned(sweep: Sweep, item: StoredInboxItem, report: SweepReport): Promise<boolean> {
  const { persistence, inbox, clock } = sweep;
  const known = await whatThreadSays(persistence, item, clock.now());
  if (known !== "open") {
    const change = (stored: StoredInboxItem) => (known === "over" ? ended : reopened)(stored, clock.now());
    const changed = await changeItem(inbox, item.id, change);
    if (changed?.state === "withdrawn") report.withdrawn += 1;
    if (changed !== undefined) emit(persistence, changed, `inbox.${known === "lost" ? "reopened" : changed.state}`);
    return true;
  }
  const turn = turnOf(item, clock.now(), holdMs);
  switch (turn.kind) {
    case "nothing":
      return false;
    case "look":
      await inbox.change(turn.item, item.version);
      return true;
    case "change":
      if ((await made(sweep, item, turn.change)) !== undefined) count(report, turn.change);
      return true;
    case "expire": {
      if (sweep.expiring.size >= maxExpiring) return false;
      const graph = item.graph === undefined ? undefined : await graphOf(sweep.options, item.graph);
      if (graph === undefined) return false;
      const held = await made(sweep, item, turn.change);
      if (held !== undefined) begin(sweep, held, turn.decision, graph, report);
      return true;
    }
  }
}

/** @returns undefined when another process was faster */
async function made({ inbox, persistence }: Sweep, item: StoredInboxItem, { item: next, note }: InboxChange) {
  const written = await inbox.change(next, item.version, note);
  if (written !== undefined) emit(persistence, written, note.what);
  return written;
}

function begin(
  { persistence, inbox, clock, signal, expiring }: Sweep,
  held: StoredInboxItem,
  decision: { readonly action: string },
  graph: GraphLike,
  report: SweepReport,
): void {
  const done = expire(graph, held, decision, { inbox, clock, signal }).then(
    (outcome) => {
      if (outcome !== "elsewhere") report[outcome === "put_off" ? "putOff" : outcome] += 1;
      emit(persistence, held, `inbox.${outcome}`);
    },
    (error: unknown) => {
      // The hold on it ends, and another sweep tries again.
      process.emitWarning(
        `The default action of question ${held.id} could not be seen to its end: ${asError(error).message}`,
        "InboxWarning",
      );
    },
  );
  expiring.add(done);
  done.finally(() => expiring.delete(done));
}

/** From an answer until it is taken for lost where the thread has not stored it: longer than compensations take. */
const lostAfterMs = 5 * 60_000;

/** `over`: the thread does not ask any more. `lost`: it asks, though an answer was taken in, by a process that is dead by now. */
async function whatThreadSays(
  { threads, checkpointer }: Persistence,
  item: StoredInboxItem,
  nowMs: number,
): Promise<"open" | "over" | "lost"> {
  const { threadId, answer } = item;
  if (isGone(item, (await threads.get(threadId))?.lastCheckpointId)) return "over";
  if (answer === undefined) return "open";
  const head = await checkpointer.getTuple({ configurable: { thread_id: threadId } });
  const question = head === undefined ? "unknown" : questionAt(head, item);
  if (question === "answered") return "over";
  return question === "open" && nowMs - answer.at > lostAfterMs ? "lost" : "open";
}

async function graphOf({ graphs }: SweepOptions, name: string): Promise<FoundGraph> {
  if (typeof graphs === "function") return graphs(name);
  return graphs !== undefined && Object.hasOwn(graphs, name) ? graphs[name] : undefined;
}

function count(report: SweepReport, { note }: InboxChange): void {
  const which = note.what.slice("inbox.".length);
  if (which === "reminded" || which === "escalated" || which === "overdue") report[which] += 1;
}

function emit({ events }: Persistence, { id, threadId, graph }: StoredInboxItem, what: string): void {
  events.emit("inbox.swept", { threadId, ...(graph === undefined ? {} : { graph }) }, { item: id, what });
}

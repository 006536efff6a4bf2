/** What a sweep does about one question whose time has come. */
import type { StoredInboxItem } from "../../core/inbox-ports.js";
import type { Persistence } from "../../core/ports.js";
import { changeItem } from "../../recovery/inbox-change.js";
import { ended, type InboxChange, reopened, turnOf } from "../../recovery/inbox-life.js";
import { expire } from "./expire.js";
import type { FoundGraph } from "./graphs-at-hand.js";
import { threadSays } from "./settle-inbox.js";
import type { Sweep } from "./sweep-state.js";
import { warnOf } from "./warn-of.js";

/** So long an answer takes at most to be taken in, with the wait for the thread. */
const holdMs = 5 * 60_000;
/** How often it is looked whether the thread has stored an answer whose run goes on. */
const lookEveryMs = 500;

/**
 * Never rejects: what goes wrong with one is no matter of the others. A default action it only has done.
 *
 * @returns false where the item stays due, or is left to others
 */
export async function turned(sweep: Sweep, item: StoredInboxItem): Promise<boolean> {
  // Of a newer version of this package, which sweeps it.
  if (item.v !== 1) return false;
  const { inbox, clock, leftovers, expiries } = sweep;
  try {
    const turn = turnOf(item, clock.now(), holdMs);
    if (turn.kind === "nothing") return false;
    if (turn.kind === "expire") {
      if ((await graphOf(sweep, item))?.graph !== undefined) {
        expiries.add(item.id);
        return false;
      }
      return leftovers.mayLook(item.id) && (await wentOn(sweep, item));
    }
    if (await wentOn(sweep, item)) return true;
    if (turn.kind === "look") {
      await inbox.change(turn.item, item.version);
      return true;
    }
    if ((await made(sweep, item, turn.change)) !== undefined) {
      const which = turn.change.note.what.slice("inbox.".length);
      if (which === "reminded" || which === "escalated" || which === "overdue") sweep.report[which] += 1;
    }
    return true;
  } catch (error) {
    warnOf(item, "A sweep could do nothing about", error);
    return false;
  }
}

/**
 * Does the default action of a question, as it is by now. Never rejects.
 *
 * @param taken called once the answer is taken in
 */
export async function doDefaultAction(sweep: Sweep, id: string, taken: () => void): Promise<void> {
  const { persistence, inbox, clock, signal } = sweep;
  try {
    const found = await takenUp(sweep, id);
    // Whoever took longer than the hold lasts must not answer beside another.
    if (found === undefined || clock.now() >= (found.held.claim?.until ?? 0)) return;
    const { held, graph, decision } = found;
    const work = expire(graph, held, decision, { inbox, clock, signal });
    const outcome = await whileWatched(sweep, id, taken, work);
    if (outcome === "elsewhere") return;
    sweep.report[outcome === "put_off" ? "putOff" : outcome] += 1;
    emit(persistence, held, `inbox.${outcome}`);
  } catch (error) {
    // The hold on it ends, and another sweep tries again.
    warnOf({ id }, "The default action could not be seen to its end, of", error);
  }
}

/** @returns undefined where nothing is to be done any more, or not by this process */
async function takenUp(sweep: Sweep, id: string) {
  const { inbox, clock, signal } = sweep;
  for (;;) {
    const item = await inbox.get(id);
    if (item?.v !== 1) return undefined;
    const { graph, name } = (await graphOf(sweep, item)) ?? {};
    if (graph === undefined || name === undefined) return undefined;
    if ((await wentOn(sweep, item)) || signal.aborted) return undefined;
    const turn = turnOf(item, clock.now(), holdMs);
    if (turn.kind !== "expire") return undefined;
    const held = await made(sweep, item, turn.change);
    // Otherwise it has changed meanwhile, be it that people are told of it just now.
    if (held !== undefined) return { held: { ...held, graph: name }, graph, decision: turn.decision };
  }
}

/** The run of an answer may go on for long after the thread has stored it. */
async function whileWatched<T>({ inbox, clock }: Sweep, id: string, taken: () => void, work: Promise<T>): Promise<T> {
  const over = new AbortController();
  const watch = async (): Promise<void> => {
    for (;;) {
      await clock.sleep(lookEveryMs, over.signal);
      const state = await inbox.get(id).then(
        (item) => item?.state,
        () => "pending",
      );
      if (state !== "pending") return taken();
    }
  };
  // The only rejection is the end of the wait.
  watch().catch(() => {});
  try {
    return await work;
  } finally {
    over.abort();
  }
}

/** Puts an item right whose thread asks no more, or asks again. @returns whether it did */
async function wentOn(sweep: Sweep, item: StoredInboxItem): Promise<boolean> {
  const { persistence, inbox, clock } = sweep;
  const known = await threadSays(persistence, item, clock.now());
  if (known === "open") return false;
  const change = (stored: StoredInboxItem) => (known === "over" ? ended : reopened)(stored, clock.now());
  const changed = await changeItem(inbox, item.id, change);
  if (changed?.state === "withdrawn") sweep.report.withdrawn += 1;
  if (changed !== undefined) emit(persistence, changed, `inbox.${known === "lost" ? "reopened" : changed.state}`);
  return true;
}

/** @returns undefined when another process was faster */
async function made({ inbox, persistence }: Sweep, item: StoredInboxItem, { item: next, note }: InboxChange) {
  const written = await inbox.change(next, item.version, note);
  if (written !== undefined) emit(persistence, written, note.what);
  return written;
}

/** @returns undefined where no name is known; a thread that plain `invoke` began may have got one since */
async function graphOf(
  { persistence, options, graphs }: Sweep,
  { graph, threadId }: StoredInboxItem,
): Promise<{ readonly name: string; readonly graph: FoundGraph } | undefined> {
  if (options.graphs === undefined) return undefined;
  const name = graph ?? (await persistence.threads.get(threadId))?.graph;
  return name === undefined ? undefined : { name, graph: await graphs.find(name) };
}

function emit({ events }: Persistence, { id, threadId, graph }: StoredInboxItem, what: string): void {
  events.emit("inbox.swept", { threadId, ...(graph === undefined ? {} : { graph }) }, { item: id, what });
}

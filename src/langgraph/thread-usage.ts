/** One meter a thread: what it has spent in this process, on top of what its checkpoints say. */
import { randomUUID } from "node:crypto";
import { type NoteKeeper, threadNotesOf } from "../core/checkpoint-notes.js";
import type { Clock } from "../core/clock.js";
import { createMeter, type Meter } from "../policies/budget.js";
import {
  largerUsage,
  NO_USAGE,
  NOTHING_SPENT,
  type Spending,
  type SpendingRecord,
  settled,
  spendingOf,
  spendingRecord,
  usageBeyond,
} from "../policies/usage.js";

/** What a checkpoint's metadata holds under `lgr_usage`. */
export interface UsageNote extends SpendingRecord {
  /** Whose count it is; by it a process knows its own notes from those of one that went on with the thread. */
  readonly by: string;
}

/** By the keepers that were made here: the meter, once it knows what was spent before. */
const meters = new WeakMap<NoteKeeper, Promise<Meter>>();

/**
 * The meter of a thread. It goes on from what the thread's newest checkpoint says, which is read here only if the run
 * has not read it already, and what it counts is in every checkpoint written from then on, as far as the checkpointer is
 * from `openPersistence`. With any other one it counts for as long as the process lives.
 *
 * Ask anew for each attempt: the meters of the 10,000 threads used last are kept, and those with an attempt under way;
 * what a forgotten one had counted since its thread's last checkpoint is lost, as it is when the process dies.
 *
 * @param saver the compiled checkpointer
 * @throws what the checkpointer throws when it cannot be read
 */
export function meterOf(saver: object, threadId: string, clock: Clock): Promise<Meter> {
  const notes = threadNotesOf(saver);
  const known = notes.keeperOf(threadId);
  const found = known === undefined ? undefined : meters.get(known);
  if (found !== undefined) return found;
  const meter = createMeter({ clock });
  const keeper = usageKeeper(meter, threadId);
  notes.keep(threadId, keeper);
  const ready = notes.knows(threadId) ? Promise.resolve(meter) : readNewest();
  meters.set(keeper, ready);
  return ready;

  async function readNewest(): Promise<Meter> {
    try {
      const { getTuple } = saver as { getTuple?(config: object): Promise<never> };
      const tuple = await getTuple?.call(saver, { configurable: { thread_id: threadId, checkpoint_ns: "" } });
      notes.read({ threadId, namespace: "" }, tuple);
      return meter;
    } catch (error) {
      notes.dismiss(threadId, keeper);
      throw error;
    }
  }
}

/** What a note says was spent; nothing, and a process warning, where it cannot be read. */
export function spendingInNote(note: unknown, threadId: string): Spending {
  if (note === undefined) return NOTHING_SPENT;
  const spending = spendingOf(note);
  if (spending !== undefined) return spending;
  process.emitWarning(
    `What thread ${threadId} has spent cannot be read from its checkpoint and is counted from zero; a newer version of this package may have written it`,
    "ResilienceWarning",
  );
  return NOTHING_SPENT;
}

function usageKeeper(meter: Meter, threadId: string): NoteKeeper {
  const by = randomUUID();
  // As much of the stored count as the meter has in it. Counts only grow, so what goes beyond it is news.
  let shared = NOTHING_SPENT;
  return {
    get idle() {
      return meter.idle;
    },
    current(): UsageNote {
      return { ...spendingRecord(meter.spent), by };
    },
    found(note) {
      if ((note as Partial<UsageNote> | null)?.by === by) return;
      const stored = settled(spendingInNote(note, threadId));
      meter.learn(beyond(stored, shared));
      shared = larger(stored, shared);
    },
    stored(note) {
      const { useful, wasted, inFlight = NO_USAGE } = note as UsageNote;
      shared = larger(settled({ useful, wasted, inFlight }), shared);
    },
  };
}

function beyond(a: Spending, b: Spending): Spending {
  return { ...NOTHING_SPENT, useful: usageBeyond(a.useful, b.useful), wasted: usageBeyond(a.wasted, b.wasted) };
}

function larger(a: Spending, b: Spending): Spending {
  return { ...NOTHING_SPENT, useful: largerUsage(a.useful, b.useful), wasted: largerUsage(a.wasted, b.wasted) };
}

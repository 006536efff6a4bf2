/**
 * What a thread has used so far, in the metadata of its checkpoints. Whoever keeps the count hands in the note that the
 * next checkpoint is to carry; where nobody does (a console that edits the state, a graph whose next node is not
 * metered), the note of the newest checkpoint is carried on, so that a fork or a rollback does not bring an old one back.
 *
 * The checkpointer tells what it reads and writes anyway, so that in the usual course nothing is read for the note's sake.
 */
import type { CheckpointTuple } from "@langchain/langgraph-checkpoint";

/** The key in a checkpoint's metadata. Its value is plain JSON. */
export const USAGE_NOTE = "lgr_usage";

/** Threads without an attempt under way that one checkpointer remembers; the least recently used is forgotten. */
const MAX_THREADS = 10_000;

/** How many busy threads are passed over in search of one to forget. */
const MAX_PASSED_OVER = 16;

/** Keeps count of one thread in this process. */
export interface NoteKeeper {
  /** Whether it may be forgotten: nothing is under way. */
  readonly idle: boolean;
  /** The note for the next checkpoint. */
  current(): unknown;
  /** Told of a note that was read: perhaps another process has gone on with the thread. */
  found(note: unknown): void;
  /** Told that a note of its own is stored. */
  stored(note: unknown): void;
}

/** Where a checkpoint is, or is to be, as its config says. */
export interface CheckpointPlace {
  readonly threadId: unknown;
  /** "" is the root graph's. */
  readonly namespace: string;
}

export interface ThreadNotes {
  /** Tells of a thread's newest checkpoint in a namespace, as it was read; undefined: there is none. */
  read(place: CheckpointPlace, tuple: CheckpointTuple | undefined): void;
  /** Tells that a certain checkpoint was read: who goes on from it may not know of a newer one. */
  readOlder(place: CheckpointPlace): void;
  /**
   * Whether the newest checkpoint of the root namespace has to be read before one is written: it is not known here, or
   * it is not the parent of the new one, as in a fork.
   */
  mustRead(place: CheckpointPlace, parentId: string | undefined): boolean;
  /** The note for the next checkpoint. Subgraphs' checkpoints carry one only while somebody keeps count. */
  next(place: CheckpointPlace): unknown;
  wrote(place: CheckpointPlace, checkpointId: string, note: unknown): void;
  forget(threadId: unknown): void;
  /** Whether the newest note of a thread is known here, be it that there is none. */
  knows(threadId: string): boolean;
  keeperOf(threadId: string): NoteKeeper | undefined;
  /** From now on this keeper is asked; it is told the newest note at once if that is known. */
  keep(threadId: string, keeper: NoteKeeper): void;
  dismiss(threadId: string, keeper: NoteKeeper): void;
}

/** As far as this process knows; `none`: it was looked for and not there. */
type Newest = { readonly kind: "unknown" } | { readonly kind: "none" } | { readonly kind: "at"; readonly id: string };

interface Entry {
  /** The newest checkpoint of the root namespace. */
  root: Newest;
  /** The note of the newest checkpoint that has one, in any namespace, and that checkpoint's ID, by which they sort. */
  note: { readonly value: unknown; readonly checkpointId: string } | undefined;
  keeper: NoteKeeper | undefined;
}

const notesOfSavers = new WeakMap<object, ThreadNotes>();

/** The notes on the threads of one checkpointer. */
export function threadNotesOf(checkpointer: object): ThreadNotes {
  const found = notesOfSavers.get(checkpointer);
  if (found !== undefined) return found;
  const made = createThreadNotes();
  notesOfSavers.set(checkpointer, made);
  return made;
}

function createThreadNotes(): ThreadNotes {
  /** Least recently used first. */
  const entries = new Map<string, Entry>();

  function use(threadId: string): Entry {
    const entry = entries.get(threadId) ?? { root: { kind: "unknown" }, note: undefined, keeper: undefined };
    entries.delete(threadId);
    entries.set(threadId, entry);
    if (entries.size > MAX_THREADS) forgetOldest();
    return entry;
  }

  function forgetOldest(): void {
    let passedOver = 0;
    for (const [threadId, entry] of entries) {
      entries.delete(threadId);
      if (entry.keeper === undefined || entry.keeper.idle) return;
      entries.set(threadId, entry);
      passedOver += 1;
      if (passedOver === MAX_PASSED_OVER) return;
    }
  }

  function remember(entry: Entry, checkpointId: string, value: unknown): void {
    if (entry.note === undefined || entry.note.checkpointId <= checkpointId) entry.note = { value, checkpointId };
  }

  return {
    read({ threadId, namespace }, tuple) {
      if (typeof threadId !== "string") return;
      const isRoot = namespace === "";
      if (tuple === undefined) {
        if (!isRoot) return;
        const known = entries.get(threadId);
        // It was there and is gone: the thread was deleted by someone else, and its name may stand for another one.
        if (known?.root.kind === "at" && known.keeper?.idle !== false) entries.delete(threadId);
        use(threadId).root = { kind: "none" };
        return;
      }
      const entry = use(threadId);
      if (isRoot) entry.root = { kind: "at", id: tuple.checkpoint.id };
      const found = (tuple.metadata as Record<string, unknown> | undefined)?.[USAGE_NOTE];
      if (found === undefined) return;
      remember(entry, tuple.checkpoint.id, found);
      entry.keeper?.found(found);
    },
    readOlder({ threadId, namespace }) {
      const known = typeof threadId === "string" && namespace === "" ? entries.get(threadId) : undefined;
      if (known !== undefined) known.root = { kind: "unknown" };
    },
    mustRead({ threadId, namespace }, parentId) {
      if (typeof threadId !== "string" || namespace !== "") return false;
      const root = entries.get(threadId)?.root ?? { kind: "unknown" };
      switch (root.kind) {
        case "unknown":
          return true;
        case "none":
          return parentId !== undefined;
        case "at":
          return parentId !== root.id;
      }
    },
    next({ threadId, namespace }) {
      if (typeof threadId !== "string") return undefined;
      const entry = entries.get(threadId);
      return entry?.keeper?.current() ?? (namespace === "" ? entry?.note?.value : undefined);
    },
    wrote({ threadId, namespace }, checkpointId, value) {
      if (typeof threadId !== "string") return;
      const entry = use(threadId);
      if (namespace === "") entry.root = { kind: "at", id: checkpointId };
      if (value === undefined) return;
      remember(entry, checkpointId, value);
      entry.keeper?.stored(value);
    },
    forget(threadId) {
      if (typeof threadId === "string") entries.delete(threadId);
    },
    knows(threadId) {
      return (entries.get(threadId)?.root.kind ?? "unknown") !== "unknown";
    },
    keeperOf(threadId) {
      return entries.has(threadId) ? use(threadId).keeper : undefined;
    },
    keep(threadId, keeper) {
      const entry = use(threadId);
      entry.keeper = keeper;
      if (entry.note !== undefined) keeper.found(entry.note.value);
    },
    dismiss(threadId, keeper) {
      const entry = entries.get(threadId);
      if (entry?.keeper === keeper) entry.keeper = undefined;
    },
  };
}

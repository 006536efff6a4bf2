/**
 * What this process has lately written or read, so that a value is stored as what changed in it and need not be read
 * twice. It only ever saves work: whatever is not in it is stored in full, or read.
 */
import type { HeaderValues } from "./header.js";
import type { StandingValue } from "./stored-value.js";

/** Characters of values that are kept; beyond, the least recently used threads go. A character is 2 bytes at most. */
const maxCharacters = 32 * 1024 * 1024;
const maxThreads = 10_000;

/** Of one thread. */
const maxStates = 32;
const maxValues = 64;
const maxContents = 256;

/** How long it is known that a content is stored, in milliseconds: far below the age from which contents are pruned. */
const knownForMs = 5 * 60_000;

/** Where a checkpoint has its values, and of which version each is. */
export interface CheckpointState extends HeaderValues {
  readonly versions: Readonly<Record<string, unknown>>;
  /** Channels that have a value in stock's tables. */
  readonly elsewhere: ReadonlySet<string>;
  /**
   * Of delta channels without a value here, the object of the last snapshot on the way here: it stays as long as this
   * checkpoint does, which is read from it.
   */
  readonly snapshots?: Readonly<Record<string, string>>;
  /** Present where the checkpoint is in stock's format. */
  readonly isStock?: true;
}

interface ThreadMemory {
  readonly states: Map<string, CheckpointState>;
  /** By namespace. */
  readonly newest: Map<string, CheckpointState>;
  readonly values: Map<string, StandingValue>;
  /** When each was last stored. */
  readonly contents: Map<string, number>;
}

export class StateCache {
  /** Least recently used first. */
  readonly #threads = new Map<string, ThreadMemory>();
  readonly #now: () => number;
  #characters = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  state(threadKey: string, namespace: string, checkpointId: string): CheckpointState | undefined {
    return this.#threads.get(threadKey)?.states.get(stateKey(namespace, checkpointId));
  }

  remember(threadKey: string, namespace: string, checkpointId: string, state: CheckpointState): void {
    const { states, newest } = this.#use(threadKey);
    const place = stateKey(namespace, checkpointId);
    // One that was read knows less of what came before it than the one that was written.
    const snapshots = state.snapshots ?? states.get(place)?.snapshots;
    const known = snapshots === undefined ? state : { ...state, snapshots };
    setNewest(states, place, known, maxStates);
    setNewest(newest, namespace, known, maxStates);
  }

  value(threadKey: string, hash: string): StandingValue | undefined {
    const values = this.#threads.get(threadKey)?.values;
    const value = values?.get(hash);
    if (values === undefined || value === undefined) return undefined;
    values.delete(hash);
    values.set(hash, value);
    return value;
  }

  keep(threadKey: string, value: StandingValue): void {
    const { values } = this.#use(threadKey);
    if (values.has(value.hash)) return;
    this.#characters += value.text.length;
    const dropped = setNewest(values, value.hash, value, maxValues);
    this.#characters -= dropped?.text.length ?? 0;
    for (const oldest of this.#threads.keys()) {
      if (this.#characters <= maxCharacters || oldest === threadKey) break;
      this.forget(oldest);
    }
  }

  /**
   * The values by hash that are here of what is likely to be read next in this place. Whoever does not read them again
   * has to hold on to them: others may take their places here meanwhile.
   */
  valuesAt(threadKey: string, namespace: string, checkpointId: string | undefined): Map<string, StandingValue> {
    const found = new Map<string, StandingValue>();
    const memory = this.#threads.get(threadKey);
    if (memory === undefined) return found;
    const at = checkpointId === undefined ? undefined : memory.states.get(stateKey(namespace, checkpointId));
    const state = at ?? memory.newest.get(namespace);
    for (const hash of Object.values(state?.objects ?? {})) {
      const value = memory.values.get(hash);
      if (value !== undefined) found.set(hash, value);
    }
    return found;
  }

  isStored(threadKey: string, hash: string): boolean {
    const since = this.#threads.get(threadKey)?.contents.get(hash);
    return since !== undefined && this.#now() - since < knownForMs;
  }

  stored(threadKey: string, hash: string): void {
    const { contents } = this.#use(threadKey);
    if (!this.isStored(threadKey, hash)) setNewest(contents, hash, this.#now(), maxContents);
  }

  /** For a thread that begins anew, or that was changed behind this process's back. */
  forget(threadKey: string): void {
    const memory = this.#threads.get(threadKey);
    if (memory === undefined) return;
    for (const { text } of memory.values.values()) this.#characters -= text.length;
    this.#threads.delete(threadKey);
  }

  #use(threadKey: string): ThreadMemory {
    const known = this.#threads.get(threadKey);
    const memory = known ?? { states: new Map(), newest: new Map(), values: new Map(), contents: new Map() };
    this.#threads.delete(threadKey);
    this.#threads.set(threadKey, memory);
    if (this.#threads.size > maxThreads) {
      for (const oldest of this.#threads.keys()) {
        this.forget(oldest);
        break;
      }
    }
    return memory;
  }
}

function stateKey(namespace: string, checkpointId: string): string {
  return `${namespace}\x01${checkpointId}`;
}

/** @returns what had to go for it */
function setNewest<V>(map: Map<string, V>, key: string, value: V, limit: number): V | undefined {
  map.delete(key);
  map.set(key, value);
  if (map.size <= limit) return undefined;
  for (const [oldest, dropped] of map) {
    map.delete(oldest);
    return dropped;
  }
  return undefined;
}

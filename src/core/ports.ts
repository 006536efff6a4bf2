/**
 * The ports a persistence plugin fills. A graph finds them through the checkpointer it was compiled with
 * (see persistence-of.ts), so `compile({ checkpointer })` is the only wiring.
 */
import type { BaseCheckpointSaver, BaseStore } from "@langchain/langgraph-checkpoint";
import type { EventBus } from "./events.js";
import type { Retention, RetentionOptions } from "./retention-ports.js";
import type { LaterStores } from "./store-ports.js";

/** What the last run on a thread came to; `paused` before or after a node by the graph's own `interruptBefore` or `interruptAfter`. A thread whose process died keeps `running`. */
export type ThreadStatus = "running" | "waiting_human" | "paused" | "succeeded" | "failed" | "aborted" | "drained";

export interface ThreadRecord {
  /** A UUID, unless the thread was made by other means with a name of its own. */
  readonly threadId: string;
  /** The alias people use; unique. */
  readonly name?: string;
  /** Key of the graph in langgraph.json, or the name it was compiled with. */
  readonly graph?: string;
  /** Absent for a thread that was last run by other means (Studio, `graph.invoke`, `updateState`). */
  readonly status?: ThreadStatus;
  /** The message of the last failure. */
  readonly error?: string;
  readonly createdAt: Date;
  /** Last activity: a run began or ended, or a checkpoint was written. */
  readonly updatedAt: Date;
  readonly checkpoints: number;
  /** The newest checkpoint of the root namespace. */
  readonly lastCheckpointId?: string;
  /** Whether the newest checkpoint carries an unanswered interrupt, or an error. Counts where `status` is absent. */
  readonly pending?: "interrupt" | "error";
}

export interface ThreadPatch {
  readonly threadId: string;
  readonly name?: string;
  readonly graph?: string;
  readonly status?: ThreadStatus;
  /** `null` clears it. */
  readonly error?: string | null;
}

export interface ThreadFilter {
  readonly graph?: string;
  /** What the record says, or, where a thread was run by other means, what its newest checkpoint does. */
  readonly status?: ThreadStatus;
  /** Newest activity first; default 50. */
  readonly limit?: number;
}

export interface ThreadStore {
  /** Creates or amends a record; fields left out stay as they are. Acknowledged only when durable. */
  record(patch: ThreadPatch): Promise<void>;
  get(threadId: string): Promise<ThreadRecord | undefined>;
  findByName(name: string): Promise<ThreadRecord | undefined>;
  list(filter?: ThreadFilter): Promise<ThreadRecord[]>;
}

export interface Persistence extends LaterStores {
  readonly checkpointer: BaseCheckpointSaver;
  readonly store: BaseStore;
  readonly threads: ThreadStore;
  /** Absent where old checkpoints cannot be deleted without harm. */
  readonly retention?: Retention;
  /** Events of everything that runs on this persistence, in this process. */
  readonly events: EventBus;
  /** For messages to people; never holds a password. */
  readonly description: string;
  /** Connects and migrates now instead of on first use, so that a wrong address is reported before work starts. */
  ready(): Promise<void>;
  close(): Promise<void>;
}

/** A plugin for one URL scheme. `open` must not connect: it is called while modules load. */
export interface PersistencePlugin {
  open(url: string, options: PersistenceOptions): Persistence;
}

export interface PersistenceOptions {
  /** PostgreSQL schema for all tables; default "public". */
  readonly schema?: string;
  /** Connections in the pool, where there is one; default 10. */
  readonly maxConnections?: number;
  /** Deletes old checkpoints and threads in the background; absent: nothing is ever deleted by itself. */
  readonly retention?: RetentionOptions;
  /**
   * Refuses state that would come back as something else (a Date, a class instance, NaN, a circle) with an
   * InvalidInputError that names the channel and the path in it; default false: it is stored as LangGraph does.
   */
  readonly strict?: boolean;
}

/** One SQL implementation of every port, for whichever PostgreSQL a plugin connects to. */
import { beforeClose, settleBeforeClose } from "../core/before-close.js";
import { systemClock } from "../core/clock.js";
import { createEventBus } from "../core/events.js";
import { importOptional } from "../core/optional-import.js";
import { registerCheckpointer } from "../core/persistence-of.js";
import type { Persistence } from "../core/ports.js";
import { ConfigError, ResilienceError } from "../errors/own-errors.js";
import { registerDatabase } from "./database-of.js";
import { OpenedSaver } from "./opened-saver.js";
import { backgroundRetention } from "./retention/background.js";
import type { RetentionSettings } from "./retention/retention-options.js";
import { createSqlRetention } from "./retention/sql-retention.js";
import type { ResilientPostgresSaver } from "./saver.js";
import { createSqlAttempts } from "./sql-attempts.js";
import { createSqlAudit } from "./sql-audit.js";
import { createSqlCache } from "./sql-cache.js";
import { createSqlEffects } from "./sql-effects.js";
import { createSqlInbox } from "./sql-inbox.js";
import { createSqlLocks } from "./sql-locks.js";
import { boundedPool, type SqlPool } from "./sql-pool.js";
import { createSqlStore } from "./sql-store.js";
import { createSqlStreams } from "./sql-streams.js";
import { createSqlThreads } from "./sql-threads.js";
import { createSqlVersioned } from "./sql-versioned.js";
import { byTheRules } from "./store-rules.js";

export interface SqlSource {
  /** For people; holds no password. */
  readonly description: string;
  readonly schema: string;
  /** What to look at when it cannot be used, as a sentence without its full stop. */
  readonly advice: string;
  /** Called on first use, and again after a failure. */
  connect(): Promise<SqlPool>;
  /** Whether `close()` ends the pool; a pool that someone handed in stays theirs. */
  readonly ownsPool: boolean;
  /** What is deleted in the background; absent: nothing. */
  readonly retention?: RetentionSettings | undefined;
  /** Whether state that would come back as something else is refused. */
  readonly strict: boolean;
  /** Whether nobody else tidies up after deletions, as autovacuum does. */
  readonly needsVacuum?: boolean;
}

interface Opened {
  readonly pool: SqlPool;
  readonly saver: ResilientPostgresSaver;
}

export const serverAdvice = "Check that the server runs and that address, user and database are right";

export function openSqlPersistence(source: SqlSource): Persistence {
  const { schema, description, advice } = source;
  const events = createEventBus(systemClock.now);
  let opening: Promise<Opened> | undefined;
  /** Repetitions that wait for a server to come back have nothing to wait for once this is closed. */
  const closing = new AbortController();
  let closed = false;

  const open = async (): Promise<Opened> => {
    const { ResilientPostgresSaver } = await importOptional(
      () => import("./saver.js"),
      "@langchain/langgraph-checkpoint-postgres pg",
    );
    const pool = boundedPool(await source.connect(), { signal: closing.signal });
    try {
      const saver = new ResilientPostgresSaver(pool, undefined, {
        schema,
        keepThreads: true,
        strict: source.strict,
        onCorrupt: ({ place, message }) =>
          events.emit("checkpoint.corrupt", { threadId: place.threadId }, { ...place, message }),
      });
      await saver.setup();
      background?.start();
      return { pool, saver };
    } catch (error) {
      if (source.ownsPool) await pool.end().catch(() => {});
      throw error;
    }
  };
  const opened = (): Promise<Opened> => {
    if (closed) return Promise.reject(new ResilienceError("CLOSED", `The persistence (${description}) was closed`));
    opening ??= open().catch((error: unknown) => {
      opening = undefined;
      throw error;
    });
    return opening;
  };
  const pool = async () => (await opened()).pool;
  const stores = byTheRules({
    attempts: createSqlAttempts(pool, schema),
    audit: createSqlAudit(pool, schema),
    breakers: createSqlVersioned(pool, schema, "lgr_breakers"),
    cache: createSqlCache(pool, schema),
    inbox: createSqlInbox(pool, schema),
    ledger: createSqlEffects(pool, schema),
    locks: createSqlLocks(pool, schema),
    streams: createSqlStreams(pool, schema),
  });
  const retention = createSqlRetention(pool, schema, source.needsVacuum === true);
  const background =
    source.retention && backgroundRetention({ settings: source.retention, retention, locks: stores.locks, events });

  const persistence: Persistence = {
    checkpointer: new OpenedSaver(async () => (await opened()).saver, events),
    store: createSqlStore(pool, schema),
    threads: createSqlThreads(pool, schema),
    ...stores,
    retention,
    events,
    description,
    async ready() {
      await opened().catch((error: unknown) => {
        throw error instanceof ResilienceError ? error : unreachable(description, advice, error);
      });
    },
    async close() {
      if (!closed) await settleBeforeClose(persistence, opening !== undefined);
      await background?.stop();
      closed = true;
      closing.abort();
      const current = opening;
      opening = undefined;
      const result = await current?.catch(() => undefined);
      if (source.ownsPool) await result?.pool.end();
    },
  };
  if (background !== undefined) beforeClose(persistence, () => background.settled());
  registerCheckpointer(persistence.checkpointer, persistence);
  registerDatabase(persistence, { pool, schema });
  return persistence;
}

function unreachable(description: string, advice: string, error: unknown): ConfigError {
  const { code, message } = error as { code?: unknown; message?: unknown };
  const reason = [code, message].filter((part) => typeof part === "string" && part !== "").join(": ");
  return new ConfigError(`Cannot use the ${description}: ${reason}. ${advice}`, { cause: error });
}

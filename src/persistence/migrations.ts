/**
 * Tables, made and brought up to date under one advisory lock and in one transaction, so that any number of processes
 * may start on an empty database at once.
 */
import { PostgresSaver } from "@langchain/langgraph-checkpoint-postgres";
import { PostgresStore } from "@langchain/langgraph-checkpoint-postgres/store";
import type pg from "pg";
import { borrowedConnection } from "./borrowed-connection.js";
import { boundedPool, inTransaction, retryOn, type SqlClient, type SqlPool, withClient } from "./sql-pool.js";

/** First key of the lock, "lgr" in ASCII; the second is made of the schema's name. */
const lockKey = 0x6c6772;

/** A change of a large table takes its time, and whoever starts beside it waits for it. */
const migrationTimeoutMs = 10 * 60_000;

/** This package's own tables. Append only: position is version, and a database may hold any earlier one. */
export const ownMigrations: readonly ((schema: string) => string)[] = [
  (schema) => `create table "${schema}".lgr_threads (
    thread_id text primary key,
    name text constraint lgr_threads_name_unique unique,
    graph text,
    status text,
    error text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
  )`,
  (schema) => `create table "${schema}".lgr_task_paths (
    thread_id text not null,
    checkpoint_ns text not null,
    checkpoint_id text not null,
    task_id text not null,
    task_path text not null,
    primary key (thread_id, checkpoint_ns, checkpoint_id, task_id)
  )`,
  (schema) => `create table "${schema}".lgr_breakers (
    key text primary key,
    value json not null,
    version bigint not null,
    marks uuid[] not null
  )`,
  (schema) => `create table "${schema}".lgr_attempts (
    thread_id text not null,
    step text not null,
    number integer not null,
    record jsonb not null,
    state text not null,
    primary key (thread_id, step, number)
  )`,
  (schema) => `create table "${schema}".lgr_cache (
    key text primary key,
    value json not null,
    stored_at timestamptz not null,
    expires_at timestamptz not null
  );
  create index lgr_cache_expires_at on "${schema}".lgr_cache (expires_at)`,
  (schema) => `create table "${schema}".lgr_streams (
    thread_id text not null,
    node text not null,
    step text not null,
    stream text not null,
    seq integer not null,
    writer text not null,
    after text,
    text text not null,
    tokens integer not null,
    ending json,
    primary key (thread_id, node, step, stream, seq)
  )`,
  (schema) => `create sequence "${schema}".lgr_lock_tokens`,
  (schema) => `create table "${schema}".lgr_locks (
    name text primary key,
    token bigint not null,
    holder text not null,
    expires_at timestamptz not null
  )`,
  (schema) => `create table "${schema}".lgr_objects (
    thread_key uuid not null,
    hash uuid not null,
    links uuid[],
    body text not null,
    stored_at timestamptz not null default now(),
    primary key (thread_key, hash)
  )`,
  (schema) => `create table "${schema}".lgr_writes (
    thread_key uuid not null,
    checkpoint_key uuid not null,
    task_id text not null,
    number integer not null,
    report smallint not null,
    links uuid[],
    body text not null,
    check_sum bigint not null,
    stored_at timestamptz not null default clock_timestamp(),
    primary key (thread_key, checkpoint_key, task_id, number)
  )`,
  (schema) => `create table "${schema}".lgr_write_counts (
    thread_key uuid not null,
    checkpoint_key uuid not null,
    count integer not null,
    primary key (thread_key, checkpoint_key)
  )`,
  (schema) => `create table "${schema}".lgr_pins (
    thread_id text not null,
    checkpoint_id text not null,
    reason text,
    pinned_at timestamptz not null default now(),
    primary key (thread_id, checkpoint_id)
  )`,
  (schema) => `create table "${schema}".lgr_quarantine (
    thread_id text not null,
    checkpoint_ns text not null,
    checkpoint_id text not null,
    part text not null,
    found_at timestamptz not null default now(),
    primary key (thread_id, checkpoint_ns, checkpoint_id, part)
  )`,
  (schema) => `create table "${schema}".lgr_effects (
    thread_id text not null,
    key text not null,
    epoch integer not null,
    seq bigint generated always as identity,
    effect text not null,
    place text not null,
    state text not null,
    change text not null,
    entry json not null,
    primary key (thread_id, key, epoch)
  );
  create index lgr_effects_newest on "${schema}".lgr_effects (thread_id, effect, place, seq)`,
  // Refused by the table itself, so that other programs cannot either. A statement as such, whether or not it finds rows.
  (schema) => `create table "${schema}".lgr_audit (
    seq bigint generated always as identity primary key,
    id text not null unique,
    at timestamptz not null,
    by text not null,
    what text not null,
    thread_id text,
    entry json not null
  );
  create index lgr_audit_thread on "${schema}".lgr_audit (thread_id, seq);
  create index lgr_audit_at on "${schema}".lgr_audit (at);
  create function "${schema}".lgr_audit_refuse() returns trigger language plpgsql as $refuse$
  begin
    raise exception '% on lgr_audit is refused: the audit log is append-only', tg_op
      using errcode = 'insufficient_privilege', hint = 'Add an entry that says what was wrong with the earlier one.';
  end
  $refuse$;
  create trigger lgr_audit_append_only before update or delete or truncate on "${schema}".lgr_audit
    for each statement execute function "${schema}".lgr_audit_refuse()`,
  // Generated, so that what an item is found by cannot differ from what the item says.
  (schema) => `create table "${schema}".lgr_inbox (
    key text primary key,
    value json not null,
    version bigint not null,
    marks uuid[] not null,
    seq bigint generated always as identity,
    thread_id text not null generated always as (value ->> 'threadId') stored,
    state text not null generated always as (value ->> 'state') stored,
    graph text generated always as (value ->> 'graph') stored,
    node text not null generated always as (value ->> 'node') stored,
    kind text not null generated always as (value ->> 'kind') stored,
    assignee text generated always as (value ->> 'assignee') stored,
    claimed_by text generated always as (value -> 'claim' ->> 'by') stored,
    claimed_until timestamptz generated always as (${timeIn("-> 'claim' ->> 'until'")}) stored,
    opened_at timestamptz not null generated always as (${timeIn("->> 'openedAt'")}) stored,
    due_at timestamptz generated always as (${timeIn("->> 'dueAt'")}) stored,
    sweep_at timestamptz generated always as (${timeIn("->> 'sweepAt'")}) stored,
    notify_at timestamptz generated always as (${timeIn("->> 'notifyAt'")}) stored
  );
  create index lgr_inbox_opened on "${schema}".lgr_inbox (opened_at, seq);
  create index lgr_inbox_state on "${schema}".lgr_inbox (state, opened_at, seq);
  create index lgr_inbox_thread on "${schema}".lgr_inbox (thread_id, opened_at, seq);
  create index lgr_inbox_sweep on "${schema}".lgr_inbox (sweep_at, seq) where state = 'pending';
  create index lgr_inbox_notify on "${schema}".lgr_inbox (notify_at, seq) where notify_at is not null`,
];

/** Of milliseconds in the JSON of a row. */
function timeIn(path: string): string {
  return `to_timestamp((value ${path})::float8 / 1000)`;
}

/** The tables of the stock saver alone. */
export async function migrateCheckpoints(pool: SqlPool, schema: string): Promise<void> {
  await underLock(pool, schema, (client) => stockCheckpoints(client, schema));
}

/** The tables of the stock saver and this package's own. */
export async function migrateAll(pool: SqlPool, schema: string): Promise<void> {
  await underLock(pool, schema, async (client) => {
    await stockCheckpoints(client, schema);
    await ownTables(client, schema);
  });
}

/** The tables of the stock store; kept apart because few graphs use one. */
export async function migrateStore(pool: SqlPool, schema: string): Promise<void> {
  await underLock(pool, schema, async (client) => {
    await ensureVersionTable(client, schema, "store_migrations");
    const connectionOptions = borrowedConnection(async () => ({ ...lent(client, schema), release: () => {} }));
    await new PostgresStore({ connectionOptions, schema, ensureTables: false }).setup();
  });
}

/** Whether this package's own tables are all there, as this version knows them or a later one does. */
export async function ownTablesAreThere(pool: SqlPool, schema: string): Promise<boolean> {
  return retryOn(pool, () =>
    withClient(pool, async (client) => {
      const at = `"${schema}".lgr_migrations`;
      const found = await client.query<{ oid: unknown }>("select to_regclass($1)::text as oid", [at]);
      if (found.rows[0]?.oid == null) return false;
      const { rows } = await client.query<{ v: number | null }>(`select max(v) as v from ${at}`);
      return (rows[0]?.v ?? -1) >= ownMigrations.length - 1;
    }),
  );
}

async function underLock(pool: SqlPool, schema: string, work: (client: SqlClient) => Promise<void>): Promise<void> {
  const patient = boundedPool(pool, { statementTimeoutMs: migrationTimeoutMs });
  await retryOn(patient, () =>
    inTransaction(patient, async (client) => {
      await client.query("select pg_advisory_xact_lock($1::int, hashtext($2))", [lockKey, schema]);
      const found = await client.query("select 1 from pg_namespace where nspname = $1", [schema]);
      if (found.rows.length === 0) await client.query(`create schema "${schema}"`);
      await work(client);
    }),
  );
}

/** Runs the stock migrations, whichever the installed version brings, on the connection that holds the lock. */
async function stockCheckpoints(client: SqlClient, schema: string): Promise<void> {
  await ensureVersionTable(client, schema, "checkpoint_migrations");
  const pool = { connect: async () => lent(client, schema) } as unknown as pg.Pool;
  await new PostgresSaver(pool, undefined, { schema }).setup();
}

async function ownTables(client: SqlClient, schema: string): Promise<void> {
  await ensureVersionTable(client, schema, "lgr_migrations");
  const { rows } = await client.query<{ v: number | null }>(`select max(v) as v from "${schema}".lgr_migrations`);
  const done = rows[0]?.v ?? -1;
  for (const [v, migration] of ownMigrations.entries()) {
    if (v <= done) continue;
    await client.query(migration(schema));
    await client.query(`insert into "${schema}".lgr_migrations (v) values ($1)`, [v]);
  }
}

/** Stock setup asks a version table that may not be there and goes on after the error, which a transaction cannot. */
async function ensureVersionTable(client: SqlClient, schema: string, table: string): Promise<void> {
  const { rows } = await client.query<{ oid: unknown }>("select to_regclass($1) as oid", [`"${schema}".${table}`]);
  if (rows[0]?.oid == null) await client.query(`create table "${schema}".${table} (v integer primary key)`);
}

/** The schema is there already, and asking for it again needs a privilege that a role for one schema has not. */
function lent(client: SqlClient, schema: string): SqlClient {
  return {
    query: (text, values) =>
      text === `CREATE SCHEMA IF NOT EXISTS "${schema}"` ? Promise.resolve({ rows: [] }) : client.query(text, values),
    release: () => {},
  };
}

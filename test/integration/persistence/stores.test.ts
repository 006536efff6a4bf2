/** Attempts, versioned state and cached answers on PostgreSQL: shared, kept, and right when a reply is lost. */
import { randomUUID } from "node:crypto";
import { PostgresSaver } from "@langchain/langgraph-checkpoint-postgres";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Persistence } from "../../../src/core/ports.js";
import { ownMigrations } from "../../../src/persistence/migrations.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { guardPool, type SqlPool } from "../../../src/persistence/sql-pool.js";
import { changedEffect, failedAttempt as failed, newEffect } from "../../../src/testing/samples.js";
import { storesOf } from "../../contract/stores-contract.js";
import {
  createDatabase,
  createFolder,
  describeOnPostgres,
  embeddedAt,
  type TestDatabase,
} from "../../support/databases.js";
import { startWireProxy, type WireProxy } from "./wire-proxy.js";

const lostConnection = () => Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" });
const aMinute = 60_000;

/** Not from the connection that holds the lock: a transaction sees the activity as it was when it first looked. */
const waitingSql = `select count(*)::int as n from pg_stat_activity
  where datname = current_database() and wait_event_type = 'Lock'`;

/** What becomes of a statement: `run` sends it to the server. */
type Fate = (
  text: string,
  run: () => Promise<{ rows: unknown[] }>,
  values: unknown[] | undefined,
) => Promise<{ rows: unknown[] }>;

/** How a plan as `explain (format json)` gives it finds the rows of the cache: each index it asks, and what reads them all. */
function scansOf(plan: Record<string, unknown>): unknown[] {
  const below = ((plan.Plans as Record<string, unknown>[] | undefined) ?? []).flatMap(scansOf);
  const readsAll = plan["Relation Name"] === "lgr_cache" && plan["Node Type"] === "Seq Scan";
  const own = plan["Index Name"] ?? (readsAll ? "all rows" : undefined);
  return own === undefined ? below : [...below, own, plan["Index Cond"]];
}

/** A pool whose statements meet their fate. */
function fatefulPool(pool: pg.Pool, fate: Fate): SqlPool {
  return {
    on: () => {},
    end: () => pool.end(),
    connect: async () => {
      const client = await pool.connect();
      return {
        release: (destroy) => client.release(destroy),
        query: async <R extends object>(text: string, values?: unknown[]) =>
          (await fate(text, () => client.query(text, values), values)) as { rows: R[] },
      };
    },
  };
}

describeOnPostgres("the stores of two processes on one PostgreSQL", () => {
  let database: TestDatabase;
  let pool: pg.Pool;
  let one: Persistence;
  let other: Persistence;

  beforeAll(async () => {
    database = await createDatabase();
    pool = new pg.Pool({ connectionString: database.url });
    guardPool(pool);
    one = openPersistence(database.url, { maxConnections: 4 });
    other = openPersistence(database.url, { maxConnections: 4 });
    await Promise.all([one.ready(), other.ready()]);
  });
  afterAll(async () => {
    await Promise.all([one.close(), other.close(), pool.end()]);
    await database.drop();
  });

  it("one of all writers wins each version, and all see what it wrote", async () => {
    const key = randomUUID();
    const stores = [one, other].map((persistence) => storesOf(persistence).breakers);
    for (let version = 0; version < 5; version += 1) {
      const won = await Promise.all(
        [...stores, ...stores, ...stores].map((store, writer) => store.write(key, { version, writer }, version)),
      );
      expect(won.filter((next) => next !== undefined)).toEqual([version + 1]);
      const winner = won.findIndex((next) => next !== undefined);
      for (const store of stores) expect(await store.read(key)).toMatchObject({ value: { version, writer: winner } });
    }
  });

  it("go by the clock of the server", async () => {
    const before = Number((await pool.query("select extract(epoch from clock_timestamp()) * 1000 as ms")).rows[0].ms);
    const readings = [];
    for (const persistence of [one, other, one])
      readings.push((await storesOf(persistence).breakers.read("clock")).nowMs);
    const after = Number((await pool.query("select extract(epoch from clock_timestamp()) * 1000 as ms")).rows[0].ms);
    const bounds = [Math.floor(before), ...readings, after];
    expect(bounds).toEqual(bounds.toSorted((a, b) => a - b));
  });

  it("see each other's attempts and answers", async () => {
    const scope = { threadId: randomUUID(), step: "plan" };
    await storesOf(one).attempts.append(scope, failed(1));
    await storesOf(other).attempts.append(scope, failed(2));
    await storesOf(one).cache.put(scope.threadId, "answer", aMinute);
    expect(await storesOf(one).attempts.load(scope)).toEqual({ attempts: [failed(1), failed(2)], state: "open" });
    expect(await storesOf(other).cache.get(scope.threadId)).toMatchObject({ value: "answer" });
    await other.checkpointer.deleteThread(scope.threadId);
    expect(await storesOf(one).attempts.load(scope)).toBeUndefined();
  });

  it("delete what has expired from the cache while they put, so that it does not grow", async () => {
    const count = async () => Number((await pool.query("select count(*) as n from lgr_cache")).rows[0].n);
    const { cache } = storesOf(one);
    for (let n = 0; n < 30; n += 1) await cache.put(`over ${n}`, n, 0);
    expect(await count()).toBeLessThanOrEqual(2);
    await pool.query(`insert into lgr_cache (key, value, stored_at, expires_at)
      select 'left behind ' || n, '1', now() - interval '2 days', now() - interval '1 day' from generate_series(1, 100) n`);
    await cache.put("alive", "yes", aMinute);
    const afterOne = await count();
    expect(afterOne).toBeGreaterThan(70);
    for (let n = 0; n < 6; n += 1) await cache.put("alive", "yes", aMinute);
    expect(await cache.get("alive")).toMatchObject({ value: "yes" });
    expect((await pool.query("select key from lgr_cache where expires_at <= now()")).rows).toEqual([]);
  });

  it("look for what has expired by an index, however much is alive", async () => {
    await pool.query(`insert into lgr_cache (key, value, stored_at, expires_at)
      select 'alive ' || n, '1', now(), now() + interval '1 hour' from generate_series(1, 3000) n`);
    await pool.query("analyze lgr_cache");
    let plan: Record<string, unknown> = {};
    const explained = openPersistence({
      pool: fatefulPool(pool, async (text, run, values) => {
        if (text.includes("skip locked"))
          plan = (await pool.query(`explain (format json) ${text}`, values)).rows[0]["QUERY PLAN"][0].Plan;
        return run();
      }),
    });
    await storesOf(explained).cache.put("alive", "yes", aMinute);
    expect(scansOf(plan)).toEqual([
      "lgr_cache_expires_at",
      "(expires_at <= statement_timestamp())",
      "lgr_cache_pkey",
      expect.stringContaining("key = ANY"),
    ]);
  });

  describe("that put into the cache while another holds a row of it", () => {
    let holder: pg.PoolClient;
    let hurried: Persistence;
    let impatient: pg.Pool;
    beforeEach(async () => {
      await pool.query("delete from lgr_cache");
      await pool.query(`insert into lgr_cache (key, value, stored_at, expires_at) values
        ('over', '1', now(), now() - interval '1 day'), ('alive', '1', now(), now() + interval '1 hour')`);
      impatient = new pg.Pool({ connectionString: database.url, lock_timeout: 5000 });
      hurried = openPersistence({ pool: impatient });
      await hurried.ready();
      holder = await pool.connect();
      await holder.query("begin");
    });
    afterEach(async () => {
      await holder.query("rollback");
      holder.release();
      await impatient.end();
    });
    const hold = (client: pg.PoolClient | pg.Pool, key: string) =>
      client.query("select 1 from lgr_cache where key = $1 for update nowait", [key]);

    it("pass over it if it has expired", async () => {
      await hold(holder, "over");
      await storesOf(hurried).cache.put("new", 1, aMinute);
      expect(await storesOf(hurried).cache.get("new")).toMatchObject({ value: 1 });
      expect((await pool.query("select key from lgr_cache order by key")).rows.map(({ key }) => key)).toEqual([
        "alive",
        "new",
        "over",
      ]);
    });

    it("hold none themselves while they wait to replace it", async () => {
      await hold(holder, "alive");
      const put = storesOf(hurried).cache.put("alive", 2, aMinute);
      await expect.poll(async () => (await pool.query(waitingSql)).rows[0].n).toBe(1);
      expect((await hold(pool, "over")).rows).toHaveLength(1);
      await holder.query("rollback");
      await put;
      expect((await pool.query("select key, value from lgr_cache")).rows).toEqual([{ key: "alive", value: 2 }]);
    });
  });

  it("an effect waits for who is taking its lease over, and is then not stored", async () => {
    const { ledger, locks } = storesOf(one);
    const [effect, name] = [newEffect(), randomUUID()];
    const { token } = await locks.acquire(name, "first", aMinute);
    const holder = await pool.connect();
    let moved: Promise<string>;
    try {
      await holder.query("begin");
      await holder.query("update lgr_locks set token = token + 1 where name = $1", [name]);
      moved = ledger.move(effect, [], { name, token });
      await expect.poll(async () => (await pool.query(waitingSql)).rows[0].n).toBe(1);
    } finally {
      await holder.query("commit");
      holder.release();
    }
    expect(await moved).toBe("lease lost");
    expect(await ledger.list(effect.threadId)).toEqual([]);
  });

  describe("a write whose reply was lost", () => {
    /** Opens the tables on a pool that lets `fate` decide over each statement on the versioned state. */
    const opened = (fate: Fate) =>
      storesOf(
        openPersistence({
          pool: fatefulPool(pool, (text, run) => (text.includes("lgr_breakers") ? fate(text, run, undefined) : run())),
        }),
      ).breakers;
    /** The first statement is done, something else happens, and then the connection breaks. */
    const lostAfter = (
      meanwhile: () => Promise<unknown> = async () => {},
    ): { readonly fate: Fate; readonly seen: string[] } => {
      const seen: string[] = [];
      return {
        seen,
        fate: async (text, run) => {
          seen.push(text);
          const result = await run();
          if (seen.length > 1) return result;
          await meanwhile();
          throw lostConnection();
        },
      };
    };
    /** Others write this many times over whatever there is. */
    const othersWrite = async (key: string, times: number) => {
      const { breakers } = storesOf(other);
      for (let n = 0; n < times; n += 1) {
        const { version } = await breakers.read(key);
        expect(await breakers.write(key, `other ${n}`, version)).toBe(version + 1);
      }
    };

    it.each([0, 1])("is known to be ours over version %d", async (version) => {
      const key = randomUUID();
      await othersWrite(key, version);
      const { fate, seen } = lostAfter();
      expect(await opened(fate).write(key, "mine", version)).toBe(version + 1);
      expect(seen).toHaveLength(3);
      expect(await storesOf(one).breakers.read(key)).toMatchObject({ value: "mine", version: version + 1 });
    });

    it.each([1, 2, 31])("is known to be ours although others wrote %d times since", async (times) => {
      const key = randomUUID();
      const { fate } = lostAfter(() => othersWrite(key, times));
      expect(await opened(fate).write(key, "mine", 0)).toBe(1);
      expect(await storesOf(one).breakers.read(key)).toMatchObject({ value: `other ${times - 1}`, version: times + 1 });
    });

    it("is said to be in doubt once so many have written that nobody can know", async () => {
      const key = randomUUID();
      const { fate } = lostAfter(() => othersWrite(key, 32));
      await expect(opened(fate).write(key, "mine", 0)).rejects.toMatchObject({
        code: "WRITE_IN_DOUBT",
        message: expect.stringContaining(key),
        cause: { code: "ECONNRESET" },
      });
    });

    it("is repeated if it was never done", async () => {
      const key = randomUUID();
      let calls = 0;
      const store = opened(async (_, run) => {
        calls += 1;
        if (calls === 1) throw lostConnection();
        return run();
      });
      expect(await store.write(key, "mine", 0)).toBe(1);
    });

    it.each([1, 40])("is known to be another's if it was never done and others wrote %d times", async (times) => {
      const key = randomUUID();
      let calls = 0;
      const store = opened(async (_, run) => {
        calls += 1;
        if (calls > 1) return run();
        await othersWrite(key, times);
        throw lostConnection();
      });
      const written = store.write(key, "mine", 0);
      // With one write of theirs its mark is there to be read; with forty it is not, and nobody can know.
      if (times === 1) expect(await written).toBeUndefined();
      else await expect(written).rejects.toMatchObject({ code: "WRITE_IN_DOUBT" });
      expect((await storesOf(one).breakers.read(key)).value).toBe(`other ${times - 1}`);
    });

    it("is known to be ours if the server comes to it only while it is being repeated", async () => {
      const key = randomUUID();
      await storesOf(one).breakers.write(key, "before", 0);
      const waiting = async () => (await pool.query(waitingSql)).rows[0].n;
      const holder = await pool.connect();
      let written: Promise<number | undefined>;
      let calls = 0;
      try {
        await holder.query("begin");
        await holder.query("select 1 from lgr_breakers where key = $1 for update", [key]);
        const store = opened(async (_, run) => {
          calls += 1;
          const result = run();
          if (calls > 1) return result;
          // The client closes the connection; the server notices only once it has an answer to send.
          result.catch(() => {});
          await expect.poll(waiting).toBe(1);
          throw lostConnection();
        });
        written = store.write(key, "mine", 1);
        await expect.poll(waiting).toBe(2);
      } finally {
        await holder.query("commit");
        holder.release();
      }
      expect(await written).toBe(2);
      expect(calls).toBe(3);
      expect(await storesOf(one).breakers.read(key)).toMatchObject({ value: "mine", version: 2 });
    });
  });

  describe("behind a wire that breaks in the middle of a write", () => {
    let proxy: WireProxy;
    let behind: Persistence;
    beforeAll(async () => {
      proxy = await startWireProxy(database.url);
      behind = openPersistence(proxy.url);
      await behind.ready();
    });
    afterAll(async () => {
      await behind.close();
      await proxy.close();
    });

    it("count each failed attempt once, and forget and mark it as told", async () => {
      const scope = { threadId: randomUUID(), step: "plan" };
      const { attempts } = storesOf(behind);
      await attempts.append(scope, failed(1));
      proxy.swallowReplyTo("lgr_attempts");
      await attempts.append(scope, failed(2));
      expect(await attempts.load(scope)).toEqual({ attempts: [failed(1), failed(2)], state: "open" });
      proxy.swallowReplyTo("lgr_attempts");
      await attempts.mark(scope, "paused");
      expect((await attempts.load(scope))?.state).toBe("paused");
      proxy.swallowReplyTo("lgr_attempts");
      await attempts.clear(scope);
      expect(await attempts.load(scope)).toBeUndefined();
    });

    it("know a compare-and-swap of theirs for theirs", async () => {
      const key = randomUUID();
      const { breakers } = storesOf(behind);
      for (const version of [0, 1]) {
        proxy.swallowReplyTo("lgr_breakers");
        expect(await breakers.write(key, { version }, version)).toBe(version + 1);
      }
      expect(await breakers.read(key)).toMatchObject({ value: { version: 1 }, version: 2 });
    });

    it("know a change of an effect for theirs", async () => {
      const { ledger } = storesOf(behind);
      const intended = newEffect();
      const dispatched = changedEffect(intended, "dispatched");
      proxy.swallowReplyTo("lgr_effects");
      expect(await ledger.move(intended, [])).toBe("moved");
      proxy.swallowReplyTo("lgr_effects");
      expect(await ledger.move(dispatched, ["intended"])).toBe("moved");
      expect(await ledger.list(intended.threadId)).toMatchObject([dispatched]);
    });

    it("keep an answer once", async () => {
      const key = randomUUID();
      proxy.swallowReplyTo("lgr_cache");
      await storesOf(behind).cache.put(key, "answer", aMinute);
      expect(await storesOf(behind).cache.get(key)).toMatchObject({ value: "answer" });
    });
  });
});

describeOnPostgres("a database that an earlier version of this package made", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase();
  });
  afterAll(() => database.drop());

  it("gets the tables it lacks and keeps what it has", async () => {
    const stock = PostgresSaver.fromConnString(database.url);
    await stock.setup();
    await stock.end();
    const pool = new pg.Pool({ connectionString: database.url });
    await pool.query("create table lgr_migrations (v integer primary key)");
    for (const [v, migration] of ownMigrations.slice(0, 2).entries()) {
      await pool.query(migration("public"));
      await pool.query("insert into lgr_migrations (v) values ($1)", [v]);
    }
    const threadId = randomUUID();
    await pool.query("insert into lgr_threads (thread_id, name, status) values ($1, 'old', 'failed')", [threadId]);

    const both = [openPersistence(database.url), openPersistence(database.url)];
    await Promise.all(both.map((persistence) => persistence.ready()));
    const [persistence] = both;
    if (persistence === undefined) throw new Error("none was opened");
    expect(await persistence.threads.findByName("old")).toMatchObject({ threadId, status: "failed" });
    const { attempts, breakers, cache } = storesOf(persistence);
    await attempts.append({ threadId, step: "plan" }, failed(1));
    expect(await attempts.load({ threadId, step: "plan" })).toMatchObject({ state: "open" });
    expect(await breakers.write("openai", { kind: "open" }, 0)).toBe(1);
    await cache.put("key", 1, aMinute);
    expect(await cache.get("key")).toMatchObject({ value: 1 });
    expect((await pool.query("select v from lgr_migrations order by v")).rows).toEqual(
      ownMigrations.map((_, v) => ({ v })),
    );
    await Promise.all([...both.map((one) => one.close()), pool.end()]);
  });
});

describe("an embedded Postgres that is closed and opened again", () => {
  const folder = createFolder();
  afterEach(() => folder.remove());

  it("still has the attempts, the versioned state and the answers", async () => {
    const address = embeddedAt(`${folder.path}/data`);
    const scope = { threadId: randomUUID(), step: "plan" };
    const before = openPersistence(address);
    await storesOf(before).attempts.append(scope, failed(1));
    await storesOf(before).attempts.mark(scope, "ended");
    await storesOf(before).breakers.write("openai", { kind: "open" }, 0);
    await storesOf(before).cache.put("key", "answer", aMinute);
    await before.close();
    const after = openPersistence(address);
    expect(await storesOf(after).attempts.load(scope)).toEqual({ attempts: [failed(1)], state: "ended" });
    expect(await storesOf(after).breakers.read("openai")).toMatchObject({ value: { kind: "open" }, version: 1 });
    expect(await storesOf(after).cache.get("key")).toMatchObject({ value: "answer" });
    await after.close();
    // Two starts of an embedded Postgres.
  }, 120_000);
});

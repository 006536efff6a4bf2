import type { PGlite } from "@electric-sql/pglite";
import { describe, expect, it } from "vitest";
import type { Clock } from "../../../src/core/clock.js";
import { isConnectionLost, isTransient, retryTransient } from "../../../src/persistence/connection-errors.js";
import { createPglitePool } from "../../../src/persistence/pglite-pool.js";
import { inTransaction, type SqlPool, withClient } from "../../../src/persistence/sql-pool.js";

const failure = (code: string) => Object.assign(new Error(code), { code });

describe("what an error says about its connection", () => {
  it.each(["ECONNRESET", "EPIPE", "08006", "57P01", "57P03"])("%s: lost, and worth another try", (code) => {
    expect(isConnectionLost(failure(code))).toBe(true);
    expect(isTransient(failure(code))).toBe(true);
  });

  it.each(["40001", "40P01", "53300"])("%s: sound, and worth another try", (code) => {
    expect(isConnectionLost(failure(code))).toBe(false);
    expect(isTransient(failure(code))).toBe(true);
  });

  it.each(["23505", "22P05", "42P01", "28P01"])("%s: sound, and final", (code) => {
    expect(isConnectionLost(failure(code))).toBe(false);
    expect(isTransient(failure(code))).toBe(false);
  });

  it("does not wait for a dead host a second time", () => {
    expect(isTransient(new Error("timeout exceeded when trying to connect"))).toBe(false);
    expect(isTransient(new Error("Query read timeout"))).toBe(false);
    expect(isConnectionLost(new Error("Query read timeout"))).toBe(true);
  });
});

describe("retryTransient", () => {
  const recording = () => {
    const delays: number[] = [];
    const clock: Clock = { now: () => 0, sleep: async (ms) => void delays.push(ms), after: () => () => {} };
    return { delays, clock };
  };

  it("repeats after a transient error, with growing waits, and throws the last one as it came", async () => {
    const { delays, clock } = recording();
    let calls = 0;
    const always = retryTransient(async () => {
      calls += 1;
      throw failure("57P01");
    }, clock);
    await expect(always).rejects.toMatchObject({ code: "57P01" });
    expect(calls).toBe(4);
    expect(delays).toEqual([50, 200, 800]);
  });

  it("does not repeat any other error", async () => {
    const { delays, clock } = recording();
    await expect(retryTransient(() => Promise.reject(failure("23505")), clock)).rejects.toMatchObject({
      code: "23505",
    });
    expect(delays).toEqual([]);
  });
});

describe("a connection from the pool", () => {
  const poolOf = (query: (text: string) => Promise<unknown>) => {
    const released: unknown[] = [];
    const pool: SqlPool = {
      end: async () => {},
      on: () => {},
      connect: async () => ({
        query: async (text: string) => {
          await query(text);
          return { rows: [] };
        },
        release: (destroy) => released.push(destroy),
      }),
    };
    return { pool, released };
  };

  it("goes back after an error of the statement, and is closed after an error of its own", async () => {
    for (const [code, destroy] of [
      ["23505", false],
      ["ECONNRESET", true],
    ] as const) {
      const { pool, released } = poolOf(() => Promise.reject(failure(code)));
      await expect(withClient(pool, (client) => client.query("select 1"))).rejects.toMatchObject({ code });
      expect(released).toEqual([destroy]);
    }
  });

  it("is closed when its rollback fails, and the first error is the one reported", async () => {
    const { pool, released } = poolOf(async (text) => {
      if (text === "ROLLBACK") throw new Error("rollback failed");
      if (text === "work") throw failure("23505");
    });
    await expect(inTransaction(pool, (client) => client.query("work"))).rejects.toMatchObject({ code: "23505" });
    expect(released).toEqual([true]);
  });
});

describe("the pool of an embedded Postgres", () => {
  const fakeDatabase = () => {
    const log: string[] = [];
    const db = {
      closed: false,
      exec: async (text: string) => {
        log.push(text);
        return [{ rows: [{ text }] }];
      },
      query: async (text: string) => {
        log.push(text);
        return { rows: [{ text }] };
      },
    };
    return { log, db: db as unknown as PGlite };
  };
  const never: Clock = {
    now: () => 0,
    sleep: (_ms, signal) => new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason))),
    after: () => () => {},
  };

  it("lends its one connection to one after the other, in order", async () => {
    const { db } = fakeDatabase();
    const pool = createPglitePool(db, async () => {}, never);
    const order: number[] = [];
    await Promise.all(
      [1, 2, 3].map((n) =>
        withClient(pool, async (client) => {
          order.push(n);
          await client.query("select 1");
          order.push(n);
        }),
      ),
    );
    expect(order).toEqual([1, 1, 2, 2, 3, 3]);
  });

  it("rolls back a transaction left open before it lends on", async () => {
    const { db, log } = fakeDatabase();
    const pool = createPglitePool(db, async () => {}, never);
    const client = await pool.connect();
    await client.query("BEGIN");
    client.release();
    await withClient(pool, (next) => next.query("select 1", []));
    expect(log).toEqual(["BEGIN", "rollback", "select 1"]);
    await expect(client.query("select 2")).rejects.toThrow("released");
  });

  it("gives up waiting, and stays usable", async () => {
    const { db } = fakeDatabase();
    const pool = createPglitePool(db, async () => {}, { now: () => 0, sleep: async () => {}, after: () => () => {} });
    const held = await pool.connect();
    await expect(pool.connect()).rejects.toMatchObject({ code: "BUSY" });
    held.release();
    (await pool.connect()).release();
  });

  it("returns what the last of several statements returned", async () => {
    const { db } = fakeDatabase();
    const pool = createPglitePool(db, async () => {}, never);
    const result = await withClient(pool, (client) => client.query("select 1"));
    expect(result.rows).toEqual([{ text: "select 1" }]);
  });
});

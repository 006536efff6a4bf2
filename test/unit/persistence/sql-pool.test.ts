import type { PGlite } from "@electric-sql/pglite";
import { describe, expect, it } from "vitest";
import type { Clock } from "../../../src/core/clock.js";
import {
  isConnectionLost,
  isPreparedStatementLost,
  isTransient,
  retryTransient,
} from "../../../src/persistence/connection-errors.js";
import { createPglitePool } from "../../../src/persistence/pglite-pool.js";
import { inTransaction, run, type SqlPool, type Statement, withClient } from "../../../src/persistence/sql-pool.js";
import { FakeClock } from "../../support/fake-clock.js";

const failure = (code: string) => Object.assign(new Error(code), { code });

describe("what an error says about its connection", () => {
  it.each(["ECONNRESET", "EPIPE", "ENOTFOUND", "08006", "08P01", "57P01", "57P03"])(
    "%s: lost, and worth another try",
    (code) => {
      expect(isConnectionLost(failure(code))).toBe(true);
      expect(isTransient(failure(code))).toBe(true);
    },
  );

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

describe("a prepared statement that a pooler lost", () => {
  const saying = (code: string, message: string) => Object.assign(new Error(message), { code });

  it.each([
    saying("26000", 'prepared statement "lgr_put" does not exist'),
    saying("42P05", 'prepared statement "lgr_put" already exists'),
    saying("08P01", 'bind message supplies 2 parameters, but prepared statement "lgr_put" requires 3'),
    saying("0A000", "cached plan must not change result type"),
  ])("$code is told from other errors, and not repeated as it is", (error) => {
    expect(isPreparedStatementLost(error)).toBe(true);
    expect(isTransient(error)).toBe(false);
  });

  it.each([
    saying("08P01", "server conn crashed?"),
    saying("0A000", "cross-database references are not implemented"),
    saying("42P01", 'relation "prepared statement" does not exist'),
    new Error("prepared statement"),
  ])("$message is something else", (error) => {
    expect(isPreparedStatementLost(error)).toBe(false);
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
    const always = retryTransient(
      async () => {
        calls += 1;
        throw failure("57P01");
      },
      { clock },
    );
    await expect(always).rejects.toMatchObject({ code: "57P01" });
    expect(calls).toBe(4);
    expect(delays).toEqual([50, 200, 800]);
  });

  it("does not repeat any other error", async () => {
    const { delays, clock } = recording();
    await expect(retryTransient(() => Promise.reject(failure("23505")), { clock })).rejects.toMatchObject({
      code: "23505",
    });
    expect(delays).toEqual([]);
  });

  it("has the patience for a server that starts up again", async () => {
    const clock = new FakeClock();
    const up = clock.now() + 14_000;
    const begun = retryTransient(
      async () => {
        if (clock.now() < up) throw failure("57P03");
        return "up";
      },
      { clock, patience: "long" },
    );
    await clock.advance(15_000);
    expect(await begun).toBe("up");
    expect(clock.begun).toEqual([...clock.begun].sort((a, b) => a - b));
  });

  it("counts what the tries themselves take: 15 s in all, and one try", async () => {
    const clock = new FakeClock();
    const startedAt = clock.now();
    const given = retryTransient(
      async () => {
        await clock.sleep(4_000);
        throw failure("EHOSTUNREACH");
      },
      { clock, patience: "long" },
    );
    const outcome = expect(given).rejects.toMatchObject({ code: "EHOSTUNREACH" });
    let endedAt = 0;
    void given.catch(() => {
      endedAt = clock.now();
    });
    await clock.advance(60_000);
    await outcome;
    expect(endedAt - startedAt).toBeGreaterThan(12_000);
    expect(endedAt - startedAt).toBeLessThan(4_000 + 15_000 + 4_000);
  });

  it("ends a wait at once when told to, with the error it was waiting after", async () => {
    const clock = new FakeClock();
    const closing = new AbortController();
    const waiting = retryTransient(() => Promise.reject(failure("57P03")), {
      clock,
      patience: "long",
      signal: closing.signal,
    });
    await clock.settle();
    expect(clock.pending).toHaveLength(1);
    closing.abort();
    await expect(waiting).rejects.toMatchObject({ code: "57P03" });
    expect(clock.pending).toEqual([]);
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

  it("runs a statement that has a name as a prepared one", async () => {
    const asked: unknown[][] = [];
    const pool: SqlPool = {
      end: async () => {},
      on: () => {},
      connect: async () => ({
        query: async (...given: [string | Statement, unknown[]?]) => {
          asked.push(given.filter((part) => part !== undefined));
          return { rows: [] };
        },
        release: () => {},
      }),
    };
    const named = { name: "lgr_read", text: "select $1", values: [1] };
    await withClient(pool, async (client) => {
      await run(client, { text: "select $1", values: [1] });
      await run(client, named);
    });
    expect(asked).toEqual([["select $1", [1]], [named]]);
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

  it("takes a statement with a name, which it has no use for", async () => {
    const { db } = fakeDatabase();
    const pool = createPglitePool(db, async () => {}, never);
    const statement = { name: "lgr_read", text: "select $1", values: [1] };
    const result = await withClient(pool, (client) => run(client, statement));
    expect(result.rows).toEqual([{ text: "select $1" }]);
  });

  it("returns what the last of several statements returned", async () => {
    const { db } = fakeDatabase();
    const pool = createPglitePool(db, async () => {}, never);
    const result = await withClient(pool, (client) => client.query("select 1"));
    expect(result.rows).toEqual([{ text: "select 1" }]);
  });
});

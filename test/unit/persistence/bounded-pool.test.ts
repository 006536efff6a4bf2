import { describe, expect, it } from "vitest";
import type { Clock } from "../../../src/core/clock.js";
import { boundedPool, inTransaction, retryOn, type SqlPool, withClient } from "../../../src/persistence/sql-pool.js";
import { FakeClock } from "../../support/fake-clock.js";

const failure = (code: string) => Object.assign(new Error(code), { code });
const unanswered = () => new Promise<never>(() => {});

/** A pool whose clients answer as told; it notes what it was asked and how clients came back. */
function poolOf(answer: (text: string) => Promise<unknown>, connect: () => Promise<void> = async () => {}) {
  const asked: string[] = [];
  const released: unknown[] = [];
  const pool: SqlPool = {
    end: async () => {},
    on: () => {},
    connect: async () => {
      await connect();
      return {
        query: async (text) => {
          asked.push(String(text));
          await answer(String(text));
          return { rows: [] };
        },
        release: (destroy) => released.push(destroy),
      };
    },
  };
  return { pool, asked, released };
}

describe("a statement that gets no answer", () => {
  it("ends at the limit with an error that says which, and its connection is closed", async () => {
    const clock = new FakeClock();
    const { pool, released } = poolOf(unanswered);
    const bounded = boundedPool(pool, { clock, statementTimeoutMs: 1_000 });
    const outcome = expect(withClient(bounded, (client) => client.query("select  1\n from t"))).rejects.toMatchObject({
      code: "STATEMENT_TIMEOUT",
      category: "timeout",
      message: expect.stringContaining('"select 1 from t" within 1000 ms'),
    });
    await clock.advance(999);
    expect(released).toEqual([]);
    await clock.advance(201);
    await outcome;
    expect(released).toEqual([true]);
  });

  it("is not repeated: it has waited long enough, and nobody knows whether it took effect", async () => {
    const clock = new FakeClock();
    const { pool, asked } = poolOf(unanswered);
    const bounded = boundedPool(pool, { clock, statementTimeoutMs: 1_000 });
    const given = retryOn(bounded, () => withClient(bounded, (client) => client.query("insert")));
    const outcome = expect(given).rejects.toMatchObject({ code: "STATEMENT_TIMEOUT" });
    await clock.advance(60_000);
    await outcome;
    expect(asked).toEqual(["insert"]);
  });

  it("ends its transaction without a rollback that nobody would answer either", async () => {
    const clock = new FakeClock();
    const { pool, asked, released } = poolOf((text) => (text === "insert" ? unanswered() : Promise.resolve()));
    const bounded = boundedPool(pool, { clock, statementTimeoutMs: 1_000 });
    const given = inTransaction(bounded, async (client) => {
      await client.query("insert").catch(() => {});
      await client.query("never asked");
    });
    const outcome = expect(given).rejects.toMatchObject({ code: "STATEMENT_TIMEOUT" });
    await clock.advance(1_200);
    await outcome;
    expect(asked).toEqual(["BEGIN", "insert"]);
    expect(released).toEqual([true]);
  });

  it("is bounded on a pool that nobody bounded, by 30 s", async () => {
    const bounded = boundedPool(poolOf(unanswered).pool);
    expect(bounded).toBe(boundedPool(bounded));
    const clock = new FakeClock();
    const { pool, released } = poolOf(unanswered);
    const given = withClient(boundedPool(pool, { clock }), (client) => client.query("select"));
    const outcome = expect(given).rejects.toMatchObject({ details: { timeoutMs: 30_000 } });
    await clock.advance(29_999);
    expect(released).toEqual([]);
    await clock.advance(500);
    await outcome;
  });

  it("may be given more time than the pool gives others", async () => {
    const clock = new FakeClock();
    const { pool, released } = poolOf(unanswered);
    const bounded = boundedPool(pool, { clock, statementTimeoutMs: 1_000 });
    const patient = boundedPool(bounded, { statementTimeoutMs: 10_000 });
    const given = withClient(patient, (client) => client.query("create index"));
    const outcome = expect(given).rejects.toMatchObject({ details: { timeoutMs: 10_000 } });
    await clock.advance(9_999);
    expect(released).toEqual([]);
    await clock.advance(500);
    await outcome;
  });
});

describe("a statement that gets its answer", () => {
  it("leaves no timer behind once the limit's last tick has passed", async () => {
    const clock = new FakeClock();
    const { pool, released } = poolOf(async () => {});
    const bounded = boundedPool(pool, { clock });
    for (let n = 0; n < 20; n += 1) await withClient(bounded, (client) => client.query("select"));
    expect(released).toEqual(Array.from({ length: 20 }, () => false));
    expect(clock.alarms.length).toBeLessThanOrEqual(2);
    await clock.advance(250);
    expect(clock.alarms).toEqual([]);
  });

  it("that came while the process was paused is read, not taken for late", async () => {
    const due: (() => void)[] = [];
    const paused: Clock = {
      now: () => 0,
      sleep: unanswered,
      after: (_ms, alarm) => {
        due.push(alarm);
        return () => {};
      },
    };
    let arrive = () => {};
    const arrival = new Promise<void>((resolve) => {
      arrive = resolve;
    });
    const { pool } = poolOf(() => arrival);
    const given = withClient(boundedPool(pool, { clock: paused }), (client) => client.query("select"));
    await new Promise((resolve) => setImmediate(resolve));
    // On waking, every timer there is fires once, before anything is read.
    for (const alarm of due.splice(0)) alarm();
    arrive();
    expect(await given).toEqual({ rows: [] });
  });
});

describe("a pool that lends no connection", () => {
  it("is waited for up to the limit, and a connection that comes too late goes back", async () => {
    const clock = new FakeClock();
    let arrive = () => {};
    const arrival = new Promise<void>((resolve) => {
      arrive = resolve;
    });
    const { pool, released } = poolOf(
      async () => {},
      () => arrival,
    );
    const bounded = boundedPool(pool, { clock, connectTimeoutMs: 1_000 });
    const outcome = expect(withClient(bounded, (client) => client.query("select"))).rejects.toMatchObject({
      code: "CONNECT_TIMEOUT",
      category: "timeout",
    });
    await clock.advance(1_200);
    await outcome;
    expect(released).toEqual([]);
    arrive();
    await clock.settle();
    expect(released).toEqual([undefined]);
  });

  it("keeps the limit it has itself", async () => {
    const clock = new FakeClock();
    const { pool } = poolOf(async () => {}, unanswered);
    const bounded = boundedPool(Object.assign(pool, { options: { connectionTimeoutMillis: 60_000 } }), { clock });
    void withClient(bounded, (client) => client.query("select"));
    await clock.settle();
    expect(clock.alarms).toEqual([]);
  });
});

describe("how patiently a failure is met", () => {
  it("for 1 s where nothing ever answered, for 15 s where something did", async () => {
    const clock = new FakeClock();
    let reachable = false;
    const { pool } = poolOf(
      async () => {},
      async () => {
        if (!reachable) throw failure("ECONNREFUSED");
      },
    );
    const bounded = boundedPool(pool, { clock });
    const ask = async () => {
      const startedAt = clock.now();
      let waitedMs = 0;
      const given = retryOn(bounded, () => withClient(bounded, (client) => client.query("select"))).catch((error) => {
        waitedMs = clock.now() - startedAt;
        return error.code;
      });
      await clock.advance(20_000);
      return { result: await given, waitedMs };
    };
    expect(await ask()).toEqual({ result: "ECONNREFUSED", waitedMs: 1_050 });
    reachable = true;
    expect(await ask()).toEqual({ result: { rows: [] }, waitedMs: 0 });
    reachable = false;
    const { result, waitedMs } = await ask();
    expect(result).toBe("ECONNREFUSED");
    expect(waitedMs).toBeGreaterThan(12_000);
    expect(waitedMs).toBeLessThanOrEqual(15_000);
  });

  it("until the pool ends, with hundreds waiting and no warning", async () => {
    const clock = new FakeClock();
    const warned: unknown[] = [];
    const onWarning = (warning: unknown) => warned.push(warning);
    process.on("warning", onWarning);
    const { pool } = poolOf(() => Promise.reject(failure("57P03")));
    const bounded = boundedPool(pool, { clock });
    const given = Array.from({ length: 200 }, () =>
      retryOn(bounded, () => withClient(bounded, (client) => client.query("select"))).catch((error) => error.code),
    );
    await clock.settle();
    expect(clock.pending).toHaveLength(200);
    await bounded.end();
    expect(new Set(await Promise.all(given))).toEqual(new Set(["57P03"]));
    await clock.settle();
    process.off("warning", onWarning);
    expect(warned).toEqual([]);
  });
});

import { randomBytes } from "node:crypto";
import { Annotation, interrupt, MemorySaver, START, StateGraph } from "@langchain/langgraph";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../../src/core/clock.js";
import { onCrashPoint } from "../../../src/core/crash-points.js";
import { EFFECT_STATES } from "../../../src/core/effect-ports.js";
import type { ResilienceEvent } from "../../../src/core/events.js";
import type { Persistence } from "../../../src/core/ports.js";
import type { Retention, RetentionOptions } from "../../../src/core/retention-ports.js";
import { threadLease } from "../../../src/core/run-hold.js";
import { threadIdOf } from "../../../src/core/thread-id.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { openInMemory } from "../../../src/persistence/pglite-folder.js";
import { createSqlRetention } from "../../../src/persistence/retention/sql-retention.js";
import type { SqlPool } from "../../../src/persistence/sql-pool.js";
import { changedEffect, newEffect } from "../../../src/testing/samples.js";
import { createDatabase, describeOnPostgres, type TestDatabase } from "../../support/databases.js";
import { full } from "../../support/depth.js";
import { tuplesOf } from "./retention-view.js";

const State = Annotation.Root({
  turn: Annotation<number>(),
  /** The last few of a conversation. */
  window: Annotation<string[]>({ reducer: (before, next) => [...before, ...next].slice(-8), default: () => [] }),
  ask: Annotation<boolean>(),
  note: Annotation<string>(),
});

const text = (turn: number) => `turn ${turn} ${"of a long conversation ".repeat(90)}`;

const builder = new StateGraph(State)
  .addNode("say", ({ turn, ask }) => ({
    window: [text(turn)],
    ...(ask === true ? { ask: interrupt("Well?") === "yes" } : {}),
  }))
  .addEdge(START, "say");

/** Without the checks of time: everything counts as stored long ago. */
const makeOld = (pool: SqlPool) => onPool(pool, "update lgr_objects set stored_at = stored_at - interval '1 hour'");

async function onPool<R extends object>(pool: SqlPool, sql: string, values: unknown[] = []): Promise<R[]> {
  const client = await pool.connect();
  try {
    return (await client.query<R>(sql, values)).rows;
  } finally {
    client.release();
  }
}

async function storedBytes(pool: SqlPool): Promise<number> {
  const [row] = await onPool<{ bytes: string }>(
    pool,
    `select (select coalesce(sum(pg_column_size(c.*)), 0) from checkpoints c)
      + (select coalesce(sum(pg_column_size(w.*)), 0) from lgr_writes w)
      + (select coalesce(sum(pg_column_size(o.*)), 0) from lgr_objects o) as bytes`,
  );
  return Number(row?.bytes);
}

describeOnPostgres("retention", () => {
  const turns = full ? 300 : 120;
  let database: TestDatabase;
  let pool: SqlPool;
  let persistence: Persistence;
  let retention: Retention;
  const compiled = () => builder.compile({ checkpointer: persistence.checkpointer, name: "chat" });
  const reopened = (options: RetentionOptions) => {
    persistence = openPersistence({ pool }, { retention: options });
  };
  const say = (threadId: string, turn: number, more = {}) =>
    compiled().invoke({ turn, ...more }, { configurable: { thread_id: threadId } });
  const checkpoints = async (threadId: string) => (await tuplesOf(persistence.checkpointer, threadId)).length;

  beforeAll(async () => {
    database = await createDatabase();
    pool = new pg.Pool({ connectionString: database.url, max: 4 }).setMaxListeners(0);
  });
  afterAll(async () => {
    await pool.end();
    await database.drop();
  });
  beforeEach(() => {
    persistence = openPersistence({ pool });
    if (persistence.retention === undefined) throw new Error("It has no retention");
    retention = persistence.retention;
  });
  afterEach(async () => {
    onCrashPoint(undefined);
    await persistence.close();
    await onPool(
      pool,
      "truncate checkpoints, checkpoint_blobs, checkpoint_writes, lgr_objects, lgr_writes, lgr_write_counts",
    );
    await onPool(pool, "truncate lgr_threads, lgr_pins, lgr_locks, lgr_effects");
  });

  it("a long conversation stays as small as what is kept of it", async () => {
    const sizes: number[] = [];
    for (let turn = 1; turn <= turns; turn += 1) {
      await say("chat", turn);
      if (turn % 10 !== 0) continue;
      await makeOld(pool);
      const before = await storedBytes(pool);
      const { bytes } = await retention.prune({ keepLast: 10, ttlMs: false });
      sizes.push(await storedBytes(pool));
      expect(before - (sizes.at(-1) ?? 0)).toBeGreaterThan(bytes * 0.8);
    }
    // What ten checkpoints of three turns and the window before them hold, and something for rows.
    expect(Math.max(...sizes)).toBeLessThan(3 * 12 * text(0).length);
    expect(Math.max(...sizes.slice(3))).toBeLessThan(1.2 * Math.max(...sizes.slice(0, 3)));
    expect((await say("chat", turns + 1)).window.at(0)).toBe(text(turns - 6));
  });

  it("a dry run deletes nothing and foresees exactly what goes", async () => {
    for (let turn = 1; turn <= 5; turn += 1) await say("one", turn);
    await say("two", 1);
    await makeOld(pool);
    const before = await storedBytes(pool);
    const foreseen = await retention.prune({ keepLast: 4, dryRun: true });
    expect(await storedBytes(pool)).toBe(before);
    expect(foreseen.threads).toMatchObject([
      { threadId: "one", outcome: "pruned", checkpoints: 11, left: 4, pinned: 0 },
    ]);
    expect(await retention.prune({ keepLast: 4 })).toEqual({ ...foreseen, dryRun: false });
    expect(await checkpoints("one")).toBe(4);
  });

  it("contents that a writer may still count on stay for a while, and go later, whoever comes then", async () => {
    for (let turn = 1; turn <= 12; turn += 1) await say("chat", turn);
    const contents = async () => (await onPool(pool, "select hash from lgr_objects")).length;
    const before = await contents();
    await retention.prune({ keepLast: 1 });
    expect(await contents()).toBe(before);
    await makeOld(pool);
    expect((await retention.prune({ keepLast: 1 })).rows).toBe(0);
    await onPool(pool, "update lgr_locks set expires_at = now() where name like 'leftovers/%'");
    expect((await retention.prune({ keepLast: 1 })).rows).toBe(before - (await contents()));
    expect(await contents()).toBeLessThan(before);
    expect(await onPool(pool, "select * from lgr_locks")).toEqual([]);
  });

  // Needs contents that are sent again to count as stored anew: see the objects of native/write-statement.ts.
  it("a value that comes back soon after nothing needed it is there", async () => {
    const config = { configurable: { thread_id: "chat" } };
    const noteOf = (n: number) => (n === 1 ? "alpha " : "omega ").repeat(200);
    const note = (n: number) => compiled().invoke({ turn: n, note: noteOf(n) }, config);
    const stored = async () =>
      (await openPersistence({ pool }).checkpointer.getTuple(config))?.checkpoint.channel_values.note;
    await note(1);
    await makeOld(pool);
    await persistence.close();
    persistence = openPersistence({ pool });
    await note(1);
    await note(2);
    if (persistence.retention === undefined || (await stored()) !== noteOf(2)) return;
    if ((await persistence.retention.prune({ keepLast: 1 })).checkpoints === 0) return;
    await note(1);
    expect(await stored()).toBe(noteOf(1));
  });

  it("a pinned checkpoint stays, with its thread, until it is unpinned", async () => {
    for (let turn = 1; turn <= 3; turn += 1) await say("chat", turn);
    const oldest = (await tuplesOf(persistence.checkpointer, "chat")).at(-1)?.checkpoint.id ?? "";
    expect(await retention.pin("chat", "no such checkpoint")).toBe(false);
    expect(await retention.pin("chat", oldest, "for the record")).toBe(true);
    expect(await retention.pins("chat")).toMatchObject([
      { threadId: "chat", checkpointId: oldest, reason: "for the record" },
    ]);
    expect((await retention.prune({ keepLast: 1, ttlMs: 1 })).threads).toMatchObject([
      { checkpoints: 7, left: 2, pinned: 1 },
    ]);
    expect(await retention.unpin("chat", oldest)).toBe(true);
    expect(await retention.unpin("chat", oldest)).toBe(false);
    expect((await retention.prune({ keepLast: 1, ttlMs: false })).threads).toMatchObject([{ checkpoints: 1, left: 1 }]);
  });

  it("threads go when their time is over, except where one waits for a person or is in use", async () => {
    const graph = compiled();
    await say("old", 1);
    await say("asked", 1, { ask: true });
    await runThread(graph, { turn: 1, ask: true }, { threadId: "asked too" });
    await runThread(graph, { turn: 1 }, { threadId: "answered" });
    await say("used", 1);
    const lease = await persistence.locks?.acquire(threadLease("used"), "a run", 60_000);
    await persistence.threads.record({ threadId: "never begun", status: "failed" });
    expect((await retention.prune({ ttlMs: 60_000 })).threads).toEqual([]);
    await systemClock.sleep(10);
    const summary = await retention.prune({ ttlMs: 1 });
    expect(Object.fromEntries(summary.threads.map(({ threadId, why, outcome }) => [threadId, why ?? outcome]))).toEqual(
      {
        old: "deleted",
        asked: "waits for a person",
        [threadIdOf("asked too")]: "waits for a person",
        [threadIdOf("answered")]: "deleted",
        used: "in use",
        "never begun": "deleted",
      },
    );
    await persistence.locks?.release(threadLease("used"), lease?.token ?? 0);
    await resumeThread(graph, "asked too", "yes");
    await systemClock.sleep(10);
    expect((await retention.prune({ ttlMs: 1 })).threads.filter(({ outcome }) => outcome === "deleted")).toHaveLength(
      2,
    );
    await retention.prune({ threadId: "asked", ttlMs: false });
    expect((await persistence.threads.list()).map(({ threadId }) => threadId)).toEqual(["asked"]);
  });

  it("threads of which an effect is unsettled stay when their time is over, with all their effects", async () => {
    const { ledger } = persistence;
    const effects = EFFECT_STATES.map((state) => newEffect({ threadId: state, state }));
    for (const effect of effects) {
      await say(effect.threadId, 1);
      await ledger?.move(effect, []);
    }
    const told = async (dryRun = false) => {
      const { threads } = await retention.prune({ keepLast: 1, ttlMs: 1, dryRun });
      return Object.fromEntries(threads.map(({ threadId, why, outcome }) => [threadId, why ?? outcome]));
    };
    await systemClock.sleep(10);
    const expected = {
      intended: "deleted",
      dispatched: "pruned",
      confirmed: "deleted",
      failed: "deleted",
      unknown: "pruned",
      compensating: "pruned",
      compensated: "deleted",
      compensation_failed: "pruned",
    };
    expect(await told(true)).toEqual(expected);
    expect(await told()).toEqual(expected);
    const stayed = ["dispatched", "unknown", "compensating", "compensation_failed"];
    const left = await onPool<{ thread_id: string }>(pool, "select thread_id from lgr_effects order by seq");
    expect(left.map((row) => row.thread_id)).toEqual(stayed);
    expect(await told()).toEqual(Object.fromEntries(stayed.map((threadId) => [threadId, "has unsettled effects"])));
    for (const effect of effects) await ledger?.move(changedEffect(effect, "confirmed"), [effect.state]);
    expect(await told()).toEqual(Object.fromEntries(stayed.map((threadId) => [threadId, "deleted"])));
    expect(await onPool(pool, "select from lgr_effects")).toEqual([]);
  });

  it("a thread that a run has is passed over, and is free again for the next at once", async () => {
    for (let turn = 1; turn <= 3; turn += 1) await say("chat", turn);
    const lease = await persistence.locks?.acquire(threadLease("chat"), "a run", 60_000);
    for (const dryRun of [true, false])
      expect((await retention.prune({ keepLast: 1, dryRun })).threads).toMatchObject([
        { outcome: "skipped", why: "in use" },
      ]);
    await persistence.locks?.release(threadLease("chat"), lease?.token ?? 0);
    expect((await retention.prune({ keepLast: 1 })).checkpoints).toBe(8);
    expect(await persistence.locks?.acquire(threadLease("chat"), "the next run", 1000)).toMatchObject({ kind: "held" });
  });

  it("may die at any point, and another ends what it began", async () => {
    const reference = new StateGraph(State)
      .addNode("say", ({ turn }) => ({ window: [text(turn)] }))
      .addEdge(START, "say");
    const memory = reference.compile({ checkpointer: new MemorySaver() });
    for (let turn = 1; turn <= 4; turn += 1) {
      await say("chat", turn);
      await memory.invoke({ turn }, { configurable: { thread_id: "chat" } });
    }
    await makeOld(pool);
    let passed = 0;
    for (let at = 0, ended = false; !ended; at += 1) {
      passed = 0;
      onCrashPoint((point) => {
        if (!point.startsWith("retention.")) return;
        if (passed++ === at) throw new Error("died");
      });
      ended = await retention.prune({ keepLast: 2, threadId: "chat" }).then(
        () => true,
        () => false,
      );
      onCrashPoint(undefined);
      const { values } = await compiled().getState({ configurable: { thread_id: "chat" } });
      expect(values).toEqual((await memory.getState({ configurable: { thread_id: "chat" } })).values);
    }
    expect(passed).toBeGreaterThan(3);
    expect(await checkpoints("chat")).toBe(2);
  });

  it.each([
    ["compact", 1],
    ["delete", 0],
    ["keep", 3],
  ] as const)("a run that has succeeded leaves what onComplete %s says", async (onComplete, left) => {
    await persistence.close();
    reopened({ onComplete });
    const { threadId } = await runThread(compiled(), { turn: 1 }, { threadId: "order" });
    await runThread(compiled(), { turn: 1, ask: true }, { threadId: "waits" });
    await persistence.close();
    persistence = openPersistence({ pool });
    expect(await checkpoints(threadId)).toBe(left);
    expect(await checkpoints(threadIdOf("waits"))).toBe(2);
    expect((await persistence.threads.list()).length).toBe(left === 0 ? 1 : 2);
  });

  it("wrong options name what is wrong", () => {
    expect(() => reopened({ keepLast: 0 })).toThrow(/retention.keepLast/);
    expect(() => reopened({ everyMs: 1 })).toThrow(/retention.everyMs/);
  });

  it("in the background it tells what it did", async () => {
    for (let turn = 1; turn <= 3; turn += 1) await say("chat", turn);
    await persistence.close();
    reopened({ keepLast: 2, everyMs: 1000 });
    const event = new Promise<ResilienceEvent>((resolve) => {
      persistence.events.subscribe(resolve);
    });
    await persistence.ready();
    expect(await event).toMatchObject({ type: "retention.pruned", threads: 1, checkpoints: 7 });
    expect(await checkpoints("chat")).toBe(2);
  });
});

describe.runIf(full)("retention on an embedded Postgres", () => {
  it("gives back the place of what it deletes, which nobody else does there", async () => {
    const pool = await openInMemory();
    const persistence = openPersistence({ pool });
    const embedded = createSqlRetention(async () => pool, "public", true);
    const graph = builder.compile({ checkpointer: persistence.checkpointer });
    const sizes: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      for (let turn = 0; turn < 10; turn += 1) {
        const note = randomBytes(150_000).toString("base64");
        await graph.invoke({ turn: 0, note }, { configurable: { thread_id: "chat" } });
      }
      await makeOld(pool);
      const { bytes } = await embedded.prune({ keepLast: 2, ttlMs: false });
      expect(bytes).toBeGreaterThan(1_500_000);
      const [size] = await onPool<{ size: string }>(pool, "select pg_total_relation_size('lgr_objects') as size");
      sizes.push(Number(size?.size));
    }
    expect(sizes[2]).toBeLessThan(1.3 * (sizes[0] ?? 0));
    expect((await tuplesOf(persistence.checkpointer, "chat")).length).toBe(2);
    await persistence.close();
    await pool.end();
  });
});

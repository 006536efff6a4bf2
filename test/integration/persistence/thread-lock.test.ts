/** Real processes that meet on one thread: refused, in turn, woken too late, and taken over from the dead. */
import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { threadLease } from "../../../src/core/run-hold.js";
import { threadIdOf } from "../../../src/core/thread-id.js";
import { createDatabase, describeOnPostgres, type TestDatabase } from "../../support/databases.js";
import { type Child, runChild } from "./child.js";

/** A process that runs threads as it is told. */
class Runner {
  readonly child: Child;

  constructor(database: string) {
    this.child = runChild("thread-lock.child.ts", [database]);
  }

  get pid(): number | undefined {
    return this.child.process.pid;
  }

  tell(line: string): void {
    this.child.process.stdin?.write(`${line}\n`);
  }

  begin(action: "run" | "resume", thread: string, lock: object = {}): void {
    this.tell(`${action} ${thread} ${JSON.stringify(lock)}`);
  }

  /** Waits for this line; a run that comes to something before it is at fault. */
  async until(awaited: string): Promise<void> {
    for (let line = await this.child.line(); line !== awaited; line = await this.child.line())
      if (line.startsWith("{")) throw new Error(`It came to ${line} before "${awaited}"`);
  }

  /** What the next of its runs to end came to. */
  async outcome(): Promise<unknown> {
    for (;;) {
      const line = await this.child.line();
      if (line.startsWith("{")) return JSON.parse(line);
    }
  }
}

describeOnPostgres("processes on one thread", () => {
  const aLongLease = { leaseMs: 600_000 };
  const patiently = { waitMs: 30_000 };
  const succeeded = { status: "succeeded" };
  const lost = { status: "failed", code: "LEASE_LOST" };
  let database: TestDatabase;
  let client: pg.Client;
  let one: Runner;
  let other: Runner;

  beforeAll(async () => {
    database = await createDatabase();
    client = new pg.Client({ connectionString: database.url });
    await client.connect();
    [one, other] = [new Runner(database.url), new Runner(database.url)];
    await Promise.all([one.until("ready"), other.until("ready")]);
  });
  afterAll(async () => {
    await Promise.all([one, other].map((runner) => runner?.child.kill()));
    await client.end();
    await database.drop();
  });

  /** Every table, row for row. */
  const everything = async (): Promise<Record<string, readonly string[]>> => {
    const { rows: tables } = await client.query<{ name: string }>(
      "select tablename as name from pg_tables where schemaname = 'public' order by 1",
    );
    const contents: Record<string, readonly string[]> = {};
    for (const { name } of tables) {
      const { rows } = await client.query<{ row: string }>(`select t::text as row from "${name}" t order by 1`);
      contents[name] = rows.map(({ row }) => row);
    }
    return contents;
  };
  const rowsOf = (thread: string, rows: readonly string[] = []) =>
    rows.filter((row) => row.includes(threadIdOf(thread)));
  /** One is paused in the middle of the thread until its lease is over, with the end of its step to write when it wakes. */
  const pauseIn = async (thread: string) => {
    one.begin("run", thread, aLongLease);
    await one.until("waits");
    one.child.process.kill("SIGSTOP");
    one.tell("go");
    // As if it had slept for ten minutes; a lease of less could end by itself on a machine that is busy.
    await client.query("update lgr_locks set expires_at = now() where name = $1", [threadLease(threadIdOf(thread))]);
    other.begin("resume", thread, patiently);
    await other.until("waits");
  };

  it("are a run and a refusal at once, or one after the other where the second waits", async () => {
    one.begin("run", "met");
    await one.until("waits");
    other.begin("run", "met");
    expect(await other.outcome()).toMatchObject({
      thrown: "THREAD_BUSY",
      message: expect.stringContaining(`in use by process ${one.pid} on host`),
    });
    other.begin("run", "met", patiently);
    one.tell("go");
    expect(await one.outcome()).toEqual(succeeded);
    // It found the thread as the first had left it, with nothing to run.
    expect(await other.outcome()).toEqual(succeeded);
  });

  it("take over from one that is paused past its lease, which writes nothing when it wakes", async () => {
    await pauseIn("overslept");
    other.tell("go");
    expect(await other.outcome()).toEqual(succeeded);
    const before = await everything();
    one.child.process.kill("SIGCONT");
    expect(await one.outcome()).toEqual(lost);
    expect(await everything()).toEqual(before);
    expect(rowsOf("overslept", before.lgr_threads)).toEqual([expect.stringContaining("succeeded")]);
    expect(before.lgr_locks).toEqual([]);
  });

  it("are not disturbed by one that wakes in the middle of what they took over", async () => {
    await pauseIn("disturbed");
    const { lgr_locks: heldBefore, ...before } = await everything();
    one.child.process.kill("SIGCONT");
    expect(await one.outcome()).toEqual(lost);
    const { lgr_locks: heldAfter, ...after } = await everything();
    expect(after).toEqual(before);
    for (const held of [heldBefore, heldAfter])
      expect(held).toEqual([expect.stringMatching(`${threadLease(threadIdOf("disturbed"))}.*${other.pid}`)]);
    other.tell("go");
    expect(await other.outcome()).toEqual(succeeded);
  });

  it("do not wait for the lease of one that was killed", async () => {
    one.begin("run", "killed", aLongLease);
    await one.until("waits");
    await one.child.kill();
    other.begin("resume", "killed");
    await other.until("waits");
    other.tell("go");
    expect(await other.outcome()).toEqual(succeeded);
  });
});

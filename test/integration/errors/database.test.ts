/** Every SQLSTATE that the table knows and a test can provoke, from a real PostgreSQL and, for plain SQL, from PGlite. */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { PGlite } from "@electric-sql/pglite";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { Category } from "../../../src/errors/categories.js";
import { classifyError } from "../../../src/errors/classify.js";
import {
  createDatabase,
  createFolder,
  describeOnPostgres,
  embeddedAt,
  hasPostgres,
  type TestDatabase,
} from "../../support/databases.js";
import { startPostgres } from "../../support/postgres-server.js";
import { startWireProxy } from "../persistence/wire-proxy.js";
import { failureOf } from "./failing.js";

type Row = readonly [what: string, code: string, statements: string, category: Category];

/** The last statement of each fails. */
const plainSql: readonly Row[] = [
  ["a syntax error", "42601", "selec", "invalid_input"],
  ["an unknown table", "42P01", "select * from nowhere", "invalid_input"],
  ["an unknown column", "42703", "select nothing from pg_class", "invalid_input"],
  ["an unknown schema", "3F000", "create table nowhere.t (id int)", "invalid_input"],
  ["text that is no number", "22P02", "select 'x'::int", "invalid_input"],
  ["a division by zero", "22012", "select 1 / 0", "invalid_input"],
  ["two rows where one is wanted", "21000", "select (select 1 union select 2)", "invalid_input"],
  ["what is not implemented", "0A000", "select count(distinct oid) over () from pg_class", "invalid_input"],
  [
    "a duplicate key",
    "23505",
    "create temp table t (id int primary key); insert into t values (1); insert into t values (1)",
    "conflict",
  ],
  [
    "an overlapping range",
    "23P01",
    "create temp table t (r int4range, exclude using gist (r with &&)); insert into t values ('[1,3]'), ('[2,4]')",
    "conflict",
  ],
  [
    "a missing parent",
    "23503",
    "create temp table p (id int primary key); create temp table t (id int references p); insert into t values (1)",
    "invalid_input",
  ],
  [
    "a null where none may be",
    "23502",
    "create temp table t (id int not null); insert into t values (null)",
    "invalid_input",
  ],
  ["a failed check", "23514", "create temp table t (id int check (id > 0)); insert into t values (0)", "invalid_input"],
  [
    "a row outside its view",
    "44000",
    "create temp table t (id int); create temp view v as select * from t where id > 0 with check option; insert into v values (0)",
    "invalid_input",
  ],
  [
    "more columns than a table may have",
    "54011",
    `create temp table t (${Array.from({ length: 1700 }, (_, index) => `c${index} int`).join(", ")})`,
    "invalid_input",
  ],
  ["an unknown prepared statement", "26000", "execute nowhere", "invalid_input"],
  ["an unknown cursor", "34000", "begin; fetch nowhere", "invalid_input"],
  ["a sequence that has no value yet", "55000", "create temp sequence s; select currval('s')", "invalid_input"],
  [
    "a table in use",
    "55006",
    "begin; create temp table t (id int); declare c cursor for select * from t; fetch c; alter table t add more int",
    "conflict",
  ],
  ["an exception raised in SQL", "P0001", "do $$ begin raise exception 'no'; end $$", "invalid_input"],
  [
    "no row where one is wanted",
    "P0002",
    "do $$ declare found int; begin select 1 into strict found where false; end $$",
    "not_found",
  ],
  ["a failed assertion", "P0004", "do $$ begin assert false; end $$", "bug"],
  ["a savepoint outside of a transaction", "25P01", "savepoint s", "bug"],
  ["an unknown savepoint", "3B001", "begin; rollback to nowhere", "bug"],
  ["a commit in the middle of a transaction", "2D000", "begin; do $$ begin commit; end $$", "bug"],
  ["a write where only reading is allowed", "25006", "begin read only; create table t (id int)", "server_error"],
  ["a statement that may not run in a transaction", "25001", "begin; vacuum", "bug"],
];

const forbidden = `create role ROLE; create table public.secrets (id int); set role ROLE; select * from public.secrets`;

async function expectReport(work: () => unknown, code: string, category: Category): Promise<pg.DatabaseError> {
  const error = (await failureOf(work)) as pg.DatabaseError;
  expect(classifyError(error)).toMatchObject({ category, code, provider: "postgres" });
  const stored = JSON.parse(JSON.stringify(error));
  expect(classifyError(stored), "once it was stored as JSON").toMatchObject({ category, code, provider: "postgres" });
  return error;
}

/** What is asked of the rare and the temporary: it is known by its words alone, as a checkpoint keeps it. */
async function expectReportAlsoByWords(work: () => unknown, code: string, category: Category): Promise<void> {
  const { name, message } = await expectReport(work, code, category);
  expect(classifyError({ name, message }), "once a checkpoint kept name and message alone").toMatchObject({ category });
}

describe("PGlite answers", () => {
  const folder = createFolder();
  let db: PGlite;
  beforeAll(async () => {
    embeddedAt(`${folder.path}/data`);
    db = await PGlite.create(`${folder.path}/data`);
  });
  afterAll(async () => {
    await db.close();
    folder.remove();
  });

  it.each(plainSql)("%s (%s)", async (_what, code, statements, category) => {
    onTestFinished(async () => {
      await db.exec("rollback");
      await db.exec("discard all");
    });
    await expectReport(() => runEach(statements, (statement) => db.exec(statement)), code, category);
  });

  it("a statement after one that failed (25P02)", async () => {
    onTestFinished(async () => void (await db.exec("rollback")));
    await expectReport(() => afterAFailure((statement) => db.exec(statement)), "25P02", "bug");
  });

  it("what is not allowed (42501)", async () => {
    onTestFinished(async () => void (await db.exec("reset role")));
    await expectReport(() => db.exec(forbidden.replaceAll("ROLE", "reader")), "42501", "permission");
  });
});

async function afterAFailure(run: (statement: string) => Promise<unknown>): Promise<void> {
  await run("begin");
  await failureOf(() => run("select 1 / 0"));
  await run("select 1");
}

/** One statement at a time, as a program sends them; what stands between two `$$` is one piece. */
async function runEach(statements: string, run: (statement: string) => Promise<unknown>): Promise<void> {
  for (const statement of statements.split(/;(?=(?:[^$]*\$\$[^$]*\$\$)*[^$]*$)/)) await run(statement);
}

describeOnPostgres("PostgreSQL answers", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase();
  });
  afterAll(() => database.drop());

  async function client(config: pg.ClientConfig = {}): Promise<pg.Client> {
    const made = new pg.Client({ connectionString: database.url, ...config });
    made.on("error", () => undefined);
    onTestFinished(() => made.end().catch(() => undefined));
    await made.connect();
    return made;
  }

  async function role(options = ""): Promise<string> {
    const name = `lgr_test_${randomUUID().replaceAll("-", "")}`;
    const admin = await client();
    await admin.query(`create role ${name} login ${options}`);
    onTestFinished(async () => {
      const remover = new pg.Client({ connectionString: database.url });
      await remover.connect();
      await remover.query(`drop owned by ${name}; drop role ${name}`);
      await remover.end();
    });
    return name;
  }

  const as = (user: string, path?: string) => {
    const url = new URL(database.url);
    url.username = user;
    if (path !== undefined) url.pathname = path;
    return url.href;
  };

  it.each(plainSql)("%s (%s)", async (_what, code, statements, category) => {
    const connection = await client();
    await expectReport(() => runEach(statements, (statement) => connection.query(statement)), code, category);
  });

  it("what is not allowed (42501)", async () => {
    const reader = await role();
    const owner = await client();
    await owner.query("create table secrets (id int)");
    const connection = await client({ connectionString: as(reader) });
    await expectReportAlsoByWords(() => connection.query("select * from secrets"), "42501", "permission");
  });

  it("a statement after one that failed (25P02)", async () => {
    const connection = await client();
    await expectReport(() => afterAFailure((statement) => connection.query(statement)), "25P02", "bug");
  });

  it("a deadlock of two connections (40P01)", async () => {
    const [one, two] = [await client(), await client()];
    await one.query(
      "create table accounts (id int primary key, cents int); insert into accounts values (1, 0), (2, 0)",
    );
    for (const connection of [one, two]) await connection.query("set deadlock_timeout = '10ms'; begin");
    const add = (id: number) => `update accounts set cents = cents + 1 where id = ${id}`;
    await one.query(add(1));
    await two.query(add(2));
    await expectReportAlsoByWords(() => Promise.all([one.query(add(2)), two.query(add(1))]), "40P01", "conflict");
  });

  it("two serializable transactions that saw each other's rows (40001)", async () => {
    const [one, two] = [await client(), await client()];
    await one.query(
      "create table duty (who text primary key, present boolean); insert into duty values ('a', true), ('b', true)",
    );
    for (const connection of [one, two]) await connection.query("begin isolation level serializable");
    for (const connection of [one, two]) await connection.query("select count(*) from duty where present");
    await one.query("update duty set present = false where who = 'a'");
    const second = async () => {
      await two.query("update duty set present = false where who = 'b'");
      await one.query("commit");
      await two.query("commit");
    };
    await expectReportAlsoByWords(second, "40001", "conflict");
  });

  it.each([
    ["at once", "lock table locked nowait"],
    ["within its lock_timeout", "set lock_timeout = '10ms'; lock table locked"],
  ])("a lock that is not to be had %s (55P03)", async (_when, statement) => {
    const [holder, waiter] = [await client(), await client()];
    await holder.query("create table if not exists locked (id int)");
    await holder.query("begin; lock table locked");
    await waiter.query("begin");
    await expectReportAlsoByWords(() => waiter.query(statement), "55P03", "conflict");
  });

  it("a statement that takes too long (57014)", async () => {
    const connection = await client({ statement_timeout: 10 });
    await expectReportAlsoByWords(() => connection.query("select pg_sleep(60)"), "57014", "timeout");
  });

  it("a transaction left idle (25P03)", async () => {
    const connection = await client();
    const ended = once(connection, "error");
    await connection.query("set idle_in_transaction_session_timeout = '10ms'; begin");
    const [error] = await ended;
    expect(classifyError(error)).toMatchObject({ category: "timeout", code: "25P03", provider: "postgres" });
  });

  it("a session left idle (57P05)", async () => {
    const connection = await client();
    const ended = once(connection, "error");
    await connection.query("set idle_session_timeout = '10ms'");
    const [error] = await ended;
    expect(classifyError(error)).toMatchObject({ category: "network", code: "57P05" });
  });

  it("a connection that an administrator ends (57P01), and what comes after it", async () => {
    const connection = await client();
    const terminate = () => connection.query("select pg_terminate_backend(pg_backend_pid())");
    await expectReportAlsoByWords(terminate, "57P01", "network");
    await connection.end().catch(() => undefined);
    expect(classifyError(await failureOf(() => connection.query("select 1")))).toMatchObject({ category: "network" });
  });

  it("a query whose connection is cut before the reply", async () => {
    const proxy = await startWireProxy(database.url);
    onTestFinished(() => proxy.close());
    const connection = await client({ connectionString: proxy.url });
    proxy.swallowReplyTo("select 17");
    expect(classifyError(await failureOf(() => connection.query("select 17")))).toMatchObject({ category: "network" });
  });

  it("one connection more than a role may have (53300)", async () => {
    const guest = await role("connection limit 1");
    await client({ connectionString: as(guest) });
    await expectReportAlsoByWords(() => client({ connectionString: as(guest) }), "53300", "server_error");
  });

  it("a sort that outgrows its temporary files (53400)", async () => {
    const connection = await client();
    await connection.query("set temp_file_limit = '64kB'; set work_mem = '64kB'");
    const sort = "select count(*) from (select g from generate_series(1, 100000) g order by -g offset 1) sorted";
    await expectReportAlsoByWords(() => connection.query(sort), "53400", "environment");
  });

  it("a file the server does not have (58P01)", async () => {
    const connection = await client();
    await connection.query("create temp table t (line text)");
    await expectReport(() => connection.query("copy t from '/no/such/file'"), "58P01", "environment");
  });

  it("parameters that do not match the statement (08P01)", async () => {
    const connection = await client();
    const error = await failureOf(() => connection.query("select $1::int, $2::int", [1]));
    expect(classifyError(error)).toMatchObject({ category: "bug", code: "08P01" });
  });

  it("a database that does not exist (3D000)", async () => {
    const elsewhere = as(new URL(database.url).username, "/nowhere");
    await expectReportAlsoByWords(() => client({ connectionString: elsewhere }), "3D000", "environment");
  });

  it.each([
    ["takes no connection", {}],
    ["answers no connection", { connectionTimeoutMillis: 20 }],
  ])("nothing, where the server %s", async (_what, config) => {
    const server = createServer((socket) => {
      if (!("connectionTimeoutMillis" in config)) socket.destroy();
      onTestFinished(() => void socket.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const url = `postgres://ann@127.0.0.1:${(server.address() as AddressInfo).port}/orders`;
    const error = await failureOf(() => client({ connectionString: url, ...config }));
    const category = "connectionTimeoutMillis" in config ? "timeout" : "network";
    expect(classifyError(error)).toMatchObject({ category });
  });
});

/** Needs a server of its own: nobody else's may be told to ask for passwords. */
describe.skipIf(!hasPostgres || (process.env.DATABASE_URL ?? "") !== "")("PostgreSQL with passwords answers", () => {
  let server: Awaited<ReturnType<typeof startPostgres>>;
  beforeAll(async () => {
    server = await startPostgres();
    if (server === undefined) throw new Error("The binaries were there when the other server started");
    const admin = new pg.Client({ connectionString: server.url });
    await admin.connect();
    const { rows } = await admin.query("show hba_file");
    writeFileSync(
      rows[0].hba_file,
      "host all ann 127.0.0.1/32 scram-sha-256\nhost all eve 127.0.0.1/32 reject\nhost all all 127.0.0.1/32 trust\n",
    );
    await admin.query("create role ann login password 'right'; create role eve login; select pg_reload_conf()");
    await admin.end();
  });
  afterAll(() => server?.stop());

  it.each([
    ["a wrong password (28P01)", "28P01", "ann", "wrong"],
    ["a user who is turned away (28000)", "28000", "eve", "any"],
    ["a user it does not know (28000)", "28000", "bob", "any"],
  ])("%s", async (_what, code, user, password) => {
    if (server === undefined) throw new Error("The server is gone");
    const url = new URL(server.url);
    url.username = user;
    url.password = password;
    const connection = new pg.Client({ connectionString: url.href });
    await expectReportAlsoByWords(() => connection.connect(), code, "auth");
  });
});

/** How PostgreSQL carries out the statements of the hot path, whatever it knew of the tables when it planned them. */
import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ancestorsSql, objectsSql, readSql, severalSql } from "../../../src/persistence/native/read-statement.js";
import { checkpointKeySql, threadKeySql } from "../../../src/persistence/native/stored-object.js";
import { writeSql } from "../../../src/persistence/native/write-statement.js";
import { ResilientPostgresSaver } from "../../../src/persistence/saver.js";
import { listAuditSql } from "../../../src/persistence/sql-audit.js";
import { changeSql, intendSql, listSql, lookSql, waySql } from "../../../src/persistence/sql-effects.js";
import { dueInboxSql, listInboxSql, unsentInboxSql } from "../../../src/persistence/sql-inbox.js";
import { createDatabase, describeOnPostgres, type TestDatabase } from "../../support/databases.js";

const schema = "public";
const ownTables = true;
const inPlace = "where cp.thread_id = $1 and cp.checkpoint_ns = $2";
const statements = {
  "that stores checkpoints and writes": writeSql(schema),
  "that reads the newest checkpoint": readSql({
    schema,
    ownTables,
    head: `${inPlace} order by cp.checkpoint_id desc limit 1`,
    known: 3,
  }),
  "that reads a checkpoint": readSql({ schema, ownTables, head: `${inPlace} and cp.checkpoint_id = $3`, known: 4 }),
  "that reads those of several threads": severalSql({ schema, ownTables }),
  "that reads the ancestors of one": ancestorsSql({ schema, ownTables }),
  "that reads contents": objectsSql(schema),
  "that stores the intent of an effect": intendSql(schema),
  "that changes an effect": changeSql(schema),
  "that stores the intent of an effect and says so in the audit log": intendSql(schema, true),
  "that changes an effect and says so in the audit log": changeSql(schema, true),
  "that lists the audit log of a thread": listAuditSql(schema, ["threadId", "before"]),
  "that lists the questions that wait": listInboxSql(schema, ["state"]),
  "that lists the questions of a graph that wait": listInboxSql(schema, ["state", "graph"]),
  "that lists the questions of a thread": listInboxSql(schema, ["state", "threadId"]),
  "that lists all questions": listInboxSql(schema, []),
  "that finds the questions to be looked at by now": dueInboxSql(schema),
  "that finds the questions of which people are to be told by now": unsentInboxSql(schema),
  "that finds an effect": lookSql(schema),
  "that lists the effects of a thread": listSql(schema),
  "that reads the way to a checkpoint": waySql(schema),
};

describeOnPostgres("the plan of the statement", () => {
  let database: TestDatabase;
  let client: pg.Client;

  beforeAll(async () => {
    database = await createDatabase();
    const saver = ResilientPostgresSaver.fromConnString(database.url, { keepThreads: true });
    await saver.setup();
    await saver.end();
    client = new pg.Client({ connectionString: database.url });
    await client.connect();
    await client.query("set plan_cache_mode = force_generic_plan");
    for (const [n, text] of Object.values(statements).entries())
      await client.query(`prepare statement_${n} as ${text}`);
  });
  afterAll(async () => {
    await client.end();
    await database.drop();
  });

  const explained = async (n: number, text: string): Promise<string> => {
    const parameters = new Set(text.match(/\$\d+/g)).size;
    const nulls = Array.from({ length: parameters }, () => "null").join();
    const { rows } = await client.query(`explain execute statement_${n}(${nulls})`);
    return rows.map((row) => row["QUERY PLAN"]).join("\n");
  };
  /** As much as a plan may be thought to cost before PostgreSQL compiles it, which takes longer than running it. */
  const mostWithoutCompiling = 100_000;
  const eachIsGood = it.each(Object.entries(statements).map(([title, text], n) => ({ title, text, n })));
  const expectGood = (plan: string) => {
    expect(plan).not.toMatch(/Seq Scan on (checkpoint|lgr_)/);
    const costs = [...plan.matchAll(/cost=[\d.]+\.\.([\d.]+)/g)].map(([, cost]) => Number(cost));
    expect(Math.max(...costs), plan).toBeLessThan(mostWithoutCompiling / 2);
  };

  eachIsGood("$title reads no table from end to end, as it was planned on empty ones", async ({ n, text }) => {
    expectGood(await explained(n, text));
  });

  it("is made anew for full tables", { timeout: 60_000 }, async () => {
    const rows = (columns: string) => `select ${columns} from generate_series(1, 30000) as n`;
    const thread = "'thread ' || n % 500";
    const id = "lpad(n::text, 8, '0')";
    const keys = `${threadKeySql(thread)}, ${checkpointKeySql("''", id)}`;
    const header = "'lgr1 1 ' || md5(n::text) || ',' || md5((n + 1)::text) || ' {}'";
    await client.query(`
      insert into checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata)
        ${rows(`${thread}, '', ${id}, lpad((n - 500)::text, 8, '0'), ${header}, '{}', '{}'`)};
      insert into checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
        ${rows(`${thread}, '', 'messages', n::text, 'json', ''`)};
      insert into checkpoint_writes (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, blob)
        ${rows(`${thread}, '', ${id}, 'task', 0, 'messages', 'json', ''`)};
      insert into lgr_task_paths ${rows(`${thread}, '', ${id}, 'task', 'path'`)};
      insert into lgr_objects (thread_key, hash, links, body)
        ${rows(`${threadKeySql(thread)}, md5(n::text)::uuid, array[md5((n - 500)::text)::uuid], 'f'`)};
      insert into lgr_writes (thread_key, checkpoint_key, task_id, number, report, links, body, check_sum)
        ${rows(`${keys}, 'task', 0, 0, array[md5(n::text)::uuid], '', 0`)};
      insert into lgr_write_counts ${rows(`${keys}, 1`)};
      insert into lgr_locks ${rows(`${id}, n, 'holder', now()`)};
      insert into lgr_threads (thread_id) ${rows(id)};
      insert into lgr_effects (thread_id, key, epoch, effect, place, state, change, entry)
        ${rows(`${thread}, ${id}, 0, 'charge', 'pay', 'confirmed', ${id}, '{}'`)};
      insert into lgr_audit (id, at, by, what, thread_id, entry)
        ${rows(`${id}, now(), 'Ada', 'human.decided', ${thread}, '{}'`)};
      insert into lgr_inbox (key, value, version, marks)
        ${rows(`${id}, json_build_object('threadId', ${thread}, 'state', case when n % 20 = 0 then 'pending' else 'resolved' end,
          'graph', 'shop ' || n % 5, 'node', 'pay', 'kind', 'intervention', 'openedAt', n, 'sweepAt', n,
          'notifyAt', case when n % 20 = 1 then n end), 1, '{}'`)};
      analyze`);
  });

  eachIsGood("$title reads no table from end to end, planned on full ones", async ({ n, text }) => {
    expectGood(await explained(n, text));
  });

  it.each([
    { finds: "to be looked at", text: dueInboxSql(schema), by: "lgr_inbox_sweep" },
    { finds: "of which people are to be told", text: unsentInboxSql(schema), by: "lgr_inbox_notify" },
  ])("that finds the questions $finds takes the first rows of an index", async ({ text, by }) => {
    const plan = await explained(Object.values(statements).indexOf(text), text);
    expect(plan).toMatch(new RegExp(`Limit .*\\n +-> {2}Index Scan using ${by} `));
    expect(plan).not.toMatch(/Filter|Sort/);
  });

  it("that finds an effect takes the first row of an index each for key and place", async () => {
    const plan = await explained(Object.values(statements).indexOf(lookSql(schema)), lookSql(schema));
    const indexes = [...plan.matchAll(/Limit .*\n +-> {2}Index Scan Backward using (\w+)/g)].map(([, name]) => name);
    expect(indexes, plan).toEqual(["lgr_effects_pkey", "lgr_effects_newest"]);
    expect(plan).not.toMatch(/Filter|Sort/);
  });
});

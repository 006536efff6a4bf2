/** Whatever is damaged of what a checkpoint needs, no read gives a wrong value: it is as before, or it is told. */
import { PGlite } from "@electric-sql/pglite";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createPglitePool, nodePostgresParsers } from "../../../src/persistence/pglite-pool.js";
import type { SqlPool } from "../../../src/persistence/sql-pool.js";
import { createDatabase, describeOnPostgres, type TestDatabase } from "../../support/databases.js";
import { full } from "../../support/depth.js";
import { type Damage, Fuzz, randomFrom, writeHistory } from "./integrity-fuzz.js";

const seed = Number(process.env.LGR_TEST_SEED ?? 5);

/** A checkpoint that is not found where it was is only missed by what else is there of it, or stands on it. */
const WHERE_IT_IS = new Set(
  ["row", "thread_id", "checkpoint_ns", "checkpoint_id"].map((column) => `checkpoints.${column}`),
);

/** @returns how often the damages of each kind were told */
async function sufferMany(
  pool: SqlPool,
  perKind: number,
  kinds = Number.POSITIVE_INFINITY,
): Promise<Map<string, number>> {
  const fuzz = new Fuzz(pool, "damaged", seed);
  const writer = fuzz.open();
  await writer.setup();
  await writeHistory(writer);
  await fuzz.begin();
  const random = randomFrom(seed);
  const told = new Map<string, number>();
  const byKind = [...(await damagesByKind(fuzz))];
  for (const [kind, damages] of byKind.filter((_, n) => n % Math.max(1, Math.ceil(byKind.length / kinds)) === 0)) {
    told.set(kind, 0);
    for (let done = 0, tries = 0; done < perKind && tries < 40 * perKind; tries += 1) {
      const damage = damages[random(damages.length)];
      if (damage === undefined) break;
      const times = await fuzz.suffer(damage, full && tries % 10 === 0).catch((error: unknown) => {
        throw new Error(`Seed ${seed}, ${kind} of ${damage.key.join(" | ")}: ${String(error)}`, { cause: error });
      });
      if (times === undefined) continue;
      done += 1;
      told.set(kind, (told.get(kind) ?? 0) + times);
    }
  }
  return told;
}

/** Every row deleted, and every column of it changed. */
async function damagesByKind(fuzz: Fuzz): Promise<Map<string, Damage[]>> {
  const kinds = new Map<string, Damage[]>();
  for (const target of await fuzz.targets()) {
    for (const column of [undefined, ...fuzz.columnsOf(target)]) {
      const kind = `${target.table}.${column ?? "row"}`;
      kinds.set(kind, [...(kinds.get(kind) ?? []), { ...target, ...(column === undefined ? {} : { column }) }]);
    }
  }
  return kinds;
}

describeOnPostgres("a bit or a row of what is stored", () => {
  let database: TestDatabase;
  let pool: pg.Pool;
  beforeAll(async () => {
    database = await createDatabase();
    pool = new pg.Pool({ connectionString: database.url, max: 2 });
  });
  afterAll(async () => {
    await pool.end();
    await database.drop();
  });

  it("is not lost without being told", { timeout: 1_200_000 }, async () => {
    const told = await sufferMany(pool, full ? 80 : 2);
    const untold = [...told].filter(([kind, times]) => times === 0 && !WHERE_IT_IS.has(kind)).map(([kind]) => kind);
    // When a content was stored matters to pruning alone, and nothing is read here of stock's column.
    expect(untold).toEqual(["checkpoints.checkpoint", "lgr_objects.stored_at"]);
  });
});

describe.runIf(full)("a bit or a row of what is stored in PGlite", () => {
  it("is not lost without being told", { timeout: 600_000 }, async () => {
    const db = await PGlite.create({ parsers: nodePostgresParsers });
    const told = await sufferMany(
      createPglitePool(db, () => db.close()),
      6,
    );
    expect([...told.values()].some((times) => times > 0)).toBe(true);
    await db.close();
  });
});

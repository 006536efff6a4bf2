import { PGlite } from "@electric-sql/pglite";
import { HISTORY_QUARTERS, positionOf, type Quarter, type QuarterId } from "./figures.js";

const CREATE = `
  CREATE TABLE quarters (
    "fiscalYear" integer NOT NULL,
    "fiscalQuarter" integer NOT NULL CHECK ("fiscalQuarter" BETWEEN 1 AND 4),
    "periodEnd" text NOT NULL,
    line integer NOT NULL,
    position integer GENERATED ALWAYS AS ("fiscalYear" * 4 + "fiscalQuarter" - 1) STORED PRIMARY KEY
  );
  CREATE TABLE sales (
    position integer PRIMARY KEY REFERENCES quarters,
    "productSales" double precision NOT NULL, "serviceSales" double precision NOT NULL, "netSales" double precision NOT NULL
  );
  CREATE TABLE costs (
    position integer PRIMARY KEY REFERENCES quarters,
    "productCost" double precision NOT NULL, "serviceCost" double precision NOT NULL, "costOfSales" double precision NOT NULL,
    "grossMargin" double precision NOT NULL
  );`;

const INSERT_QUARTERS = `
  INSERT INTO quarters ("fiscalYear", "fiscalQuarter", "periodEnd", line)
  SELECT "fiscalYear", "fiscalQuarter", "periodEnd", line
  FROM json_to_recordset($1) AS given ("fiscalYear" integer, "fiscalQuarter" integer, "periodEnd" text, line integer)`;
const INSERT_SALES = "INSERT INTO sales SELECT * FROM json_populate_recordset(NULL::sales, $1)";
const INSERT_COSTS = "INSERT INTO costs SELECT * FROM json_populate_recordset(NULL::costs, $1)";

const JOINED = `
  SELECT "fiscalYear", "fiscalQuarter", "periodEnd", "productSales", "serviceSales", "netSales",
         "productCost", "serviceCost", "costOfSales", "grossMargin", line
  FROM quarters JOIN sales USING (position) JOIN costs USING (position)`;
const ONE_QUARTER = `${JOINED} WHERE position = $1`;
const HISTORY = `SELECT * FROM (${JOINED} WHERE position <= $1 ORDER BY position DESC LIMIT $2) AS latest ORDER BY "fiscalYear", "fiscalQuarter"`;

/** What the database holds about a quarter; what it does not hold is undefined. */
export interface QuarterContext {
  readonly current: Quarter | undefined;
  readonly yearAgo: Quarter | undefined;
  readonly previous: Quarter | undefined;
  readonly history: readonly Quarter[];
}

/** Loads the quarters into SQL tables (an embedded PostgreSQL in memory) and queries one of them with its neighbours. */
export async function queryQuarter(quarters: readonly Quarter[], wanted: QuarterId): Promise<QuarterContext> {
  const database = new PGlite();
  try {
    await database.exec(CREATE);
    const rows = quarters.map((quarter) => ({ ...quarter, position: positionOf(quarter) }));
    for (const insert of [INSERT_QUARTERS, INSERT_SALES, INSERT_COSTS]) await database.query(insert, [rows]);
    const position = positionOf(wanted);
    const at = async (where: number) => (await database.query<Quarter>(ONE_QUARTER, [where])).rows[0];
    return {
      current: await at(position),
      yearAgo: await at(position - 4),
      previous: await at(position - 1),
      history: (await database.query<Quarter>(HISTORY, [position, HISTORY_QUARTERS])).rows,
    };
  } finally {
    await database.close();
  }
}

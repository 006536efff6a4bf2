import initSqlJs, { type Database } from "sql.js";
import { HISTORY_QUARTERS, positionOf, type Quarter, type QuarterId } from "./figures.js";

const CREATE = `
  CREATE TABLE quarters (
    position INTEGER PRIMARY KEY,
    fiscalYear INTEGER NOT NULL,
    fiscalQuarter INTEGER NOT NULL CHECK (fiscalQuarter BETWEEN 1 AND 4),
    periodEnd TEXT NOT NULL,
    line INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE sales (
    position INTEGER PRIMARY KEY REFERENCES quarters,
    productSales REAL NOT NULL, serviceSales REAL NOT NULL, netSales REAL NOT NULL
  ) STRICT;
  CREATE TABLE costs (
    position INTEGER PRIMARY KEY REFERENCES quarters,
    productCost REAL NOT NULL, serviceCost REAL NOT NULL, costOfSales REAL NOT NULL, grossMargin REAL NOT NULL
  ) STRICT;`;

const INSERTS = {
  quarters: ["position", "fiscalYear", "fiscalQuarter", "periodEnd", "line"],
  sales: ["position", "productSales", "serviceSales", "netSales"],
  costs: ["position", "productCost", "serviceCost", "costOfSales", "grossMargin"],
} as const;

const JOINED = `
  SELECT fiscalYear, fiscalQuarter, periodEnd, productSales, serviceSales, netSales,
         productCost, serviceCost, costOfSales, grossMargin, line
  FROM quarters JOIN sales USING (position) JOIN costs USING (position)`;
const ONE_QUARTER = `${JOINED} WHERE position = ?`;
const HISTORY = `SELECT * FROM (${JOINED} WHERE position <= ? ORDER BY position DESC LIMIT ?) ORDER BY fiscalYear, fiscalQuarter`;

/** What the database holds about a quarter; what it does not hold is undefined. */
export interface QuarterContext {
  readonly current: Quarter | undefined;
  readonly yearAgo: Quarter | undefined;
  readonly previous: Quarter | undefined;
  readonly history: readonly Quarter[];
}

/** Loads the quarters into SQL tables (SQLite in memory, up in milliseconds) and queries one of them with its neighbours. */
export async function queryQuarter(quarters: readonly Quarter[], wanted: QuarterId): Promise<QuarterContext> {
  const { Database } = await initSqlJs();
  const database = new Database();
  try {
    load(database, quarters);
    const position = positionOf(wanted);
    const at = (where: number) => query(database, ONE_QUARTER, [where])[0];
    return {
      current: at(position),
      yearAgo: at(position - 4),
      previous: at(position - 1),
      history: query(database, HISTORY, [position, HISTORY_QUARTERS]),
    };
  } finally {
    database.close();
  }
}

function load(database: Database, quarters: readonly Quarter[]): void {
  database.exec(CREATE);
  for (const [table, columns] of Object.entries(INSERTS)) {
    const insert = database.prepare(
      `INSERT INTO ${table} (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`,
    );
    for (const quarter of quarters) {
      const row = { ...quarter, position: positionOf(quarter) };
      insert.run(columns.map((column) => row[column]));
    }
    insert.free();
  }
}

function query(database: Database, sql: string, parameters: number[]): Quarter[] {
  const statement = database.prepare(sql, parameters);
  const rows: Quarter[] = [];
  while (statement.step()) rows.push(statement.getAsObject() as unknown as Quarter);
  statement.free();
  return rows;
}

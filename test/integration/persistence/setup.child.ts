/** Sets up a schema by many callers at once: `<url> <schema> <callers>`, once it is told to go. */
import { once } from "node:events";
import pg from "pg";
import { ResilientPostgresSaver } from "../../../src/persistence/saver.js";

const [url, schema = "public", callers = "1"] = process.argv.slice(2);
const pool = new pg.Pool({ connectionString: url, max: 3 });
console.log("ready");
await once(process.stdin, "data");
const savers = Array.from({ length: Number(callers) }, () => new ResilientPostgresSaver(pool, undefined, { schema }));
await Promise.all(savers.map((saver) => saver.setup()));
console.log("done");
await pool.end();
process.stdin.destroy();

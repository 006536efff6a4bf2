/** SQLSTATEs: PostgreSQL documentation, appendix A. A single code comes before the class it belongs to. */
import type { ErrorRule } from "../error-rule.js";
import { both, row, says, sql } from "./row.js";

export const SQL_RULES: readonly ErrorRule[] = [
  row("serialization or deadlock", "conflict", sql("40")),
  row("lock not available or object in use", "conflict", sql("55P03", "55006")),
  // "In some cases it is also appropriate to retry" these two: PostgreSQL documentation, section 13.5. The loser of a
  // race sees them, and so does a step that has done its work already; HTTP says 409 to both.
  row("duplicate key or overlapping range", "conflict", sql("23505", "23P01")),
  row("time limit of the database", "timeout", sql("57014", "25P03", "25P04")),
  row("no such database", "environment", sql("3D000", "57P04")),
  // Parameters that do not match the statement; the other violations are a pooler's way to say that it has no server.
  row("statement and parameters do not match", "bug", both(sql("08P01"), says(/^bind message/))),
  row("database went away", "network", sql("08", "57P")),
  row("too many connections", "server_error", sql("53300")),
  row("database out of resources", "environment", sql("53")),
  row("database login", "auth", sql("28")),
  row("database permission", "permission", sql("42501")),
  // What a stand-by answers until a client that outlived a fail-over connects anew.
  row("read-only database", "server_error", sql("25006")),
  row("transaction misused", "bug", sql("25", "2D", "3B")),
  row("file of the database missing or damaged", "environment", sql("XX001", "XX002", "58P01")),
  row("no such row", "not_found", sql("P0002", "02000")),
  row("assertion in the database", "bug", sql("P0004")),
  row(
    "statement or data at fault",
    "invalid_input",
    sql("0A", "21", "22", "23", "26", "34", "3F", "42", "44", "54", "55", "P0"),
  ),
  row("database system error", "server_error", sql("58", "XX")),
];

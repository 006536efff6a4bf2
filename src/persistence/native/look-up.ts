/**
 * Prepared statements are planned once a connection, perhaps while the tables are empty, for parameters that are not
 * known. What is here keeps such a plan right for full tables, and keeps PostgreSQL from planning or compiling anew each
 * time, which takes longer than all the rest: it decides both by what it guesses a plan to cost.
 */

/**
 * A join that is a look-up by index for each row, and never a scan of the table, to which a plain join may turn: `offset 0`
 * keeps it apart. The conditions said again outside keep the guess at its rows low.
 */
export function lookUp(table: string, alias: string, columns: Readonly<Record<string, string>>): string {
  const inside = Object.entries(columns).map(([column, value]) => `t.${column} = ${value}`);
  const outside = Object.entries(columns).map(([column, value]) => `${alias}.${column} = ${value}`);
  return `join lateral (select * from ${table} t where ${inside.join(" and ")} offset 0) as ${alias} on ${outside.join(" and ")}`;
}

/** A condition that every row fulfils, and of which PostgreSQL expects that few do. */
export function few(column: string): string {
  return `coalesce(${column}, ${column}) = ${column}`;
}

/** What holds for the versioned state of every plugin. */

/** By UTF-16 code units, as JavaScript compares: a database's own order depends on its collation. */
export function inOrderOfKeys<T extends { readonly key: string }>(rows: readonly T[]): T[] {
  return [...rows].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
}

/**
 * Which checkpoints of a thread stay. Whoever stays reads back exactly as before, so with a checkpoint stays all that is
 * read for it: ancestors whose writes make the values of its delta channels, and the checkpoints of its subgraphs.
 */

/** A checkpoint, without anything large. */
export interface PlanRow {
  readonly ns: string;
  readonly id: string;
  readonly parent: string | null;
  /** Among the checkpoints of its namespace, from 1 for the newest. */
  readonly place: number;
  readonly source: string | null;
  /** Of a subgraph's checkpoint: which checkpoints it belongs to, by namespace. */
  readonly parents: Readonly<Record<string, unknown>> | null;
  /** Whether reading it goes on to its parent: for the value of a delta channel, or for tasks of an old format. */
  readonly needsParent: boolean;
  readonly pinned: boolean;
  /** Whether a question in it has no answer yet. */
  readonly waits: boolean;
  /** Whether it was found damaged: it does not count among the newest. */
  readonly damaged: boolean;
}

export interface Plan {
  readonly kept: readonly PlanRow[];
  /** Newest first, so that whatever is left of them at any time still has its ancestors. */
  readonly gone: readonly PlanRow[];
}

/** @param keepLast of the root namespace, and of each other whose checkpoints belong to no root */
export function planThread(rows: readonly PlanRow[], keepLast: number): Plan {
  const thread = new Thread(rows);
  const newest = newestOf(rows, keepLast);
  for (const row of newest) thread.keep(row);
  const oldest = oldestRoot(newest);
  for (const row of rows) {
    if (row.pinned || row.waits || isNewerThan(oldest, row)) thread.keep(row);
    // The state that the next call of a subgraph with a history of its own begins with.
    if (row.place === 1 && !isOfOneTask(row.ns)) thread.keep(row);
  }
  thread.finish();
  const kept = rows.filter((row) => thread.isKept(row));
  const gone = rows.filter((row) => !thread.isKept(row)).sort((a, b) => (a.id < b.id ? 1 : a.id > b.id ? -1 : 0));
  return { kept, gone };
}

class Thread {
  readonly #kept = new Set<PlanRow>();
  readonly #unfinished: PlanRow[] = [];
  readonly #at = new Map<string, PlanRow>();
  readonly #belonging = new Map<string, PlanRow[]>();
  readonly #heads = new Map<string, PlanRow>();
  /** Checkpoints of subgraphs that keep one history over all tasks, newest first. */
  readonly #histories = new Map<string, PlanRow[]>();

  constructor(rows: readonly PlanRow[]) {
    for (const row of rows) {
      this.#at.set(keyOf(row.ns, row.id), row);
      if (row.place === 1) this.#heads.set(row.ns, row);
      for (const [ns, id] of Object.entries(row.parents ?? {})) add(this.#belonging, keyOf(ns, String(id)), row);
      if (row.ns !== "" && !isOfOneTask(row.ns)) add(this.#histories, row.ns, row);
    }
    for (const history of this.#histories.values()) history.sort((a, b) => a.place - b.place);
  }

  isKept(row: PlanRow): boolean {
    return this.#kept.has(row);
  }

  keep(row: PlanRow | undefined): void {
    if (row === undefined || this.#kept.has(row)) return;
    this.#kept.add(row);
    this.#unfinished.push(row);
  }

  /** Keeps what the kept ones need, and what that needs. */
  finish(): void {
    for (let row = this.#unfinished.pop(); row !== undefined; row = this.#unfinished.pop()) {
      if (row.needsParent && row.parent !== null) this.keep(this.#at.get(keyOf(row.ns, row.parent)));
      this.keep(this.#heads.get(row.ns));
      for (const inner of this.#belonging.get(keyOf(row.ns, row.id)) ?? []) this.keep(inner);
      if (row.waits)
        for (const [ns, id] of Object.entries(row.parents ?? {})) this.keep(this.#at.get(keyOf(ns, String(id))));
      if (row.ns === "") this.#keepHistoriesAt(row);
    }
  }

  /** Who goes on from an older checkpoint finds a subgraph's history as it was before it: see ReplayState in LangGraph. */
  #keepHistoriesAt({ id, parent, source }: PlanRow): void {
    const before = [id, ...(parent !== null && (source === "update" || source === "fork") ? [parent] : [])];
    for (const history of this.#histories.values())
      for (const bound of before) this.keep(history.find((row) => row.id < bound));
  }
}

/** The newest of the root namespace and of the like, passing over damaged ones, which have nobody to stand in for. */
function newestOf(rows: readonly PlanRow[], keepLast: number): PlanRow[] {
  const namespaces = new Map<string, PlanRow[]>();
  const subgraphs = new Set(rows.filter(isOfSubgraph).map((row) => row.ns));
  for (const row of rows) if (!subgraphs.has(row.ns)) add(namespaces, row.ns, row);
  return [...namespaces.values()].flatMap((all) => {
    const newest: PlanRow[] = [];
    let sound = 0;
    for (const row of all.sort((a, b) => a.place - b.place)) {
      if (sound >= keepLast) break;
      newest.push(row);
      if (!row.damaged) sound += 1;
    }
    return newest;
  });
}

function oldestRoot(rows: readonly PlanRow[]): PlanRow | undefined {
  return rows.reduce<PlanRow | undefined>(
    (oldest, row) => (row.ns === "" && (oldest === undefined || row.place > oldest.place) ? row : oldest),
    undefined,
  );
}

/** Of a subgraph's checkpoint: it belongs to a later root checkpoint, which may not be stored (yet). */
function isNewerThan(oldest: PlanRow | undefined, row: PlanRow): boolean {
  return row.ns !== "" && (oldest === undefined || String(row.parents?.[""] ?? row.id) > oldest.id);
}

function isOfSubgraph({ ns, parents }: PlanRow): boolean {
  return ns !== "" && (isOfOneTask(ns) || parents?.[""] !== undefined);
}

/** A namespace with the ID of a task is not come back to once that task is done. */
function isOfOneTask(ns: string): boolean {
  return ns.includes(":");
}

function keyOf(ns: string, id: string): string {
  return `${ns}\x01${id}`;
}

function add<V>(map: Map<string, V[]>, key: string, value: V): void {
  const known = map.get(key);
  if (known === undefined) map.set(key, [value]);
  else known.push(value);
}

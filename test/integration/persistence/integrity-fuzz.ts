/** One damage after the other to what is stored, and all that can be read each time, compared with how it was before. */
import { Command } from "@langchain/langgraph";
import type { BaseCheckpointSaver, CheckpointTuple } from "@langchain/langgraph-checkpoint";
import { CheckpointCorruptError } from "../../../src/errors/persistence-errors.js";
import { ResilientPostgresSaver } from "../../../src/persistence/saver.js";
import { type SqlPool, withClient } from "../../../src/persistence/sql-pool.js";
import { exact } from "./model-based/exact.js";
import { buildGraph, DELTA_CHANNELS, type Step } from "./model-based/graph.js";

const THREAD = "a thread with everything";

/** What each checkpoint needs of each table, by column. */
const TABLES: Readonly<
  Record<string, { readonly key: readonly string[]; readonly columns: Readonly<Record<string, Kind>> }>
> = {
  checkpoints: {
    key: ["thread_id", "checkpoint_ns", "checkpoint_id"],
    columns: {
      thread_id: "text",
      checkpoint_ns: "text",
      checkpoint_id: "text",
      parent_checkpoint_id: "text",
      type: "text",
      checkpoint: "jsonb",
      metadata: "jsonb",
    },
  },
  lgr_objects: {
    key: ["thread_key", "hash"],
    columns: { thread_key: "uuid", hash: "uuid", links: "uuid[]", body: "text", stored_at: "timestamptz" },
  },
  lgr_writes: {
    key: ["thread_key", "checkpoint_key", "task_id", "number"],
    columns: {
      thread_key: "uuid",
      checkpoint_key: "uuid",
      task_id: "text",
      number: "integer",
      report: "smallint",
      links: "uuid[]",
      body: "text",
      check_sum: "bigint",
      stored_at: "timestamptz",
    },
  },
  lgr_write_counts: {
    key: ["thread_key", "checkpoint_key"],
    columns: { thread_key: "uuid", checkpoint_key: "uuid", count: "integer" },
  },
};
type Kind = "text" | "jsonb" | "uuid" | "uuid[]" | "integer" | "smallint" | "bigint" | "timestamptz";

export type Random = (below: number) => number;

/** xorshift32 (Marsaglia 2003): the same damages each time. */
export function randomFrom(seed: number): Random {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** A thread with all that a checkpoint can stand on, in branches and subgraphs. */
export async function writeHistory(saver: BaseCheckpointSaver): Promise<void> {
  const world = { failures: 0 };
  const graph = buildGraph(world).compile({ checkpointer: saver });
  const step = (kind: Step["kind"], n: number, text = `${kind} ${n}`): Step => ({
    kind,
    n,
    change: { how: "append", value: { kind: "text", text, n } },
  });
  const long = (character: string) => `${character.repeat(900)} "ß😀" end`;
  const config = { configurable: { thread_id: THREAD }, durability: "sync" as const, recursionLimit: 60 };
  const plan = [step("say", 1, long("x")), step("parallel", 2), step("inner", 3), step("say", 4, long("y"))];
  await graph.invoke({ plan, at: -1 } as never, config);
  const forked = [];
  for await (const snapshot of graph.getStateHistory(config, { limit: 3 })) forked.push(snapshot);
  await graph.invoke(null, { ...forked.at(-1)?.config, durability: "sync" });
  await graph.updateState(config, { names: ["by hand"], log: ["by hand"] } as never, "next");
  await graph.invoke({ plan: [step("keeper", 6), step("ask", 3)], at: -1 } as never, config);
  await graph.invoke(new Command({ resume: long("z") }), config);
  world.failures = 1;
  await graph.invoke({ plan: [step("together", 2)], at: -1 } as never, config).catch(() => {});
  // A task that was made twice, with other writes: those that were stored first count.
  const head = await saver.getTuple({ configurable: { thread_id: THREAD } });
  if (head === undefined) throw new Error("There is no checkpoint");
  await saver.putWrites(
    head.config,
    [
      ["names", ["first"]],
      ["value", "first"],
      ["value", "more"],
    ],
    "task made twice",
  );
  await saver.putWrites(
    head.config,
    [
      ["names", ["second"]],
      ["value", "second"],
    ],
    "task made twice",
  );
}

/** One row of a table, as the SQL that finds it. */
export interface Target {
  readonly table: string;
  readonly key: readonly string[];
}

export interface Damage extends Target {
  /** Undefined for a row that is deleted. */
  readonly column?: string;
}

/** What was read of everything, by where. */
type Seen = Map<string, string | CheckpointCorruptError>;

export class Fuzz {
  readonly #pool: SqlPool;
  readonly #schema: string;
  readonly #random: Random;
  #before: Seen = new Map();
  #checkpoints: CheckpointTuple[] = [];

  constructor(pool: SqlPool, schema: string, seed: number) {
    this.#pool = pool;
    this.#schema = schema;
    this.#random = randomFrom(seed);
  }

  open(): ResilientPostgresSaver {
    return new ResilientPostgresSaver(this.#pool, undefined, { schema: this.#schema });
  }

  async begin(): Promise<void> {
    for await (const tuple of this.open().list({ configurable: { thread_id: THREAD } })) this.#checkpoints.push(tuple);
    this.#before = await this.#readAll(this.#checkpoints, false);
    for (const [where, value] of this.#before)
      if (value instanceof CheckpointCorruptError) throw new Error(`${where}: ${value.message}`);
  }

  async targets(): Promise<Target[]> {
    const all = Object.entries(TABLES).map(async ([table, { key }]) => {
      const keys = key.map((column) => `${column}::text`).join(", ");
      const rows = await this.#sql<Record<string, string>>(`select ${keys} from ${this.#at(table)} order by 1, 2`);
      return rows.map((row) => ({ table, key: key.map((column) => row[column] ?? "") }));
    });
    return (await Promise.all(all)).flat();
  }

  columnsOf({ table }: Target): string[] {
    return Object.keys(TABLES[table]?.columns ?? {});
  }

  /**
   * Damages, reads, mends.
   * @param thorough reads every checkpoint by its ID too, and each one's delta history
   * @returns how many reads told of the damage; undefined where there was nothing to damage
   * @throws Error for a read that gave something else than before
   */
  async suffer(damage: Damage, thorough: boolean): Promise<number | undefined> {
    const mend = await this.#damage(damage);
    if (mend === undefined) return undefined;
    try {
      const some = this.#checkpoints.filter(
        (tuple) => thorough || this.#isAt(tuple, damage) || this.#random(this.#checkpoints.length) < 3,
      );
      const now = await this.#readAll(some, thorough);
      return this.#compare(damage, now);
    } finally {
      await mend();
    }
  }

  #compare(damage: Damage, now: Seen): number {
    let told = 0;
    for (const [where, value] of now) {
      const before = this.#before.get(where);
      if (value instanceof CheckpointCorruptError) {
        const { threadId, checkpointId, part } = value.place;
        const named = [threadId, checkpointId, part].every((text) => text !== "" && value.message.includes(text));
        if (!named) throw new Error(`${where}: the error does not say where: ${value.message}`);
        told += 1;
      } else if (value !== before && !this.#isGone(damage, where, value)) {
        throw new Error(`${where} is now\n${value}\nand was\n${String(before)}`);
      }
    }
    return told;
  }

  /** A whole checkpoint that is not there is nothing wrong where it is looked for itself; the one before is the newest. */
  #isGone({ table, key, column }: Damage, where: string, value: string): boolean {
    const away = table === "checkpoints" && (column === undefined || TABLES.checkpoints?.key.includes(column));
    if (!away) return false;
    if (where === place("get", key) || where === place("history", key)) return value === NOTHING;
    if (where === place("listed", key)) return value === NOTHING;
    const [thread = "", namespace = ""] = key;
    return (
      where === place("newest", [thread, namespace]) &&
      [...this.#before].some(([at, then]) => at.startsWith("get ") && then === value)
    );
  }

  #isAt({ config }: CheckpointTuple, { table, key }: Damage): boolean {
    return table === "checkpoints" && placeOf(config.configurable ?? {}).every((part, n) => part === key[n]);
  }

  async #readAll(byId: readonly CheckpointTuple[], thorough: boolean): Promise<Seen> {
    const saver = this.open();
    const seen: Seen = new Map();
    const note = async (where: string, read: () => Promise<string>) => {
      try {
        seen.set(where, await read());
      } catch (error) {
        if (!(error instanceof CheckpointCorruptError)) throw new Error(`${where}: ${String(error)}`, { cause: error });
        seen.set(where, error);
      }
    };
    for (const { config } of this.#checkpoints) seen.set(place("listed", placeOf(config.configurable ?? {})), NOTHING);
    for await (const found of saver.listSound({ configurable: { thread_id: THREAD } })) {
      if (found instanceof CheckpointCorruptError)
        seen.set(place("listed", [THREAD, found.place.namespace, found.place.checkpointId]), found);
      else seen.set(place("listed", placeOf(found.config.configurable ?? {})), exact(found));
    }
    const other = this.open();
    for (const checkpoint_ns of new Set(["", ...byId.map(({ config }) => config.configurable?.checkpoint_ns ?? "")])) {
      const configurable = { thread_id: THREAD, checkpoint_ns };
      await note(place("newest", [THREAD, checkpoint_ns]), async () => textOf(await other.getTuple({ configurable })));
    }
    for (const { config } of byId) {
      const at = placeOf(config.configurable ?? {});
      await note(place("get", at), async () => textOf(await (thorough ? this.open() : other).getTuple(config)));
      await note(place("history", at), async () => {
        const histories = await (thorough ? this.open() : other).getDeltaChannelHistory({
          config,
          channels: DELTA_CHANNELS,
        });
        return Object.values(histories).every(({ writes, seed }) => writes.length === 0 && seed === undefined)
          ? NOTHING
          : exact(histories);
      });
    }
    return seen;
  }

  /** @returns what undoes it */
  async #damage({ table, key, column }: Damage): Promise<(() => Promise<void>) | undefined> {
    const { key: names, columns } = TABLES[table] ?? { key: [], columns: {} };
    const at = this.#at(table);
    const found = names.map((name, n) => `${name} = $${n + 1}::${columns[name]}`).join(" and ");
    const values = [...key];
    const [row] = await this.#sql<{ row: string; old: string | null }>(
      `select to_json(t)::text as row, ${column === undefined ? "null" : textSql(column, columns[column])} as old from ${at} t where ${found}`,
      values,
    );
    if (row === undefined) throw new Error(`No such row: ${table} ${key.join()}`);
    const restore = (where: string, whereValues: unknown[]) => async () => {
      await this.#sql(`delete from ${at} where ${where}`, whereValues);
      await this.#sql(`insert into ${at} select * from json_populate_record(null::${at}, $1::json)`, [row.row]);
    };
    if (column === undefined) {
      await this.#sql(`delete from ${at} where ${found}`, values);
      return restore("false", []);
    }
    const kind = columns[column] ?? "text";
    const damaged = row.old === null ? undefined : flipped(row.old, kind, this.#random);
    if (damaged === undefined) return undefined;
    const given =
      kind === "timestamptz"
        ? `('epoch'::timestamptz + $${key.length + 1} * interval '1 microsecond')`
        : `$${key.length + 1}::${kind}`;
    await this.#sql(`update ${at} set ${column} = ${given} where ${found}`, [...values, damaged]);
    const keyNow = names.map((name, n) => (name === column ? damaged : (key[n] ?? "")));
    return restore(found, keyNow);
  }

  #at(table: string): string {
    return `"${this.#schema}".${table}`;
  }

  #sql<R extends object>(text: string, values: unknown[] = []): Promise<R[]> {
    return withClient(this.#pool, async (client) => (await client.query<R>(text, values)).rows);
  }
}

const NOTHING = "nothing";

function place(what: string, parts: readonly string[]): string {
  return `${what} ${parts.join(" | ")}`;
}

function placeOf({ thread_id, checkpoint_ns = "", checkpoint_id }: Record<string, string>): string[] {
  return [thread_id ?? "", checkpoint_ns, checkpoint_id ?? ""];
}

function textOf(tuple: CheckpointTuple | undefined): string {
  return tuple === undefined ? NOTHING : exact(tuple);
}

function textSql(column: string, kind: Kind | undefined): string {
  return kind === "timestamptz" ? `(extract(epoch from ${column}) * 1000000)::bigint::text` : `${column}::text`;
}

/** The same with one bit turned; undefined where there is none. */
function flipped(old: string, kind: Kind, random: Random): string | undefined {
  switch (kind) {
    case "text":
      return flippedText(old, random);
    case "uuid":
      return flippedHex(old, random);
    case "uuid[]":
      return old === "{}" ? undefined : flippedHex(old, random);
    case "integer":
      return String(Number(old) ^ (1 << random(32)));
    case "smallint":
      return String(((Number(old) ^ (1 << random(16))) << 16) >> 16);
    case "bigint":
      return String(BigInt.asIntN(64, BigInt(old) ^ (1n << BigInt(random(64)))));
    case "timestamptz":
      return String(BigInt(old) ^ (1n << BigInt(random(50))));
    case "jsonb":
      return flippedJson(old, random);
  }
}

function flippedText(old: string, random: Random): string | undefined {
  const bytes = Buffer.from(old);
  for (let tries = 0; tries < 200 && bytes.length > 0; tries += 1) {
    const at = random(bytes.length);
    const bit = 1 << random(8);
    bytes[at] = (bytes[at] ?? 0) ^ bit;
    const text = bytes.toString();
    if (!text.includes("\0") && Buffer.from(text).equals(bytes)) return text;
    bytes[at] = (bytes[at] ?? 0) ^ bit;
  }
  return undefined;
}

function flippedHex(old: string, random: Random): string {
  const places = [...old.matchAll(/[0-9a-f]/g)].map(({ index }) => index);
  const at = places[random(places.length)] ?? 0;
  const digit = (Number.parseInt(old[at] ?? "0", 16) ^ (1 << random(4))).toString(16);
  return old.slice(0, at) + digit + old.slice(at + 1);
}

/** A bit of one of its strings or numbers, or the name of one; JSON it stays, as the database would read no other. */
function flippedJson(old: string, random: Random): string | undefined {
  for (let tries = 0; tries < 200; tries += 1) {
    const text = flippedText(old, random);
    try {
      if (text !== undefined && JSON.stringify(JSON.parse(text)) !== JSON.stringify(JSON.parse(old))) return text;
    } catch {
      // Another bit.
    }
  }
  return undefined;
}

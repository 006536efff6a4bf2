/** The pending writes of a checkpoint, of both formats, in the order in which the live run applied them. */
import { compareWritesSortKeys, writesSortKey } from "@langchain/langgraph-checkpoint";
import { fromStorableText } from "../storable-text.js";
import { corrupt, hashes, splitLast, stockValue } from "./read-row.js";
import type { ReadRow } from "./read-statement.js";
import { checkpointKey } from "./stored-object.js";
import type { FindObject } from "./stored-value.js";
import { checksumOfWrites, readWrites } from "./task-writes.js";
import { typedValue } from "./value-text.js";

export interface ReadPendingWrite {
  readonly path: string;
  readonly taskId: string;
  readonly idx: number;
  readonly channel: string;
  /** Type and serialized value. */
  readonly value: readonly [string, string | Uint8Array];
}

/** The rows of a checkpoint that hold writes. */
export interface WritesRows {
  readonly row: ReadRow;
  readonly writes: readonly ReadRow[];
  readonly stockWrites: readonly ReadRow[];
}

/** @throws CheckpointCorruptError */
export function writesOf({ row, writes, stockWrites }: WritesRows, find: FindObject): ReadPendingWrite[] {
  const [, count] = splitLast(row.g ?? "", "\n");
  if (Number(count) !== writes.length) {
    const why = `${writes.length} rows of task writes are there, and ${count} were stored`;
    throw corrupt(row, "pending writes", new Error(why));
  }
  const all = new Map<string, ReadPendingWrite>();
  for (const write of [...ourWrites(row, writes, find), ...stockWrites.map(stockWrite)]) {
    const place = `${write.taskId}\x01${write.idx}`;
    if (!all.has(place)) all.set(place, write);
  }
  return [...all.values()]
    .map((write) => ({ write, key: writesSortKey(write.path, write.taskId, write.idx) }))
    .sort((a, b) => compareWritesSortKeys(a.key, b.key))
    .map(({ write }) => write);
}

function ourWrites(row: ReadRow, rows: readonly ReadRow[], find: FindObject): ReadPendingWrite[] {
  const of = checkpointKey(row.b ?? "", row.c ?? "");
  // Of two rows with the same ordinary write the first that was stored counts.
  const inTime = rows.length > 1 ? [...rows].sort((a, b) => Number(a.g) - Number(b.g)) : rows;
  return inTime.flatMap(({ a, b, c, d, e, f }) => {
    const taskId = a ?? "";
    const given = { taskId, number: Number(b), report: Number(c), links: hashes(d), body: e ?? "" };
    try {
      if (checksumOfWrites(of, given) !== Number(f)) throw new Error("the row does not match its checksum");
      const { taskPath, writes } = readWrites(given, find);
      return writes.map(({ idx, channel, text }) => ({
        path: fromStorableText(taskPath),
        taskId: fromStorableText(taskId),
        idx,
        channel: fromStorableText(channel),
        value: typedValue(text),
      }));
    } catch (error) {
      throw corrupt(row, `the writes of task ${taskId}`, error);
    }
  });
}

function stockWrite({ a, b, c, d, e, f }: ReadRow): ReadPendingWrite {
  return {
    path: fromStorableText(f ?? ""),
    taskId: fromStorableText(a ?? ""),
    idx: Number(b),
    channel: fromStorableText(c ?? ""),
    value: stockValue(d, e),
  };
}

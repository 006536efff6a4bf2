/** The writes of one call of `putWrites` as one row. */
import { crc32 } from "node:zlib";
import { type PendingWrite, WRITES_IDX_MAP } from "@langchain/langgraph-checkpoint";
import { reportChannels } from "../pending.js";
import { putTogether, takeApart } from "./skeleton.js";
import type { StoredObject } from "./stored-object.js";
import { type FindObject, MissingObject } from "./stored-value.js";
import { isPlain } from "./value-text.js";

/** What a row says of its task, for finding what a thread waits for without reading the writes. */
export const report = { interrupt: 1, error: 2, finished: 4 } as const;

export interface TaskWrites {
  readonly taskId: string;
  /**
   * How many ordinary writes the row holds; a call that repeats one with more writes so has a row of its own, of which
   * only those beyond the first row's count. A special write (an interrupt, an error, an answer) has a row to itself
   * under its negative number, which the next one of its kind replaces.
   */
  readonly number: number;
  readonly report: number;
  readonly links: readonly string[];
  readonly body: string;
  readonly objects: readonly StoredObject[];
}

/** A write as it is read: its place among the task's, its channel and its text. */
export interface ReadWrite {
  readonly idx: number;
  readonly channel: string;
  readonly text: string;
}

/** @param texts of the values, in the order of the writes */
export function rowsOfWrites(
  taskId: string,
  taskPath: string,
  writes: readonly PendingWrite[],
  texts: readonly string[],
): TaskWrites[] {
  const ordinary: [string, string][] = [];
  // Of two special writes of one kind in a call the last counts.
  const special = new Map<number, [string, string]>();
  for (const [n, [channel]] of writes.entries()) {
    const number = Object.hasOwn(WRITES_IDX_MAP, channel) ? WRITES_IDX_MAP[channel] : undefined;
    if (number === undefined) ordinary.push([channel, texts[n] ?? ""]);
    else special.set(number, [channel, texts[n] ?? ""]);
  }
  const rows = [...special].map(([number, write]) => row(taskId, number, taskPath, [write]));
  if (ordinary.length > 0) rows.push(row(taskId, ordinary.length, taskPath, ordinary));
  return rows;
}

function row(
  taskId: string,
  number: number,
  taskPath: string,
  writes: readonly (readonly [string, string])[],
): TaskWrites {
  const objects: StoredObject[] = [];
  const head: unknown[] = [taskPath];
  let skeletons = "";
  for (const [channel, text] of writes) {
    const skeleton = isPlain(text) ? takeApart(text) : { text, strings: [] };
    objects.push(...skeleton.strings);
    head.push(channel, skeleton.text.length);
    skeletons += skeleton.text;
  }
  return {
    taskId,
    number,
    report: reportOf(writes.map(([channel]) => channel)),
    links: objects.map((object) => object.hash),
    body: `${JSON.stringify(head)}\n${skeletons}`,
    objects,
  };
}

function reportOf(channels: readonly string[]): number {
  const reports: readonly string[] = reportChannels;
  return (
    (channels.includes("__interrupt__") ? report.interrupt : 0) |
    (channels.includes("__error__") ? report.error : 0) |
    (channels.some((channel) => !reports.includes(channel)) ? report.finished : 0)
  );
}

/** @throws MissingObject */
export function readWrites(
  { number, body, links }: Pick<TaskWrites, "number" | "body" | "links">,
  find: FindObject,
): { readonly taskPath: string; readonly writes: ReadWrite[] } {
  const end = body.indexOf("\n");
  const [taskPath, ...head] = JSON.parse(body.slice(0, end)) as [string, ...(string | number)[]];
  const writes: ReadWrite[] = [];
  let at = end + 1;
  let link = 0;
  const nextString = () => {
    const hash = links[link] ?? "";
    link += 1;
    const object = find(hash);
    if (object === undefined) throw new MissingObject(hash);
    return object.body;
  };
  for (let n = 0; n < head.length; n += 2) {
    const skeleton = body.slice(at, at + Number(head[n + 1]));
    at += skeleton.length;
    const text = isPlain(skeleton) ? putTogether(skeleton, nextString) : skeleton;
    writes.push({ idx: number < 0 ? number : n / 2, channel: String(head[n]), text });
  }
  return { taskPath, writes };
}

/**
 * What the database adds to the upper half of a row's checksum: which of two rows counts is a matter of their times, and
 * only the database knows those. Modulo a prime, so that no one bit of a time is without effect.
 */
export function checksumOfTimeSql(storedAt: string): string {
  return `((extract(epoch from ${storedAt}) * 1000000)::bigint % 2147483647 << 32)`;
}

/** The checksum that {@link checksumOfWrites} is to give; "time" for a row whose time is not what was stored. */
export function checksumSql(row: string): string {
  return `case when (${row}.check_sum & ~4294967295) = ${checksumOfTimeSql(`${row}.stored_at`)}
    then (${row}.check_sum & 4294967295)::text else 'time' end`;
}

/** Over all of the row but the time. */
export function checksumOfWrites(
  checkpointKey: string,
  { taskId, number, report, links, body }: Pick<TaskWrites, "taskId" | "number" | "report" | "links" | "body">,
): number {
  return crc32([checkpointKey, taskId, number, report, links.join(), body].join("\x01"));
}

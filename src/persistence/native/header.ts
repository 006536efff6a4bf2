/**
 * The text that stands for a checkpoint in the `type` column of its row, with a checksum over all of the row:
 *
 *     lgr1 <crc-32, 8 hexadecimal digits> <hashes of its values' objects, comma between> <JSON>
 */
import { crc32 } from "node:zlib";
import type { Checkpoint } from "@langchain/langgraph-checkpoint";
import { linksIn } from "./stored-value.js";

const format = "lgr1";
const shape = /^lgr1 ([0-9a-f]{8}) (([0-9a-f,]*) ({.*))$/s;

/** SQL for the names of the channels that have a value, as a JSON array; an error for a damaged header. */
export const headerChannelsSql = (type: string) =>
  `(select (h -> 'x') || coalesce((select jsonb_agg(key) from jsonb_object_keys(h -> 'i') as key), '[]')
    from (select substr(${type}, strpos(${type}, '{'))::jsonb as h) header)`;

/** SQL for the hashes, one a row; fewer or other ones for a damaged header, but no error. */
export const headerHashesSql = (type: string) =>
  `(select m[1]::uuid as hash from regexp_matches(split_part(${type}, ' ', 3), '[0-9a-f]{32}', 'g') as m)`;

/** In place of stock's versions, where its own query meets it and fails rather than read a checkpoint without values. */
export const REFUSAL = "langgraph-resilience/1";

export interface Inline {
  readonly skeleton: string;
  readonly links: readonly string[];
}

/** Where the values of a checkpoint are. */
export interface HeaderValues {
  /** Short values, as the skeleton of each and the hashes of its long strings. */
  readonly inline: Readonly<Record<string, Inline>>;
  /** Hashes of the objects of the others. */
  readonly objects: Readonly<Record<string, string>>;
}

export interface Header extends HeaderValues {
  /** All of the checkpoint but its ID and its values. */
  readonly checkpoint: Omit<Checkpoint, "id" | "channel_values">;
}

/** What else of the row the checksum covers, as it is stored. */
export interface HeaderPlace {
  readonly threadId: string;
  readonly namespace: string;
  readonly checkpointId: string;
  readonly parentId: string | undefined;
  /** As it is read back from JSONB. */
  readonly metadata: unknown;
}

export function writeHeader({ checkpoint, inline, objects }: Header, place: HeaderPlace): string {
  const { channel_versions: c, versions_seen: s, v, ts, ...more } = checkpoint;
  const m = Object.keys(more).length === 0 ? undefined : more;
  const short = Object.entries(inline);
  const hashes = [...Object.values(objects), ...short.flatMap(([, { links }]) => links)];
  const i = Object.fromEntries(short.map(([channel, { skeleton }]) => [channel, skeleton]));
  const json = JSON.stringify({ v, ts, c, s, i, x: Object.keys(objects), m });
  const covered = `${hashes.join()} ${json}`;
  return `${format} ${checksum(covered, place)} ${covered}`;
}

/** @throws Error that says what is wrong with it */
export function readHeader(text: string, place: HeaderPlace): Header {
  const [, sum, covered = "", hashes = "", json = ""] = shape.exec(text) ?? [];
  if (sum === undefined || sum !== checksum(covered, place)) {
    const [, other] = /^(lgr(?!1 )\d+) /.exec(text) ?? [];
    throw new Error(
      other === undefined
        ? "its row does not match its checksum"
        : `its row does not match its checksum, or its format "${other}" is of a later version`,
    );
  }
  const { v, ts, c, s, i, x, m } = JSON.parse(json);
  const left = hashes.split(",");
  const objects = Object.fromEntries((x as string[]).map((channel) => [channel, left.shift() ?? ""]));
  const inline = Object.fromEntries(
    Object.entries(i as Record<string, string>).map(([channel, skeleton]) => [
      channel,
      { skeleton, links: left.splice(0, linksIn(skeleton)) },
    ]),
  );
  return { checkpoint: { v, ts, channel_versions: c, versions_seen: s, ...m }, inline, objects };
}

function checksum(text: string, { threadId, namespace, checkpointId, parentId, metadata }: HeaderPlace): string {
  const covered = [threadId, namespace, checkpointId, parentId ?? "", canonical(metadata), text].join("\x01");
  return crc32(covered).toString(16).padStart(8, "0");
}

/** JSON in an order that does not depend on how it was stored; JSONB keeps none. */
function canonical(value: unknown): string {
  return JSON.stringify(inOrder(value));
}

function inOrder(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(inOrder);
  const entries = Object.entries(value);
  if (entries.length > 1) entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, inOrder(inner)]));
}

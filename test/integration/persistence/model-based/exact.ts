/** What a saver returned, as texts that are equal only where the values are. */
import type { RunnableConfig } from "@langchain/core/runnables";
import type { StateSnapshot } from "@langchain/langgraph";
import { type CheckpointTuple, type DeltaChannelHistory, isDeltaSnapshot } from "@langchain/langgraph-checkpoint";
import { deltaChannel } from "./graph.js";

/** Named texts: the names say which aspect differs. */
export type Parts = Record<string, string>;

/** A subject that does not do what the reference does. */
export class Mismatch extends Error {
  override readonly name = "Mismatch";
  readonly subject: string;
  /** "values", "order of writes", "writes", "metadata", … */
  readonly aspect: string;

  constructor(subject: string, aspect: string, detail: string) {
    super(`${subject}: ${aspect}: ${detail}`);
    this.subject = subject;
    this.aspect = aspect;
  }
}

/** Keys stay in their order, as does everything else that a program can see. */
export function exact(value: unknown): string {
  return JSON.stringify(value, function (this: Record<string, unknown>, key, given: unknown) {
    const raw = this[key];
    if (raw === undefined) return { "‹undefined›": 1 };
    if (typeof raw === "number" && !Number.isFinite(raw)) return { "‹number›": String(raw) };
    if (typeof raw !== "object" || raw === null || Array.isArray(raw)) return given;
    const kind = raw.constructor?.name ?? "Object";
    if (raw instanceof Uint8Array) return { [`‹${kind}›`]: Buffer.from(raw).toString("hex") };
    if (raw instanceof Map || raw instanceof Set) return { [`‹${kind}›`]: [...raw] };
    if (raw instanceof RegExp) return { "‹RegExp›": String(raw) };
    if (raw instanceof Error) return { "‹Error›": raw.message };
    if (kind !== "Object" && given !== raw) return { [`‹${kind}›`]: given };
    return given;
  });
}

/** For what the databases keep in an order of their own: keys are sorted at every depth. */
function unordered(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

function byChannel(values: [string, unknown][]): string {
  return values
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([channel, value]) => `${JSON.stringify(channel)}: ${exact(value)}`)
    .join("\n");
}

function placeOf(config: RunnableConfig | undefined): string {
  if (config === undefined) return "none";
  const { thread_id, checkpoint_ns = "", checkpoint_id } = config.configurable ?? {};
  return JSON.stringify([thread_id, checkpoint_ns, checkpoint_id]);
}

/**
 * MemorySaver also keeps the initial values of channels that were never written, which a read without them gives as
 * well; they have no version, and the formats that store values by version leave them out.
 *
 * @param byVersion leaves out the snapshots of delta channels, see {@link Subject}
 */
export function tupleParts(tuple: CheckpointTuple | undefined, byVersion: boolean): Parts {
  if (tuple === undefined) return { presence: "no checkpoint" };
  const { channel_values, channel_versions, versions_seen, ...rest } = tuple.checkpoint;
  const values = Object.entries(channel_values).filter(
    ([channel, value]) => channel in channel_versions && !(byVersion && isDeltaSnapshot(value)),
  );
  const writes = (tuple.pendingWrites ?? []).map(exact);
  return {
    presence: "a checkpoint",
    place: placeOf(tuple.config),
    parent: placeOf(tuple.parentConfig),
    checkpoint: unordered(rest),
    "channel versions": unordered(channel_versions),
    "versions seen": unordered(versions_seen),
    metadata: unordered(tuple.metadata),
    values: byChannel(values),
    writes: [...writes].sort().join("\n"),
    "order of writes": writes.join("\n"),
  };
}

/** @param byVersion compares the value that is rebuilt of the history, not where in it the seed is */
export function historyParts(histories: Record<string, DeltaChannelHistory>, byVersion: boolean): Parts {
  return {
    channels: Object.keys(histories).sort().join(),
    ...Object.fromEntries(
      Object.entries(histories).map(([channel, history]) => [
        `delta history of ${channel}`,
        byVersion ? exact(rebuilt(channel, history)) : historyText(history),
      ]),
    ),
  };
}

function historyText({ seed, writes }: DeltaChannelHistory): string {
  return [`seed ${exact([seed])}`, ...writes.map(exact)].join("\n");
}

function rebuilt(name: string, { seed, writes }: DeltaChannelHistory): unknown {
  const channel = deltaChannel(name).fromCheckpoint(seed as unknown[]);
  channel.replayWrites(writes);
  return channel.get();
}

export function snapshotParts(snapshot: StateSnapshot): Parts {
  const { values, next, tasks, metadata, config, createdAt, parentConfig } = snapshot;
  return {
    state: exact(values),
    next: exact(next),
    "snapshot's place": `${placeOf(config)} after ${placeOf(parentConfig)}, ${createdAt}`,
    "snapshot's metadata": unordered(metadata),
    tasks: exact(
      tasks.map(({ state, ...task }) => ({
        ...task,
        state: state !== undefined && "values" in state ? snapshotParts(state) : placeOf(state),
      })),
    ),
  };
}

/**
 * @param subject.ignored aspects that may differ
 * @throws Mismatch that names the first aspect that differs
 */
export function expectSame(
  subject: { readonly name: string; readonly ignored?: readonly string[] },
  where: string,
  actual: Parts,
  expected: Parts,
): void {
  for (const part of new Set([...Object.keys(expected), ...Object.keys(actual)])) {
    const aspect = part.replace(/^\d+ /, "");
    const [is, should] = [actual[part] ?? "absent", expected[part] ?? "absent"];
    if (is === should || subject.ignored?.includes(aspect)) continue;
    throw new Mismatch(subject.name, aspect, `${where}: ${difference(is, should)}`);
  }
}

function difference(is: string, should: string): string {
  let at = 0;
  while (at < is.length && is[at] === should[at]) at += 1;
  const around = (text: string) => JSON.stringify(text.slice(Math.max(0, at - 80), at + 160));
  return `from character ${at} on it is\n  ${around(is)}\nand not\n  ${around(should)}`;
}

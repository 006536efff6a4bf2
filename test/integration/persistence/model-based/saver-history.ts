/** Random histories of a saver itself, without a graph: whatever the interface allows, be it likely or not. */
import {
  type Checkpoint,
  type CheckpointMetadata,
  emptyCheckpoint,
  type PendingWrite,
  uuid6,
} from "@langchain/langgraph-checkpoint";
import fc from "fast-check";
import { type Subject, TeeSaver } from "./tee-saver.js";
import {
  anyChange,
  anyText,
  anyValue,
  type ChangeSpec,
  changed,
  EMPTIED,
  make,
  plainText,
  type ValueSpec,
} from "./values.js";

const CHANNELS = ["messages", "log", 'a channel: \\ " \0 \uFDD0 \ud83d 🩀', "i"] as const;
/** The one channel that may have the value undefined; nothing asks for its delta history. */
const WITH_UNDEFINED = "i";
const DELTA_CHANNELS = CHANNELS.filter((channel) => channel !== WITH_UNDEFINED);
const NAMESPACES = ["", "inner:1|deep:2", 'odd \0 \ud83d " \\ \x01'] as const;
const TASK_PATHS = [
  "",
  "~__pregel_pull, a",
  "~__pregel_pull, b",
  "~__pregel_push, \uFFFD",
  "~__pregel_push, 🩀",
  "~~00002",
];
const SPECIAL_CHANNELS = ["__interrupt__", "__resume__", "__error__", "__scheduled__"] as const;

interface InPlace {
  readonly thread: number;
  readonly namespace: number;
}
interface At extends InPlace {
  /** Which of the checkpoints in this place, counted from the newest. */
  readonly back: number;
}
interface Edit {
  readonly channel: number;
  readonly change: ChangeSpec;
}

export type SaverCommand =
  | (InPlace & {
      readonly do: "put";
      /** Which it follows; none where it is null: a thread may begin anew at any time. */
      readonly after: number | null;
      readonly edits: readonly Edit[];
      readonly note: string;
    })
  | (At & { readonly do: "put again"; readonly note: string })
  | (At & {
      readonly do: "write";
      readonly task: number;
      readonly path: string;
      readonly writes: readonly { readonly channel: number; readonly value: ValueSpec }[];
    })
  | (At & { readonly do: "report"; readonly task: number; readonly channel: string; readonly value: ValueSpec })
  | (At & { readonly do: "read"; readonly limit: number; readonly note: string })
  | { readonly do: "delete"; readonly thread: number };

export interface SaverHistoryKind {
  /** Whole numbers, as the stock saver counts, so that branches have the same ones for values of their own. */
  readonly wholeVersions: boolean;
  /** Task paths, which stock's format has no place for. */
  readonly taskPaths: boolean;
}

export function anySaverHistory({ taskPaths }: SaverHistoryKind): fc.Arbitrary<SaverCommand[]> {
  const place = { thread: fc.nat(1), namespace: fc.oneof(fc.constant(0), fc.nat(NAMESPACES.length - 1)) };
  // Mostly the newest: a thread goes on, and now and then goes back.
  const back = fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(30) });
  const at = { ...place, back };
  const channel = fc.nat(CHANNELS.length - 1);
  const task = fc.nat(3);
  const note = fc.oneof(anyText, plainText);
  const edits = fc.array(fc.record({ channel, change: anyChange }), { maxLength: 4 });
  const command: fc.Arbitrary<SaverCommand> = fc.oneof(
    {
      weight: 12,
      arbitrary: fc.record({
        ...place,
        do: fc.constant("put" as const),
        after: fc.oneof({ weight: 9, arbitrary: back }, { weight: 1, arbitrary: fc.constant(null) }),
        edits,
        note,
      }),
    },
    { weight: 1, arbitrary: fc.record({ ...at, do: fc.constant("put again" as const), note }) },
    {
      weight: 4,
      arbitrary: fc.record({
        ...at,
        do: fc.constant("write" as const),
        task,
        path: taskPaths ? fc.constantFrom(...TASK_PATHS) : fc.constant(""),
        writes: fc.array(fc.record({ channel, value: anyValue }), { maxLength: 3 }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        ...at,
        do: fc.constant("report" as const),
        task,
        channel: fc.constantFrom(...SPECIAL_CHANNELS),
        value: anyValue,
      }),
    },
    { weight: 2, arbitrary: fc.record({ ...at, do: fc.constant("read" as const), limit: fc.nat(4), note }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("delete" as const), thread: fc.nat(1) }) },
  );
  return fc.array(command, { minLength: 8, maxLength: 40, size: "max" });
}

/** A checkpoint as it was put. */
interface Known {
  readonly parentId: string | undefined;
  readonly checkpoint: Checkpoint;
  readonly newVersions: Record<string, number>;
}

let histories = 0;

/** @throws Mismatch */
export async function runSaverHistory(
  commands: readonly SaverCommand[],
  subjects: readonly Subject[],
  { wholeVersions }: SaverHistoryKind,
): Promise<void> {
  histories += 1;
  const history = new SaverHistory(subjects, wholeVersions);
  for (const command of commands) await history.step(command);
  await history.compareAll();
}

class SaverHistory {
  readonly #subjects: readonly Subject[];
  readonly #tee: TeeSaver;
  readonly #wholeVersions: boolean;
  readonly #known = new Map<string, Known[]>();

  constructor(subjects: readonly Subject[], wholeVersions: boolean) {
    this.#subjects = subjects;
    this.#tee = new TeeSaver(subjects);
    this.#wholeVersions = wholeVersions;
  }

  async step(command: SaverCommand): Promise<void> {
    if (command.do === "delete") {
      await this.#tee.deleteThread(threadId(command.thread));
      for (const key of this.#known.keys()) if (key.startsWith(`${command.thread} `)) this.#known.delete(key);
      return;
    }
    const here = this.#checkpointsAt(command);
    if (command.do === "put") return this.#put(command, here);
    const found = here[command.back % Math.max(here.length, 1)];
    if (found === undefined) return;
    const config = configOf(command, found.checkpoint.id);
    switch (command.do) {
      case "put again":
        await this.#tee.put(
          configOf(command, found.parentId),
          found.checkpoint,
          metadataOf(command.note, 0),
          found.newVersions,
        );
        return;
      case "write": {
        const writes = command.writes.map(({ channel, value }): PendingWrite => [CHANNELS[channel] ?? "", make(value)]);
        const stored = this.#tee.putWrites(config, writes, taskId(command.task), command.path);
        for (const [, value] of writes) spoil(value);
        await stored;
        return;
      }
      case "report":
        await this.#tee.putWrites(config, [[command.channel, make(command.value)]], taskId(command.task), "");
        return;
      case "read":
        return this.#read(command, config);
    }
  }

  #checkpointsAt({ thread, namespace }: InPlace): Known[] {
    const key = `${thread} ${namespace}`;
    const known = this.#known.get(key) ?? [];
    this.#known.set(key, known);
    return known;
  }

  async #put(command: SaverCommand & { do: "put" }, here: Known[]): Promise<void> {
    const { after, edits, note } = command;
    const parent = after === null || here.length === 0 ? undefined : here[after % here.length];
    // As the reference gives it, since what was given to the put is spoilt afterwards.
    const parentTuple =
      parent === undefined ? undefined : await this.#tee.reference.getTuple(configOf(command, parent.checkpoint.id));
    const values: Record<string, unknown> = { ...parentTuple?.checkpoint.channel_values };
    const versions: Record<string, number> = { ...(parent?.checkpoint.channel_versions as Record<string, number>) };
    const newVersions: Record<string, number> = {};
    for (const { channel: n, change } of edits) {
      const channel = CHANNELS[n] ?? "";
      const value = changed(values[channel], change);
      if (value === EMPTIED) delete values[channel];
      // MemorySaver looks for the seed of a delta history beyond an undefined one, and no other saver does.
      else values[channel] = value ?? (channel === WITH_UNDEFINED ? value : null);
      newVersions[channel] ??= this.#nextVersion(versions[channel]);
    }
    const checkpoint: Checkpoint = {
      ...emptyCheckpoint(),
      id: uuid6(here.length),
      channel_values: values,
      channel_versions: { ...versions, ...newVersions },
      versions_seen: { [note]: { ...versions } },
    };
    const parentId = parent?.checkpoint.id;
    const stored = this.#tee.put(configOf(command, parentId), checkpoint, metadataOf(note, here.length), newVersions);
    // A graph goes on with these very objects while they are being stored.
    for (const channel of Object.keys(newVersions)) spoil(values[channel]);
    await stored;
    const asStored = await this.#tee.getTuple(configOf(command, checkpoint.id));
    here.unshift({ parentId, newVersions, checkpoint: { ...checkpoint, ...asStored?.checkpoint } });
  }

  #nextVersion(current: number | undefined): number {
    return this.#wholeVersions ? (current ?? 0) + 1 : this.#tee.getNextVersion(current);
  }

  async #read(command: SaverCommand & { do: "read" }, config: Config): Promise<void> {
    const { limit, note } = command;
    const place = configOf(command, undefined);
    await this.#tee.getTuple(place);
    await this.#tee.listed(place, { limit, before: config });
    await this.#tee.listed(place, { filter: { note } });
    await this.#tee.listed(config);
    await this.#tee.getDeltaChannelHistory({ config, channels: [...DELTA_CHANNELS, "__interrupt__"] });
  }

  async compareAll(): Promise<void> {
    for (const subject of this.#subjects) subject.renew();
    for (const thread of [0, 1]) {
      await this.#tee.listed({ configurable: { thread_id: threadId(thread) } });
      for (const namespace of NAMESPACES.keys()) {
        const place = configOf({ thread, namespace }, undefined);
        await this.#tee.listed(place);
        for (const { checkpoint } of this.#checkpointsAt({ thread, namespace })) {
          const config = configOf({ thread, namespace }, checkpoint.id);
          await this.#tee.getTuple(config);
          await this.#tee.getDeltaChannelHistory({ config, channels: DELTA_CHANNELS });
        }
      }
    }
  }
}

interface Config {
  readonly configurable: {
    readonly thread_id: string;
    readonly checkpoint_ns: string;
    readonly checkpoint_id?: string;
  };
}

function configOf({ thread, namespace }: InPlace, checkpoint_id: string | undefined): Config {
  const place = { thread_id: threadId(thread), checkpoint_ns: NAMESPACES[namespace] ?? "" };
  return { configurable: { ...place, ...(checkpoint_id === undefined ? {} : { checkpoint_id }) } };
}

function threadId(n: number): string {
  return `saver history ${histories}, thread ${n}${n === 0 ? "" : " NUL \0 \ud83d \uFDD0"}`;
}

function taskId(n: number): string {
  return `0000000${n}-1111-5222-8333-444444444444`;
}

function metadataOf(note: string, step: number): CheckpointMetadata & { note: string } {
  return { source: "loop", step, parents: {}, note, [note]: { deep: [note, step] } } as never;
}

/** Changes the value in place, but for bytes, which the stock saver does not copy at once either. */
function spoil(value: unknown): void {
  if (value instanceof Uint8Array) return;
  if (Array.isArray(value)) value.push("added afterwards");
  else if (value instanceof Map || value instanceof Set) value.clear();
  else if (typeof value === "object" && value !== null && !("lg_name" in value))
    (value as Record<string, unknown>).addedAfterwards = true;
}

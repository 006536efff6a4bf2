/** What of a checkpoint's values is stored with it, and where the rest is already. */
import { type ChannelVersions, type Checkpoint, isDeltaSnapshot } from "@langchain/langgraph-checkpoint";
import type { Header, Inline } from "./header.js";
import type { CheckpointState, StateCache } from "./state-cache.js";
import type { StoredObject } from "./stored-object.js";
import { isInline, type StandingValue, storeValue } from "./stored-value.js";
import type { ValueTexts } from "./value-texts.js";

/** Characters from which a value is kept at hand, for storing the next one as a change. */
const keptFrom = 512;

export interface ChannelValuesOptions {
  readonly texts: ValueTexts;
  readonly cache: StateCache;
  /** The state of a checkpoint that this process does not know; undefined when it is not stored. */
  loadState(threadId: string, namespace: string, checkpointId: string): Promise<CheckpointState | undefined>;
  /** The state of some checkpoint of the thread that has a value of the channel at this version. */
  findVersion(
    threadId: string,
    namespace: string,
    channel: string,
    version: unknown,
  ): Promise<CheckpointState | undefined>;
}

/** Where a checkpoint goes, in storable texts. */
export interface ValuesPlace {
  readonly threadId: string;
  readonly threadKey: string;
  readonly namespace: string;
  readonly checkpointId: string;
  readonly parentId: string | undefined;
}

export interface StoredValues {
  readonly header: Pick<Header, "inline" | "objects">;
  readonly contents: readonly StoredObject[];
  /** Kept at hand, for storing the next ones as changes. */
  readonly kept: readonly StandingValue[];
  /** Whether they stand on contents that are only sure to be there while the parent is. */
  readonly needsParent: boolean;
}

export class ChannelValues {
  readonly #options: ChannelValuesOptions;

  constructor(options: ChannelValuesOptions) {
    this.#options = options;
  }

  /** Values that are not new are taken from where they are. Serializes before it returns. */
  of(place: ValuesPlace, checkpoint: Checkpoint, newVersions: ChannelVersions): StoredValues | Promise<StoredValues> {
    const { threadKey, namespace, parentId } = place;
    const parent = parentId === undefined ? undefined : this.#options.cache.state(threadKey, namespace, parentId);
    const dumped = this.#dump(
      checkpoint,
      (channel) =>
        Object.hasOwn(newVersions, channel) ||
        !inherits(parent, channel, checkpoint) ||
        parent?.elsewhere.has(channel) === true,
    );
    const strangers = foreignChannels(checkpoint, newVersions, parent);
    if (!(dumped instanceof Promise) && strangers.length === 0)
      return this.#values(place, checkpoint, newVersions, dumped, parent, parent);
    return (async () => {
      const texts = await dumped;
      const from = strangers.length === 0 ? parent : await this.#gathered(place, checkpoint, strangers, parent);
      return this.#values(place, checkpoint, newVersions, texts, from, parent);
    })();
  }

  /** All values, standing on nothing that is stored. */
  async standingAlone(place: ValuesPlace, checkpoint: Checkpoint): Promise<StoredValues> {
    const texts = await this.#dump(checkpoint, () => true);
    return this.#values(place, checkpoint, checkpoint.channel_versions, texts, undefined, undefined);
  }

  #dump(
    checkpoint: Checkpoint,
    isWanted: (channel: string) => boolean,
  ): Map<string, string> | Promise<Map<string, string>> {
    const texts = new Map<string, string>();
    const waits: Promise<unknown>[] = [];
    for (const [channel, value] of Object.entries(checkpoint.channel_values)) {
      if (!isWanted(channel)) continue;
      const text = this.#options.texts.of(value);
      if (typeof text === "string") texts.set(channel, text);
      else waits.push(text.then((late) => texts.set(channel, late)));
    }
    return waits.length === 0 ? texts : Promise.all(waits).then(() => texts);
  }

  /**
   * @param from where the values are that are not new
   * @param base whose values the new ones are stored as changes of
   */
  #values(
    place: ValuesPlace,
    checkpoint: Checkpoint,
    newVersions: ChannelVersions,
    texts: ReadonlyMap<string, string>,
    from: CheckpointState | undefined,
    base: CheckpointState | undefined,
  ): StoredValues {
    const { cache } = this.#options;
    const inline: [string, Inline][] = [];
    const objects: [string, string][] = [];
    const contents: StoredObject[] = [];
    const kept: StandingValue[] = [];
    let needsParent = false;
    const store = (channel: string, text: string) => {
      const value = storeValue(text, earlierValue(cache, place.threadKey, channel, base));
      contents.push(...value.objects);
      if (isInline(value)) {
        const links = hashesOf(value.objects);
        inline.push([channel, { skeleton: value.skeleton, links }]);
        if (text.length >= keptFrom) kept.push({ hash: inlineKey(channel, links), text, weight: 0 });
        return;
      }
      needsParent ||= value.standsOn;
      objects.push([channel, value.hash]);
      if (text.length >= keptFrom) kept.push(value);
    };
    for (const channel of Object.keys(checkpoint.channel_values)) {
      if (Object.hasOwn(newVersions, channel) || from?.elsewhere.has(channel)) {
        const text = texts.get(channel);
        if (text !== undefined) store(channel, text);
        continue;
      }
      if (!inherits(from, channel, checkpoint)) continue;
      const hash = from?.objects[channel];
      const short = from?.inline[channel];
      if (hash !== undefined) {
        objects.push([channel, hash]);
        needsParent = true;
      } else if (short !== undefined) {
        inline.push([channel, short]);
        needsParent ||= short.links.length > 0;
      }
    }
    return {
      header: { inline: Object.fromEntries(inline), objects: Object.fromEntries(objects) },
      contents,
      kept,
      needsParent: needsParent && place.parentId !== undefined,
    };
  }

  /** Where values are that are neither new nor the known parent's: the stored parent's, or any checkpoint's that has that version. */
  async #gathered(
    { threadId, namespace, parentId }: ValuesPlace,
    checkpoint: Checkpoint,
    channels: readonly string[],
    known: CheckpointState | undefined,
  ): Promise<CheckpointState> {
    const { loadState, findVersion } = this.#options;
    const parent = known ?? (parentId === undefined ? undefined : await loadState(threadId, namespace, parentId));
    const found = { inline: { ...parent?.inline }, objects: { ...parent?.objects }, versions: { ...parent?.versions } };
    const elsewhere = new Set(parent?.elsewhere);
    for (const channel of channels) {
      const version = checkpoint.channel_versions[channel];
      if (version === undefined || inherits(parent, channel, checkpoint)) continue;
      const state = await findVersion(threadId, namespace, channel, version);
      delete found.inline[channel];
      delete found.objects[channel];
      elsewhere.delete(channel);
      if (state === undefined) continue;
      const { [channel]: short } = state.inline;
      const { [channel]: hash } = state.objects;
      if (short !== undefined) found.inline[channel] = short;
      if (hash !== undefined) found.objects[channel] = hash;
      if (state.elsewhere.has(channel)) elsewhere.add(channel);
      found.versions[channel] = version;
    }
    return { ...found, elsewhere };
  }
}

/** The last snapshots of delta channels, for {@link CheckpointState}. */
export function snapshotsOf(
  { channel_values }: Checkpoint,
  objects: Readonly<Record<string, string>>,
  parent: CheckpointState | undefined,
): Record<string, string> {
  const passedOn = Object.entries({ ...parent?.snapshots }).filter(
    ([channel]) => !Object.hasOwn(channel_values, channel),
  );
  const own = Object.entries(objects).filter(([channel]) => isDeltaSnapshot(channel_values[channel]));
  return Object.fromEntries([...passedOn, ...own]);
}

/** Channels whose value is neither new nor known to be the parent's. */
function foreignChannels(
  checkpoint: Checkpoint,
  newVersions: ChannelVersions,
  parent: CheckpointState | undefined,
): string[] {
  return Object.keys(checkpoint.channel_values).filter(
    (channel) => !Object.hasOwn(newVersions, channel) && !inherits(parent, channel, checkpoint),
  );
}

function earlierValue(cache: StateCache, key: string, channel: string, known: CheckpointState | undefined) {
  const hash = known?.objects[channel] ?? known?.snapshots?.[channel];
  if (hash !== undefined) return cache.value(key, hash);
  const links = known?.inline[channel]?.links ?? [];
  if (links.length === 0) return undefined;
  const text = cache.value(key, inlineKey(channel, links))?.text;
  return text === undefined ? undefined : { text };
}

/** By which an inline value is kept at hand: nothing is stored under it. */
function inlineKey(channel: string, links: readonly string[]): string {
  return `${channel}\x01${links.join()}`;
}

function hashesOf(objects: readonly StoredObject[]): string[] {
  return objects.map((object) => object.hash);
}

function inherits(state: CheckpointState | undefined, channel: string, checkpoint: Checkpoint): boolean {
  return state !== undefined && state.versions[channel] === checkpoint.channel_versions[channel];
}

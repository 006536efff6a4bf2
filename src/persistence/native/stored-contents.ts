/** Contents that were read or are at hand, each checked against its hash, and the values that are put together from them. */
import type { HeaderValues } from "./header.js";
import { corrupt, hashes, plainHash } from "./read-row.js";
import { kinds, type ReadRow } from "./read-statement.js";
import type { StateCache } from "./state-cache.js";
import { hashOf, type StoredObject, threadKey } from "./stored-object.js";
import { readInline, readValue, type StandingValue } from "./stored-value.js";

type Content = Pick<StoredObject, "links" | "body">;

export class StoredContents {
  readonly #cache: StateCache;
  readonly #held: Map<string, StandingValue>;
  readonly #objects = new Map<string, Content>();
  readonly #checked = new Set<string>();

  /** @param held values that are at hand and so are not asked for */
  constructor(cache: StateCache, held: ReadonlyMap<string, StandingValue> = new Map()) {
    this.#cache = cache;
    this.#held = new Map(held);
  }

  add(rows: readonly ReadRow[]): void {
    for (const { kind, a, b, c, d } of rows) {
      if (kind === kinds.object) this.#objects.set(plainHash(a) + plainHash(b), { links: hashes(c), body: d ?? "" });
    }
  }

  /** Whether the value is at hand; if so it stays. */
  hold(key: string, hash: string): boolean {
    const value = this.#known(key, hash);
    if (value !== undefined) this.#held.set(hash, value);
    return value !== undefined;
  }

  /** Checked when it is first used: what no checkpoint needs may be damaged as it likes. */
  find(key: string, hash: string): Content | undefined {
    const content = this.#objects.get(key + hash);
    if (content === undefined || this.#checked.has(key + hash)) return content;
    if (hashOf(content.links, content.body) !== hash)
      throw new Error(`the stored content ${hash} does not match its hash`);
    this.#checked.add(key + hash);
    return content;
  }

  /**
   * The text of a channel's value in the checkpoint of this row.
   *
   * @throws CheckpointCorruptError
   */
  text(row: ReadRow, channel: string, { inline, objects }: HeaderValues): string {
    const key = threadKey(row.a ?? "");
    const short = inline[channel];
    try {
      return short === undefined
        ? this.#value(key, objects[channel] ?? "")
        : readInline(short.skeleton, short.links, (wanted) => this.find(key, wanted));
    } catch (error) {
      throw corrupt(row, `channel "${channel}"`, error);
    }
  }

  #value(key: string, hash: string): string {
    const value = readValue(
      hash,
      (wanted) => this.find(key, wanted),
      (wanted) => this.#known(key, wanted),
    );
    this.#cache.keep(key, value);
    return value.text;
  }

  #known(key: string, hash: string): StandingValue | undefined {
    return this.#held.get(hash) ?? this.#cache.value(key, hash);
  }
}

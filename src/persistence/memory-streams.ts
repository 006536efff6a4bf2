import type { StoredStream, StreamPart, StreamScope, StreamStore } from "../core/store-ports.js";
import { jsonText } from "./json-text.js";
import { joinedParts } from "./stream-chain.js";

interface Row extends Omit<StreamPart, "end"> {
  /** JSON. */
  readonly ending: string | undefined;
}

interface Stream {
  readonly node: string;
  readonly step: string;
  /** By `seq`. */
  readonly rows: Map<number, Row>;
}

/** The generated texts of a process that keeps nothing. */
export class MemoryStreams implements StreamStore {
  readonly #threads = new Map<string, Map<string, Stream>>();

  async append(scope: StreamScope, { end, ...part }: StreamPart): Promise<boolean> {
    const ending = end === undefined ? undefined : jsonText(`The end of stream "${scope.stream}"`, end);
    const { threadId, node, step } = scope;
    const streams = this.#threads.get(threadId) ?? new Map<string, Stream>();
    const stream = streams.get(keyOf(scope)) ?? { node, step, rows: new Map() };
    const there = stream.rows.get(part.seq);
    if (there !== undefined) return there.writer === part.writer;
    if (part.seq > 0 && (part.after === undefined || stream.rows.get(part.seq - 1)?.writer !== part.after))
      return false;
    stream.rows.set(part.seq, { ...part, ending });
    this.#threads.set(threadId, streams.set(keyOf(scope), stream));
    return true;
  }

  async load(scope: StreamScope): Promise<StoredStream | undefined> {
    const rows = [...(this.#find(scope)?.rows.values() ?? [])].sort((a, b) => a.seq - b.seq);
    return joinedParts(
      rows.map(({ ending, ...part }) => (ending === undefined ? part : { ...part, end: JSON.parse(ending) })),
    );
  }

  async truncate(scope: StreamScope, seq: number, writer: string): Promise<void> {
    const rows = this.#find(scope)?.rows;
    for (const row of rows?.values() ?? []) if (row.seq >= seq && row.writer === writer) rows?.delete(row.seq);
    if (rows?.size === 0) this.#delete(scope.threadId, keyOf(scope));
  }

  async clear(scope: StreamScope): Promise<void> {
    this.#delete(scope.threadId, keyOf(scope));
  }

  async clearOtherSteps({ threadId, node, step }: StreamScope): Promise<void> {
    for (const [key, stream] of this.#threads.get(threadId) ?? [])
      if (stream.node === node && stream.step !== step) this.#delete(threadId, key);
  }

  /** The thread was deleted. */
  forget(threadId: string): void {
    this.#threads.delete(threadId);
  }

  #find(scope: StreamScope): Stream | undefined {
    return this.#threads.get(scope.threadId)?.get(keyOf(scope));
  }

  #delete(threadId: string, key: string): void {
    const streams = this.#threads.get(threadId);
    streams?.delete(key);
    if (streams?.size === 0) this.#threads.delete(threadId);
  }
}

function keyOf({ node, step, stream }: StreamScope): string {
  return JSON.stringify([node, step, stream]);
}

/** Which checkpoints were found damaged, on record, so that they are known of after the process that came upon them. */
import { CheckpointCorruptError } from "../errors/persistence-errors.js";
import { run, type SqlPool, withClient } from "./sql-pool.js";
import { toStorableText } from "./storable-text.js";

/** Damages that a process remembers to have put on record. */
const maxKnown = 1_000;

export interface QuarantineOptions {
  readonly pool: SqlPool;
  readonly schema: string;
  /** Told of each damage once a process. */
  readonly onCorrupt: ((error: CheckpointCorruptError) => void) | undefined;
}

export class Quarantine {
  readonly #options: QuarantineOptions;
  readonly #known = new Set<string>();

  constructor(options: QuarantineOptions) {
    this.#options = options;
  }

  /** The read as it was, and when it comes upon a damage, the record of that before its rejection. */
  async noting<T>(read: Promise<T>): Promise<T> {
    try {
      return await read;
    } catch (error) {
      if (error instanceof CheckpointCorruptError) await this.note(error);
      throw error;
    }
  }

  /** Puts the damage on record and tells of it. Whatever fails of that must not stand in the place of the damage itself. */
  async note(error: CheckpointCorruptError): Promise<void> {
    const { threadId, namespace, checkpointId, part } = error.place;
    const place = [threadId, namespace, checkpointId, part].map(toStorableText);
    const key = place.join("\x01");
    if (this.#known.has(key)) return;
    this.#known.add(key);
    if (this.#known.size > maxKnown) this.#known.delete(this.#known.values().next().value ?? "");
    try {
      this.#options.onCorrupt?.(error);
      await this.#record(place);
    } catch (failure) {
      process.emitWarning(`A damaged checkpoint could not be put on record: ${String(failure)}`, "ResilienceWarning");
    }
  }

  async #record(place: readonly string[]): Promise<void> {
    const { pool, schema } = this.#options;
    const text = `insert into "${schema}".lgr_quarantine (thread_id, checkpoint_ns, checkpoint_id, part)
      values ($1, $2, $3, $4) on conflict do nothing`;
    await withClient(pool, (client) => run(client, { text, values: [...place] }));
  }
}

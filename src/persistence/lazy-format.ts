/** Which format is written is settled at the first use, by the options and by what the database has or lets us make. */
import { systemClock } from "../core/clock.js";
import { type CheckpointFormat, type FormatOptions, formatOf } from "./formats.js";
import { ownTablesAreThere } from "./migrations.js";
import { writeTogether } from "./sql-pool.js";

export interface LazyFormatOptions extends Omit<FormatOptions, "native" | "hasOwnTables" | "now" | "write"> {
  /** Whether stock's format is written. */
  readonly compatible: boolean;
}

export class LazyFormat {
  readonly #options: LazyFormatOptions;
  #opening: Promise<CheckpointFormat> | undefined;
  #current: CheckpointFormat | undefined;

  constructor(options: LazyFormatOptions) {
    this.#options = options;
  }

  /** What is there already: a value is serialized when it is given, before anything is waited for. */
  get current(): CheckpointFormat | undefined {
    return this.#current;
  }

  /** Tried anew at the next call where it fails. */
  opened(): Promise<CheckpointFormat> {
    this.#opening ??= this.#open().catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  async #open(): Promise<CheckpointFormat> {
    const { compatible, ...options } = this.#options;
    const { pool, schema } = options;
    const hasOwnTables = (await ownTablesAreThere(pool, schema)) || (await this.#tablesMade());
    this.#current = formatOf({
      ...options,
      native: !compatible && hasOwnTables,
      hasOwnTables,
      now: systemClock.now,
      write: (statements, guard) => writeTogether(pool, statements, guard),
    });
    return this.#current;
  }

  async #tablesMade(): Promise<boolean> {
    const { compatible, keepThreads, makeTables } = this.#options;
    if (compatible && !keepThreads) return false;
    try {
      await makeTables();
      return true;
    } catch (error) {
      if ((error as { code?: unknown }).code !== "42501" || keepThreads) throw error;
      process.emitWarning(
        `ResilientPostgresSaver: this database role may not make tables, so checkpoints are written in the stock saver's format; call setup() once with a role that may, or pass { compatible: true } (${String(error)})`,
      );
      return false;
    }
  }
}

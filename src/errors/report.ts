import type { Category } from "./categories.js";

/** One failure, understood. Plain data: it survives JSON and a checkpoint. */
export interface ErrorReport {
  readonly category: Category;
  /** Whether another attempt of the same call can help. */
  readonly retryable: boolean;
  /** HTTP status, where there was one. */
  readonly status?: number;
  /** The most specific code found: provider code, errno, SQLSTATE or our own. */
  readonly code?: string;
  /** Who answered, where the error tells: "openai", "postgres", "smtp", … */
  readonly provider?: string;
  /** How long the other side asked us to wait, in milliseconds. */
  readonly retryAfterMs?: number;
  readonly message: string;
  /** Name and message of each error beneath the outermost, in order. */
  readonly cause?: readonly string[];
}

/** What a call and its worker thread say to each other. */
import type { MessagePort } from "node:worker_threads";
import type { PackedThrown } from "./isolated-errors.js";

/** What a worker is started with. */
export interface WorkerStart {
  readonly port: MessagePort;
  /** URL of the worker's side. */
  readonly entry: string;
  /** URL of the module that holds the work. */
  readonly module: string;
  readonly exported: string;
  /** Whether TypeScript has to be loaded: the module, or in a checkout the worker's side itself. */
  readonly needsTypeScript: boolean;
  readonly tsconfig: string | undefined;
  /** Whether the worker has to tell how much it holds outside of its heap, because nobody can look from outside. */
  readonly reportsBuffers: boolean;
}

export type ToWorker =
  | { readonly kind: "run"; readonly input: unknown }
  | { readonly kind: "abort"; readonly reason: PackedThrown };

/** What ends a call; the first counts. */
export type Answer =
  | { readonly kind: "returned"; readonly value: unknown }
  | { readonly kind: "threw"; readonly thrown: PackedThrown }
  | { readonly kind: "not_cloneable"; readonly why: string }
  | { readonly kind: "steered"; readonly by: string; readonly thrown?: PackedThrown }
  | { readonly kind: "no_export"; readonly found: readonly string[] }
  | { readonly kind: "no_typescript" };

export type FromWorker =
  | { readonly kind: "begun" }
  | { readonly kind: "buffers"; readonly bytes: number }
  | { readonly kind: "answer"; readonly answer: Answer };

/** How often is looked at what a worker holds outside of its heap. */
export const BUFFERS_INTERVAL_MS = 100;

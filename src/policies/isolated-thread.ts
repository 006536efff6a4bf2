/** A worker thread with its limits, and with nothing of this process but what is named. */
import { type MessagePort, Worker, type WorkerOptions } from "node:worker_threads";
import type { WorkerStart } from "./isolated-messages.js";
import type { FoundWork, IsolatedPolicy } from "./isolated-options.js";
import { threadNotStarted } from "./isolated-outcome.js";

/** Node 22.16 and later look into a worker from outside, even while it is in a loop. */
export type Thread = Worker & {
  getHeapStatistics?(): Promise<{ readonly external_memory: number }>;
};

const MB = 2 ** 20;
/** V8 lets 64 MB of buffers pile up before it looks which of them are still in use (kExternalAllocationSoftLimit). */
const UNCOLLECTED_MB = 64;
/** Of a worker on 64 bits, in Node: three semi-spaces of 16 MB. */
const MAX_YOUNG_MB = 48;
/** Node's own default for workers, four times that of the main thread. */
const STACK_MB = 4;

const start = new URL("./isolated-start.js", import.meta.url);
/** The worker's side: TypeScript in a checkout, JavaScript in the package. */
const entry = new URL(import.meta.url).pathname.endsWith(".ts")
  ? new URL("./isolated-worker.ts", import.meta.url)
  : new URL("./isolated-worker.js", import.meta.url);
const looksFromOutside = "getHeapStatistics" in Worker.prototype;

/** How much a worker may hold outside of its heap, what V8 has not collected yet included. */
export function bufferLimitBytes(policy: IsolatedPolicy): number {
  return (policy.maxMemoryMb + UNCOLLECTED_MB) * MB;
}

/** @throws IsolationError where the system gives no further thread, or Node's permissions forbid it */
export function startThread(work: FoundWork, policy: IsolatedPolicy, port: MessagePort): Thread {
  const workerData: WorkerStart = {
    port,
    entry: entry.href,
    module: work.url,
    exported: work.exported,
    needsTypeScript: work.isTypeScript || !entry.pathname.endsWith(".js"),
    tsconfig: process.env.TSX_TSCONFIG_PATH ?? work.tsconfig,
    reportsBuffers: !looksFromOutside,
  };
  try {
    return new Worker(start, {
      workerData,
      transferList: [port],
      name: work.label,
      env: chosen(policy.env),
      resourceLimits: {
        maxOldGenerationSizeMb: policy.maxMemoryMb,
        maxYoungGenerationSizeMb: Math.min(MAX_YOUNG_MB, Math.ceil(policy.maxMemoryMb / 8)),
        stackSizeMb: STACK_MB,
      },
      ...inheritedFlags(),
    });
  } catch (error) {
    throw threadNotStarted(work, error);
  }
}

function chosen(names: readonly string[]): Record<string, string> {
  const values: Record<string, string> = {};
  for (const name of names) {
    const value = process.env[name];
    if (value !== undefined) values[name] = value;
  }
  return values;
}

/**
 * A worker inherits the flags of its process (conditions, preloads, source maps). They cannot be passed on by hand, for
 * V8's own are refused then; and of a process that runs a string, `--input-type` would refuse the worker's file.
 */
function inheritedFlags(): WorkerOptions {
  return process.execArgv.some((flag) => flag.startsWith("--input-type")) ? { execArgv: [] } : {};
}

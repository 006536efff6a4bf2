/** What became of a call in a worker thread, and the words for it. */
import { ConfigError } from "../errors/own-errors.js";
import { IsolationError } from "../errors/policy-errors.js";
import { field } from "../errors/reading.js";
import { unpackThrown } from "./isolated-errors.js";
import type { Answer } from "./isolated-messages.js";
import type { FoundWork, IsolatedPolicy } from "./isolated-options.js";

export type Outcome =
  | { readonly kind: "returned"; readonly value: unknown }
  | { readonly kind: "failed"; readonly error: unknown };

export function outcomeOf(answer: Answer, work: FoundWork): Outcome {
  switch (answer.kind) {
    case "returned":
      return answer;
    case "threw":
      return failed(unpackThrown(answer.thrown));
    case "not_cloneable":
      return failed(
        new IsolationError(
          "NOT_CLONEABLE",
          `isolated(${work.label}): the result cannot be sent back from the worker thread: ${short(answer.why)}; return plain data, without functions`,
        ),
      );
    case "steered":
      return failed(
        new IsolationError(
          "CONTROL_FLOW_IN_WORKER",
          `isolated(${work.label}): ${answer.by} steers the graph, which cannot be reached from a worker thread; return plain data, and let the node around isolated() interrupt or return the Command`,
          answer.thrown === undefined ? {} : { cause: unpackThrown(answer.thrown) },
        ),
      );
    case "no_export": {
      const found = answer.found.length === 0 ? "nothing" : answer.found.join(", ");
      return failed(
        new ConfigError(
          `isolated(${work.label}): ${work.place} exports no function "${work.exported}"; it exports: ${found}`,
        ),
      );
    }
    case "no_typescript":
      return failed(
        new ConfigError(
          `isolated(${work.label}): to load ${work.place}, which is TypeScript, install tsx: npm install --save-dev tsx`,
        ),
      );
  }
}

/** What ended the thread itself: its heap is full, or it failed where the worker's side could not catch it. */
export function failureBy(error: unknown, work: FoundWork, policy: IsolatedPolicy): unknown {
  if (field(error, "code") !== "ERR_WORKER_OUT_OF_MEMORY") return error;
  return outOfMemory(work, policy, `its heap reached the limit of ${policy.maxMemoryMb} MB`, error);
}

export function outOfBuffers(work: FoundWork, policy: IsolatedPolicy, bytes: number): IsolationError {
  const held = Math.round(bytes / 2 ** 20);
  return outOfMemory(work, policy, `it held ${held} MB in buffers, with a limit of ${policy.maxMemoryMb} MB`);
}

function outOfMemory(work: FoundWork, { maxMemoryMb }: IsolatedPolicy, why: string, cause?: unknown): IsolationError {
  return new IsolationError(
    "ERR_WORKER_OUT_OF_MEMORY",
    `isolated(${work.label}): the worker ran out of memory: ${why}; raise maxMemoryMb, or give it less at once`,
    { cause, details: { maxMemoryMb } },
  );
}

export function exitedEarly(work: FoundWork, exitCode: number): IsolationError {
  return new IsolationError(
    "WORKER_EXITED",
    `isolated(${work.label}): the worker thread ended with exit code ${exitCode} before it answered; return or throw instead of calling process.exit()`,
    { details: { exitCode } },
  );
}

export function inputNotCloneable(work: FoundWork, error: unknown): IsolationError {
  return new IsolationError(
    "NOT_CLONEABLE",
    `isolated(${work.label}): the input cannot be sent to a worker thread: ${short(field(error, "message"))}; pass plain data, without functions`,
    { cause: error },
  );
}

export function threadNotStarted(work: FoundWork, error: unknown): IsolationError {
  return new IsolationError(
    "WORKER_NOT_STARTED",
    `isolated(${work.label}): no worker thread could be started: ${short(field(error, "message"))}; run fewer at once, or see what limits the process`,
    { cause: error },
  );
}

function failed(error: unknown): Outcome {
  return { kind: "failed", error };
}

/** V8 quotes what it could not copy in full, a function with all its lines. */
function short(why: unknown): string {
  const line = String(why).replace(/\s+/g, " ").replace(/\.$/, "");
  return line.length <= 160 ? line : `${line.slice(0, 100)} … ${line.slice(-50)}`;
}

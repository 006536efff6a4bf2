import { parseOptions } from "../core/options.js";
import { callInThread } from "./isolated-call.js";
import {
  findWork,
  type IsolatedOptions,
  type IsolatedTarget,
  isolatedSchema,
  targetSchema,
} from "./isolated-options.js";

export type { IsolatedOptions, IsolatedTarget };

/** What the work is given besides its input, in the worker. */
export interface IsolatedContext {
  /** Aborts when the caller's signal does. */
  readonly signal: AbortSignal;
}

/** What a module may export to be run by {@link isolated}. */
export type IsolatedWork = (input: never, context: IsolatedContext) => unknown;

/** A node as LangGraph, `resilient()` and any other caller can call it. */
export type IsolatedNode<I, O> = (input: I, config?: { readonly signal?: AbortSignal | undefined }) => Promise<O>;

type InputOf<F extends IsolatedWork> = Parameters<F> extends [] ? unknown : Parameters<F>[0];

/**
 * A node that does risky work in a worker thread of its own: one that may fill the memory, loop for ever, end its
 * process or leave something behind. To be wrapped: `resilient(isolated<typeof parseUpload>({ … }))`.
 *
 * A function cannot be sent to a thread, so the work is named by module and export, and called there as
 * `(input, { signal })`. A `.js` that does not exist stands for the `.ts` of the same name; TypeScript is loaded by tsx,
 * by the tsconfig.json nearest to the module, and by Node itself where there is no tsx and Node can.
 *
 * **Each call has a fresh thread**, which has ended when the call settles, whatever became of it. On abort the work's
 * own `signal` aborts with the caller's reason, the work has `graceMs` to end by itself, and then the thread is ended.
 * Only a synchronous call into native code (`execFileSync`, an addon) cannot be cut short: the call settles after it.
 * A fresh thread costs about 45 ms of processor time and 8 MB before the module itself is loaded, and 250 ms more where
 * tsx has to be (40 calls that return their input, compiled, Node 20 on x64; `process.cpuUsage()` per call, and the
 * growth of the resident set with ten threads alive). Bound how many there are at once with a bulkhead.
 *
 * **Data are copied** (structured clone): plain data, Dates, Maps and buffers arrive, functions are refused, and class
 * instances, LangChain messages among them, arrive as plain objects. Errors come back with name, message, stack, causes
 * and properties, so that they are classified as in process, but as instances of stand-ins for their classes.
 * LangGraph's control flow and config stay outside: interrupt in the node around it. What the work prints goes through,
 * and may come after the result.
 *
 * **The memory limit** is one of V8's heap: `maxMemoryMb` of old generation. V8 does not count buffers in it; they are
 * looked at every 100 ms and may come to `maxMemoryMb` + 64 MB, since V8 lets 64 MB of unused ones pile up. Before Node
 * 22.16 only the worker itself can look, so that a loop which never awaits is not seen. The limit is a guard and no wall:
 * where one single allocation is larger than what is left of it by more than about 16 MB (JSON.parse or split of a huge
 * text, a Map that doubles), V8 ends **the whole process**. Bound the size of the input too, and keep `maxMemoryMb` at
 * several times the largest single value; for hostile input use a process of its own.
 *
 * **No sandbox**: the work reads no environment variable that is not named, but files and network as this process does.
 *
 * @param target module and export
 * @param options `maxMemoryMb` 256, `env` none, `startTimeoutMs` 30 000, `graceMs` 500
 * @returns a node with the name of the export, or of the file for a default export
 * @throws ConfigError at once for wrong options or a module that does not exist; at the first call for a missing export
 * or a missing tsx. A call rejects with what the work threw; with the reason of its signal; with AttemptTimeoutError
 * when the module does not load in time; or with IsolationError, by `code`: ERR_WORKER_OUT_OF_MEMORY and
 * WORKER_NOT_STARTED (category `environment`), WORKER_EXITED, NOT_CLONEABLE and CONTROL_FLOW_IN_WORKER (`bug`)
 */
export function isolated<F extends IsolatedWork = (input: unknown) => unknown>(
  target: IsolatedTarget,
  options?: IsolatedOptions,
): IsolatedNode<InputOf<F>, Awaited<ReturnType<F>>>;
export function isolated<I, O>(target: IsolatedTarget, options?: IsolatedOptions): IsolatedNode<I, O>;
export function isolated(target: IsolatedTarget, options: IsolatedOptions = {}): IsolatedNode<unknown, unknown> {
  const work = findWork(parseOptions("isolated()", targetSchema, target));
  const policy = parseOptions(`isolated(${work.label})`, isolatedSchema, options);
  const node: IsolatedNode<unknown, unknown> = async (input, config) =>
    await callInThread(work, policy, input, config?.signal);
  Object.defineProperty(node, "name", { value: work.label });
  return node;
}

/**
 * What LangGraph does not document is touched here and, where it belongs to one attempt, in attempt-internals.ts, where it
 * is read from a stored checkpoint, in checkpoint-internals.ts; nowhere else. Each assumption has a test of its own in test/unit/langgraph/internals.test.ts, so that an upgrade which breaks
 * one says which.
 */
import { RunnableLambda } from "@langchain/core/runnables";
import { GraphDrained, type LangGraphRunnableConfig, type NodeError } from "@langchain/langgraph";

const SCRATCHPAD = "__pregel_scratchpad";
const READ = "__pregel_read";
const CHECKPOINTER = "__pregel_checkpointer";
const SEND = "__pregel_send";
const RESUMING = "__pregel_resuming";
const NODE_ERROR = "__pregel_node_error";
const HANDLER_NODE = "__recovery_handler__";

interface NodeSpecLike {
  runnable: unknown;
  ends?: string[];
  errorHandlerNode?: string;
  retryPolicy?: unknown;
  timeout?: unknown;
  cachePolicy?: unknown;
  isErrorHandler?: boolean;
}

/** What a StateGraph offers beneath its types. */
export interface BuilderLike {
  readonly nodes: Record<string, NodeSpecLike>;
  readonly channels: Record<string, unknown>;
  /** Pairs of node names. */
  readonly edges?: Iterable<readonly [from: string, to: string]>;
  /** Conditional edges by the node they leave. */
  readonly branches?: Record<string, object>;
  compile(...parameters: readonly unknown[]): unknown;
}

/** Assumption: a builder keeps its node specifications in `nodes` and its channels in `channels`. */
export function builderOf(builder: object): BuilderLike | undefined {
  const candidate = builder as Partial<BuilderLike>;
  return typeof candidate.nodes === "object" && typeof candidate.channels === "object"
    ? (candidate as BuilderLike)
    : undefined;
}

/**
 * Whether what comes after a node is said by the commands it returns, and by no edge. Assumption: a builder keeps edges
 * in `edges` and `branches`, and where commands may lead in the node's `ends`.
 *
 * @param besides an end that was added by us
 */
export function routesByCommand(builder: BuilderLike, node: string, besides: string): boolean {
  const ends = (builder.nodes[node]?.ends ?? []).filter((end) => end !== besides);
  const hasEdge = [...(builder.edges ?? [])].some(([from]) => from === node);
  return ends.length > 0 && !hasEdge && Object.keys(builder.branches?.[node] ?? {}).length === 0;
}

/** Assumption: addNode wraps a function into a runnable that keeps it as `func`. */
export function functionOfNode(spec: NodeSpecLike): unknown {
  return (spec.runnable as { func?: unknown } | undefined)?.func;
}

/** A compiled graph, by its shape: two copies of LangGraph may be loaded. */
export function isCompiledGraph(value: unknown): boolean {
  return typeof value === "object" && value !== null && (value as { lg_is_pregel?: unknown }).lg_is_pregel === true;
}

/**
 * Gives nodes an error handler, as `addNode(…, { errorHandler })` would have done for each, and the edges it may take.
 * The handler node exists only while the graph compiles, as LangGraph's own default handler does, so that Studio draws
 * the way to the human node and not the machinery.
 *
 * Assumption: a handler is a node with `isErrorHandler` that the failed node's spec names as `errorHandlerNode`.
 */
export function attachErrorHandler(
  builder: BuilderLike,
  nodes: readonly string[],
  ends: readonly string[],
  handler: (input: unknown, error: NodeError, config: LangGraphRunnableConfig) => unknown,
): void {
  const func = (input: unknown, config: LangGraphRunnableConfig) => {
    const error = (config.configurable as Record<string, unknown> | undefined)?.[NODE_ERROR];
    return handler(input, error as NodeError, config);
  };
  for (const node of nodes) {
    const spec = builder.nodes[node];
    if (spec === undefined) continue;
    spec.errorHandlerNode = HANDLER_NODE;
    spec.ends = [...new Set([...(spec.ends ?? []), ...ends])];
  }
  beforeCompile(builder, () => {
    builder.nodes[HANDLER_NODE] = { runnable: RunnableLambda.from(func as never), isErrorHandler: true };
    return () => {
      delete builder.nodes[HANDLER_NODE];
    };
  });
}

/** @param prepare called before each `compile`; what it returns is called after it */
export function beforeCompile(builder: BuilderLike, prepare: () => (() => void) | undefined): void {
  const compile = builder.compile;
  builder.compile = function compileWithRecovery(...parameters) {
    const undo = prepare();
    try {
      return compile.apply(builder, [...parameters]);
    } finally {
      undo?.();
    }
  };
}

/** Whether {@link attachErrorHandler} was called for this builder. */
export function hasRecovery(builder: BuilderLike): boolean {
  return Object.values(builder.nodes).some((spec) => spec.errorHandlerNode === HANDLER_NODE);
}

/**
 * Whether the error given to a handler was thrown in this process. One rebuilt from a checkpoint has only its name and
 * message. Assumption: LangGraph marks an error it caught from a task with `pregelTaskId`.
 */
export function wasThrownHere(error: unknown): boolean {
  return typeof error === "object" && error !== null && "pregelTaskId" in error;
}

/** Assumption: inside a task the configurable carries the compiled checkpointer. */
export function checkpointerOf(config: LangGraphRunnableConfig): object | undefined {
  const saver = (config.configurable as Record<string, unknown> | undefined)?.[CHECKPOINTER];
  return typeof saver === "object" && saver !== null ? saver : undefined;
}

/**
 * What a channel holds as the task's superstep sees it; undefined where the graph has no such channel. Assumption: the
 * configurable of a task carries a reader, which passes over what is not there when it is asked for a list.
 */
export function readChannel(config: LangGraphRunnableConfig, channel: string): unknown {
  const read = (config.configurable as Record<string, unknown> | undefined)?.[READ];
  return typeof read === "function" ? (read([channel]) as Record<string, unknown>)[channel] : undefined;
}

/** Whether this config is that of a running task. */
export function isInsideTask(config: LangGraphRunnableConfig): boolean {
  return (config.configurable as Record<string, unknown> | undefined)?.[SCRATCHPAD] !== undefined;
}

/**
 * Whether the task may have run before, in a process that died or stopped. Assumption: the configurable says so in the
 * first superstep of a resumed run, and in no other.
 */
export function mayHaveRunBefore(config: LangGraphRunnableConfig): boolean {
  return (config.configurable as Record<string, unknown> | undefined)?.[RESUMING] === true;
}

const INVALID_RESUME = Symbol.for("langgraph.invalid_resume");

/**
 * What a task throws when the answer it was given does not fit the question's schema: it stops as for a drain, and the
 * question stays open. As a failure it would be handed to the error handler, and the question be lost with the task.
 * Assumption: LangGraph marks the error with a symbol.
 *
 * @returns undefined for any other error
 */
export function answerRefused(error: unknown): Error | undefined {
  const marked = typeof error === "object" && error !== null && INVALID_RESUME in error;
  if (!marked) return undefined;
  return unfitAnswer(error instanceof Error ? error.message : String(error), error);
}

/** The same for an answer that we refuse ourselves. */
export function unfitAnswer(why: string, cause?: unknown): Error {
  return Object.assign(stopped(`The answer does not fit the question, which stays open: ${why}`), {
    code: ANSWER_REFUSED,
    cause,
  });
}

/** Code of the error that {@link answerRefused} makes. */
export const ANSWER_REFUSED = "ANSWER_REFUSED";

/** Where a task stands among those of the run; one task, one namespace. */
export function namespaceOf(config: LangGraphRunnableConfig): string {
  return String(config.configurable?.checkpoint_ns ?? "");
}

/** The nodes of the graphs around this task's own, outermost first. Assumption: a namespace is `node:task|node:task`. */
export function nodesAround(config: LangGraphRunnableConfig): readonly string[] {
  const path = namespaceOf(config).split("|").slice(0, -1);
  return path.map((segment) => segment.split(":")[0] ?? segment);
}

/** Assumption: an error handler's namespace is that of the failed task and one segment of its own. */
export function failedTaskNamespace(handlerConfig: LangGraphRunnableConfig): string {
  const own = namespaceOf(handlerConfig);
  return own.slice(0, Math.max(0, own.lastIndexOf("|")));
}

/**
 * Lets a command to the parent graph through. LangGraph takes the exception that carries it for a failure when the
 * node has an error handler and the task has written nothing, and the command is lost; so the task writes nothing, in
 * so many words. Assumption: a task's configurable sends writes, and `__no_writes__` is a write without a channel.
 */
export function announceParentCommand(config: LangGraphRunnableConfig): void {
  const send = (config.configurable as Record<string, unknown> | undefined)?.[SEND];
  if (typeof send === "function") send([["__no_writes__", null]]);
}

/**
 * What a task throws when its run is being stopped: LangGraph then keeps neither an error nor writes of it, and a
 * resume runs the task again. A plain AbortError would be handed to the error handler and, the run being aborted, lost.
 */
export function stopped(reason: unknown): Error {
  return new GraphDrained(reason instanceof Error ? reason.message : String(reason ?? "aborted"));
}

const drainListeners = new WeakMap<object, Set<() => void>>();

/**
 * Calls `listener` when a drain of the run is requested; LangGraph offers a flag and no event. Assumption: a drain is
 * requested by the method `requestDrain` of the control itself.
 *
 * @returns a function that ends the subscription
 */
export function onDrain(control: { requestDrain(reason?: string): void }, listener: () => void): () => void {
  const known = drainListeners.get(control);
  const listeners = known ?? new Set();
  if (known === undefined) {
    drainListeners.set(control, listeners);
    const request = control.requestDrain;
    control.requestDrain = (reason) => {
      request.call(control, reason);
      for (const one of [...listeners]) one();
    };
  }
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** What a decorated node knows of the run it is part of. */
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { Cancellation } from "../core/abort.js";
import type { Clock } from "../core/clock.js";
import type { EventContext, EventPayloads, EventType } from "../core/events.js";
import { eventsOf, persistenceOf } from "../core/persistence-of.js";
import type { Persistence } from "../core/ports.js";
import { checkpointerOf, isInsideTask, namespaceOf, onDrain, stopped } from "./internals.js";

/** Configurable key: node → category with which each of its attempts is made to fail. */
export const FAULTS_KEY = "__lgr_faults";

/** Configurable key: the alias of the thread, for commands that people can type. */
export const THREAD_NAME_KEY = "thread_name";

export interface RunContext {
  readonly node: string;
  readonly saver: object | undefined;
  readonly persistence: Persistence | undefined;
  readonly threadId: string | undefined;
  /** Where in which graph this is, for what is kept beyond the run; undefined outside of a graph that has a name. */
  readonly place: string | undefined;
  emit<T extends EventType>(type: T, payload: EventPayloads[T], attempt?: number): void;
  /** Category of the fault to inject into this node, if any. */
  readonly injectedFault: string | undefined;
}

export function runContextOf(config: LangGraphRunnableConfig, fallbackName: string): RunContext {
  const configurable = config.configurable as Record<string, unknown> | undefined;
  const inGraph = config.metadata?.langgraph_node;
  const node = inGraph === undefined ? fallbackName : String(inGraph);
  const saver = checkpointerOf(config);
  const threadId = typeof configurable?.thread_id === "string" ? configurable.thread_id : undefined;
  const faults = configurable?.[FAULTS_KEY] as Record<string, string> | undefined;
  return {
    node,
    saver,
    persistence: persistenceOf(saver),
    threadId,
    place: inGraph === undefined ? undefined : placeOf(config, fallbackName),
    injectedFault: faults?.[node],
    emit(type, payload, attempt) {
      if (saver === undefined) return;
      const context: EventContext = {
        node,
        ...(threadId === undefined ? {} : { threadId }),
        ...(typeof configurable?.graph_id === "string" ? { graph: configurable.graph_id } : {}),
        ...(attempt === undefined ? {} : { attempt }),
      };
      eventsOf(saver).emit(type, context, payload);
    },
  };
}

/** Graph, nodes from the root on, and the node's own name: the same in each run. Undefined for a graph without a name. */
function placeOf(config: LangGraphRunnableConfig, label: string): string | undefined {
  const graph = config.configurable?.graph_id;
  return typeof graph === "string"
    ? [graph, namespaceOf(config).replaceAll(/:[^|]*/g, ""), label].join("/")
    : undefined;
}

/** Waits between attempts. Ends at once on abort and on a drain request, by stopping the task so that a resume runs it again. */
export async function waitInRun(ms: number, config: LangGraphRunnableConfig, clock: Clock): Promise<void> {
  const { control, signal } = config;
  throwIfStopped(config);
  const waiting = new Cancellation({ outer: signal });
  const forget = control === undefined ? undefined : onDrain(control, () => waiting.abort("drain"));
  try {
    if (control?.drainRequested !== true) await clock.sleep(ms, waiting.signal);
  } catch (error) {
    throwIfStopped(config);
    if (control?.drainRequested !== true) throw error;
  } finally {
    forget?.();
    waiting.dispose();
  }
  if (control?.drainRequested === true) throw stopped(control.drainReason);
}

/** @throws what LangGraph needs to see of a task whose run was aborted; outside of a graph the abort's own reason */
export function throwIfStopped(config: LangGraphRunnableConfig): void {
  if (!config.signal?.aborted) return;
  throw isInsideTask(config) ? stopped(config.signal.reason) : config.signal.reason;
}

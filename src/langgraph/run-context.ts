/** What a decorated node knows of the run it is part of. */
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import type { Clock } from "../core/clock.js";
import type { EventContext, EventPayloads, EventType } from "../core/events.js";
import { eventsOf } from "../core/persistence-of.js";
import { checkpointerOf, isInsideTask, stopped } from "./internals.js";

/** Configurable key: node → category with which each of its attempts is made to fail. */
export const FAULTS_KEY = "__lgr_faults";

/** How often a wait looks whether the run is to drain; LangGraph offers a flag and no event. */
const DRAIN_POLL_MS = 100;

export interface RunContext {
  readonly node: string;
  emit<T extends EventType>(type: T, payload: EventPayloads[T], attempt?: number): void;
  /** Category of the fault to inject into this node, if any. */
  readonly injectedFault: string | undefined;
}

export function runContextOf(config: LangGraphRunnableConfig, fallbackName: string): RunContext {
  const configurable = (config.configurable ?? {}) as Record<string, unknown>;
  const node = String(config.metadata?.langgraph_node ?? fallbackName);
  const saver = checkpointerOf(config);
  const context: EventContext = {
    node,
    ...(typeof configurable.thread_id === "string" ? { threadId: configurable.thread_id } : {}),
    ...(typeof configurable.graph_id === "string" ? { graph: configurable.graph_id } : {}),
  };
  const faults = configurable[FAULTS_KEY] as Record<string, string> | undefined;
  return {
    node,
    injectedFault: faults?.[node],
    emit(type, payload, attempt) {
      if (saver === undefined) return;
      eventsOf(saver).emit(type, attempt === undefined ? context : { ...context, attempt }, payload);
    },
  };
}

/**
 * Waits between attempts. Ends at once on abort, and soon on a drain request, in both cases by stopping the task so
 * that a resume runs it again.
 */
export async function waitInRun(ms: number, config: LangGraphRunnableConfig, clock: Clock): Promise<void> {
  const until = clock.now() + ms;
  for (;;) {
    throwIfStopped(config);
    if (config.control?.drainRequested) throw stopped(config.control.drainReason);
    const left = until - clock.now();
    if (left <= 0) return;
    const slice = config.control === undefined ? left : Math.min(left, DRAIN_POLL_MS);
    await clock.sleep(slice, config.signal).catch((error: unknown) => {
      throwIfStopped(config);
      throw error;
    });
  }
}

/** @throws what LangGraph needs to see of a task whose run was aborted; outside of a graph the abort's own reason */
export function throwIfStopped(config: LangGraphRunnableConfig): void {
  if (!config.signal?.aborted) return;
  throw isInsideTask(config) ? stopped(config.signal.reason) : config.signal.reason;
}

import type { Command, LangGraphRunnableConfig } from "@langchain/langgraph";
import {
  type HumanInterventionOptions,
  type HumanTask,
  humanIntervention,
  rethrowControlFlow,
} from "langgraph-resilience";

export interface AnnouncedIntervention extends HumanInterventionOptions {
  /** Called each time the question is put, so also when a thread with an open question is resumed. */
  readonly announce: (task: HumanTask) => void | Promise<void>;
}

/**
 * A human node that tells somebody before it asks: how to adapt the human rung. Hand it to
 * `installRecovery(builder, { node: announcedIntervention({ announce }) })`.
 *
 * What fails in `announce` is reported as a process warning; it never keeps the question from being asked.
 */
export function announcedIntervention({ announce, ...options }: AnnouncedIntervention) {
  const ask = humanIntervention(options);
  return async function announcedIntervention(task: HumanTask, config: LangGraphRunnableConfig): Promise<Command> {
    try {
      await announce(task);
    } catch (error) {
      rethrowControlFlow(error);
      process.emitWarning(
        `Announcing the failure of "${task.failure.node}" failed: ${String(error)}`,
        "InterventionWarning",
      );
    }
    return await ask(task, config);
  };
}

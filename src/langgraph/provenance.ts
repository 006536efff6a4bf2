import { Command, type LangGraphRunnableConfig } from "@langchain/langgraph";
import type { Degradation } from "../core/records.js";
import { ConfigError } from "../errors/own-errors.js";
import { isInsideTask, readChannel } from "./internals.js";

/** The state channel that says which steps were answered by something simpler. */
export const DEGRADATIONS = "degradations";

/**
 * What something simpler answered before this superstep, oldest first; outside of a graph what the input says of it.
 *
 * @throws ConfigError in a graph that does not note it
 */
export function degradationsIn(input: unknown, config: LangGraphRunnableConfig): readonly Degradation[] {
  const noted = readChannel(config, DEGRADATIONS);
  if (noted === undefined && isInsideTask(config))
    throw new ConfigError(
      `The graph does not note who answered in place of what: its state has no "${DEGRADATIONS}"; installRecovery declares it`,
    );
  const found = noted ?? (input as { [DEGRADATIONS]?: unknown } | null)?.[DEGRADATIONS];
  return Array.isArray(found) ? found : [];
}

/** Whether a node returned a command, alone or in a list. */
export function holdsCommand(result: unknown): boolean {
  return Array.isArray(result) ? result.some((one) => one instanceof Command) : result instanceof Command;
}

/** Whether a node returned a command to the parent graph, alone or in a list. */
export function commandsParent(result: unknown): boolean {
  const isToParent = (one: unknown) => one instanceof Command && one.graph === Command.PARENT;
  return Array.isArray(result) ? result.some(isToParent) : isToParent(result);
}

/** The node's result with the degradations added to its state update, whatever form the result has. */
export function withProvenance(result: unknown, degradations: readonly Degradation[]): unknown {
  if (degradations.length === 0) return result;
  const note = { [DEGRADATIONS]: degradations };
  if (result === null || result === undefined) return note;
  if (result instanceof Command) return result.graph === Command.PARENT ? result : annotated(result, degradations);
  if (Array.isArray(result)) return [...result, note];
  if (typeof result !== "object") return result;
  return { ...result, [DEGRADATIONS]: [...earlier(result), ...degradations] };
}

function annotated(command: Command, degradations: readonly Degradation[]): Command {
  const { update, goto, resume, graph } = command;
  const merged = Array.isArray(update)
    ? [...update, [DEGRADATIONS, degradations] as [string, unknown]]
    : { ...update, [DEGRADATIONS]: [...earlier(update ?? {}), ...degradations] };
  return new Command({
    update: merged as Record<string, unknown>,
    goto: goto as never,
    ...(resume === undefined ? {} : { resume }),
    ...(graph === undefined ? {} : { graph }),
  });
}

function earlier(update: object): readonly unknown[] {
  const found = (update as Record<string, unknown>)[DEGRADATIONS];
  return Array.isArray(found) ? found : [];
}

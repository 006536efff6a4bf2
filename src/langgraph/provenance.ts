import { Command } from "@langchain/langgraph";
import type { Degradation } from "../core/records.js";

/** The state channel that says which steps were answered by something simpler. */
export const DEGRADATIONS = "degradations";

/** The node's result with the degradation added to its state update, whatever form the result has. */
export function withProvenance(result: unknown, degradation: Degradation): unknown {
  const note = { [DEGRADATIONS]: [degradation] };
  if (result === null || result === undefined) return note;
  if (result instanceof Command) return result.graph === Command.PARENT ? result : annotated(result, degradation);
  if (Array.isArray(result)) return [...result, note];
  if (typeof result !== "object") return result;
  return { ...result, [DEGRADATIONS]: [...earlier(result), degradation] };
}

function annotated(command: Command, degradation: Degradation): Command {
  const { update, goto, resume, graph } = command;
  const merged = Array.isArray(update)
    ? [...update, [DEGRADATIONS, [degradation]] as [string, unknown]]
    : { ...update, [DEGRADATIONS]: [...earlier(update ?? {}), degradation] };
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

/** The smallest project that has it all: three steps, a fallback, a person, an interrupt of its own, and a step that waits. */
import { existsSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { END, interrupt, type LangGraphRunnableConfig, START, StateGraph } from "@langchain/langgraph";
import { InvalidInputError, installRecovery, keepCheckpointer, openPersistence, resilient } from "langgraph-resilience";
import { z } from "zod";

const State = z.object({
  text: z.string(),
  /** Whether "sign" asks who signs. */
  ask: z.boolean().optional(),
  /** "sign" waits until this file exists. */
  waitFor: z.string().optional(),
  doubled: z.string().optional(),
  signed: z.string().optional(),
  filed: z.string().optional(),
});
type S = z.infer<typeof State>;

async function double(state: S) {
  if (state.text === "") throw new InvalidInputError("There is no text to double: text is empty");
  return { doubled: state.text + state.text };
}

async function sign(state: S, config: LangGraphRunnableConfig) {
  while (state.waitFor !== undefined && !existsSync(state.waitFor)) {
    await wait(20, undefined, config.signal === undefined ? {} : { signal: config.signal });
  }
  const by = state.ask === true ? String(interrupt({ question: "Who signs?" })) : "nobody";
  return { signed: `${state.doubled} by ${by}` };
}

async function file(state: S) {
  return { filed: `${state.signed}, filed` };
}

const retry = { initialDelayMs: 1 };

export const builder = new StateGraph(State)
  .addNode("double", resilient(double, { retry }))
  .addNode("sign", resilient(sign, { retry, fallback: [{ name: "unsigned", run: () => ({ signed: "unsigned" }) }] }))
  .addNode("file", resilient(file, { retry }))
  .addEdge(START, "double")
  .addEdge("double", "sign")
  .addEdge("sign", "file")
  .addEdge("file", END);
installRecovery(builder);

export const graph = builder.compile({ checkpointer: openPersistence(process.env.DATABASE_URL).checkpointer });
keepCheckpointer(graph);

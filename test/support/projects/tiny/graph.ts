/** The smallest project that has it all: three steps, a fallback, a person, and an interrupt of its own. */
import { END, interrupt, START, StateGraph } from "@langchain/langgraph";
import { installRecovery, keepCheckpointer, openPersistence, resilient } from "langgraph-resilience";
import { z } from "zod";

const State = z.object({
  text: z.string(),
  ask: z.boolean().optional(),
  doubled: z.string().optional(),
  signed: z.string().optional(),
});
type S = z.infer<typeof State>;

async function double(state: S) {
  return { doubled: state.text + state.text };
}

async function sign(state: S) {
  const by = state.ask === true ? String(interrupt({ question: "Who signs?" })) : "nobody";
  return { signed: `${state.doubled} by ${by}` };
}

export const builder = new StateGraph(State)
  .addNode("double", resilient(double, { retry: { initialDelayMs: 1 } }))
  .addNode(
    "sign",
    resilient(sign, {
      retry: { initialDelayMs: 1 },
      fallback: [{ name: "unsigned", run: () => ({ signed: "unsigned" }) }],
    }),
  )
  .addEdge(START, "double")
  .addEdge("double", "sign")
  .addEdge("sign", END);
installRecovery(builder);

export const graph = builder.compile({ checkpointer: openPersistence(process.env.DATABASE_URL).checkpointer });
keepCheckpointer(graph);

/** The smallest shop: two effects that can be undone and one that cannot, each a line in a file that is the world. */
import { appendFileSync } from "node:fs";
import { END, START, StateGraph } from "@langchain/langgraph";
import { defineEffect, installRecovery, keepCheckpointer, openPersistence, resilient } from "langgraph-resilience";
import { z } from "zod";

const State = z.object({
  world: z.string(),
  /** Whether a letter is sent at the end, which nothing undoes. */
  write: z.boolean().optional(),
  done: z.string().optional(),
});
type S = z.infer<typeof State>;

const Where = z.object({ world: z.string() });
const does = (name: string) => ({
  name,
  input: Where,
  output: Where,
  run: ({ world }: z.infer<typeof Where>) => {
    appendFileSync(world, `${name}\n`);
    return { world };
  },
});
const undoes = (name: string) => ({
  kind: "reversible" as const,
  compensate: ({ world }: z.infer<typeof Where>) => appendFileSync(world, `undo ${name}\n`),
});

const order = defineEffect({ ...does("order"), ...undoes("order") });
const charge = defineEffect({ ...does("charge"), ...undoes("charge") });
const letter = defineEffect({ ...does("letter"), kind: "irreversible" });

export const builder = new StateGraph(State)
  .addNode(
    "order",
    resilient(async ({ world }: S, config) => {
      await order({ world }, config);
      return {};
    }),
  )
  .addNode(
    "charge",
    resilient(async ({ world, write }: S, config) => {
      await charge({ world }, config);
      if (write === true) await letter({ world }, config);
      return { done: "charged" };
    }),
  )
  .addEdge(START, "order")
  .addEdge("order", "charge")
  .addEdge("charge", END);
installRecovery(builder);

export const graph = builder.compile({ checkpointer: openPersistence(process.env.DATABASE_URL).checkpointer });
keepCheckpointer(graph);

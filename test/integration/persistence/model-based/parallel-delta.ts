/** Three nodes that write one delta channel in the same superstep. */
import { DeltaValue, END, START, StateGraph, StateSchema } from "@langchain/langgraph";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import { z } from "zod";

const State = new StateSchema({
  log: new DeltaValue(
    z.array(z.string()).default(() => []),
    { inputSchema: z.string(), reducer: (current, writes) => [...current, ...writes] },
  ),
});
const builder = new StateGraph(State)
  .addNode("a", () => ({ log: "a" }))
  .addNode("b", () => ({ log: "b" }))
  .addNode("c", () => ({ log: "c" }))
  .addNode("last", () => ({ log: "last" }))
  .addEdge(START, "a")
  .addEdge(START, "b")
  .addEdge(START, "c")
  .addEdge(["a", "b", "c"], "last")
  .addEdge("last", END);

/**
 * Runs that many threads, all at once.
 * @param reader another saver on the same database, which has seen nothing of them
 * @returns of how many the state that is read differs from what the run returned
 */
export async function threadsThatDiffer(
  threads: number,
  writer: BaseCheckpointSaver,
  reader: BaseCheckpointSaver,
): Promise<number> {
  const [live, stored] = [builder.compile({ checkpointer: writer }), builder.compile({ checkpointer: reader })];
  const differs = await Promise.all(
    Array.from({ length: threads }, async (_, n) => {
      const config = { configurable: { thread_id: `three at once, ${n}` } };
      const { log } = await live.invoke({ log: "input" }, config);
      const read = await stored.getState(config);
      return JSON.stringify(read.values.log) !== JSON.stringify(log);
    }),
  );
  return differs.filter(Boolean).length;
}

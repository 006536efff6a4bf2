/** A thread whose steps leave a trace outside: each appends its name to a file when it runs. */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { installRecovery, resilient } from "langgraph-resilience";

const State = Annotation.Root({
  journal: Annotation<string>,
  sum: Annotation<number>({ reducer: (before, added) => before + added, default: () => 0 }),
  steps: Annotation<string[]>({ reducer: (before, added) => before.concat(added), default: () => [] }),
});

function step(name: string, value: number, failures = 0) {
  let failed = 0;
  return resilient(
    async (state: typeof State.State) => {
      appendFileSync(state.journal, `${name}\n`);
      if (failed < failures) {
        failed += 1;
        throw Object.assign(new Error("503 Service Unavailable"), { status: 503 });
      }
      return { sum: value, steps: [name] };
    },
    { name, retry: { initialDelayMs: 1 } },
  );
}

export const builder = new StateGraph(State)
  .addNode("one", step("one", 1))
  .addNode("left", step("left", 10))
  .addNode("right", step("right", 100, 1))
  .addNode("join", step("join", 1000))
  .addEdge(START, "one")
  .addEdge("one", "left")
  .addEdge("one", "right")
  .addEdge(["left", "right"], "join")
  .addEdge("join", END);
installRecovery(builder);

/** What an undisturbed run ends with; the steps sorted, since the branches write in either order. */
export const FINAL = { sum: 1111, steps: ["join", "left", "one", "right"] };

export function timesRun(journal: string): Record<string, number> {
  const times: Record<string, number> = {};
  const lines = existsSync(journal) ? readFileSync(journal, "utf8").split("\n").filter(Boolean) : [];
  for (const name of lines) times[name] = (times[name] ?? 0) + 1;
  return times;
}

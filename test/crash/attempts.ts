/** Nodes that fail and nodes that take their process with them, and a journal of every attempt that began. */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { Annotation, type LangGraphRunnableConfig, START, StateGraph } from "@langchain/langgraph";
import { attempt, installRecovery, resilient } from "langgraph-resilience";

const State = Annotation.Root({ value: Annotation<number> });
type Update = Partial<typeof State.State>;

const quick = { initialDelayMs: 1, jitter: "none" } as const;

export interface Plan {
  readonly journal: string;
  /** Told of each attempt as it begins, as "node 3": whether its process dies of it. */
  readonly dies?: (begun: string) => boolean;
}

/** Every attempt, of the node and of its fallbacks, fails with 503. */
function failing({ journal, dies }: Plan) {
  return async (_: unknown, config: LangGraphRunnableConfig): Promise<Update> => {
    const { step, number } = attempt(config);
    const begun = `${step} ${number}`;
    appendFileSync(journal, `${begun}\n`);
    if (dies?.(begun)) process.kill(process.pid, "SIGKILL");
    throw Object.assign(new Error("503 Service Unavailable"), { status: 503 });
  };
}

const decorated = {
  succeeds: (_: Plan) => resilient(async (): Promise<Update> => ({ value: 2 }), { name: "succeeds", retry: quick }),
  /** Four attempts. */
  alone: (plan: Plan) => resilient(failing(plan), { name: "fails", retry: quick }),
  /** Two attempts, and three of a fallback. */
  withFallback: (plan: Plan) =>
    resilient(failing(plan), {
      name: "fails",
      retry: { ...quick, maxAttempts: 2 },
      fallback: [{ name: "other", run: failing(plan), retry: { ...quick, maxAttempts: 3 } }],
    }),
} as const;

export type GraphName = keyof typeof decorated;

export function builderOf(name: GraphName, plan: Plan) {
  const builder = new StateGraph(State)
    .addNode("first", async () => ({ value: 1 }))
    .addNode("fails", decorated[name](plan))
    .addEdge(START, "first")
    .addEdge("first", "fails");
  return installRecovery(builder);
}

/** The attempts that were begun, over all processes, in order. */
export function begunIn(journal: string): string[] {
  return existsSync(journal) ? readFileSync(journal, "utf8").split("\n").filter(Boolean) : [];
}

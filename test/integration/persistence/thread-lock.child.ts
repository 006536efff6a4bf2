/**
 * A process that is told by lines of input to "run" or "resume" a thread, as `run <thread> <options of the lock>`, and
 * in the second of its three steps waits for the line "go". Prints each step, and what each run came to as JSON. Ends
 * with its input. Argument: database.
 */
import { EventEmitter, once } from "node:events";
import { createInterface } from "node:readline";
import { Annotation, START, StateGraph } from "@langchain/langgraph";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { openPersistence } from "../../../src/persistence/open.js";

const persistence = openPersistence(process.argv[2]);
await persistence.ready();

const told = new EventEmitter();
const State = Annotation.Root({
  log: Annotation<string[]>({ reducer: (before, added) => before.concat(added), default: () => [] }),
});
const step = (name: string, work?: () => Promise<unknown>) => async () => {
  console.log(name);
  await work?.();
  return { log: [`${name} ${process.pid}`] };
};
const graph = new StateGraph(State)
  .addNode("first", step("first"))
  .addNode(
    "waits",
    step("waits", () => once(told, "go")),
  )
  .addNode("last", step("last"))
  .addEdge(START, "first")
  .addEdge("first", "waits")
  .addEdge("waits", "last")
  .compile({ checkpointer: persistence.checkpointer });

async function begin(action: string, threadId: string, lock: object): Promise<void> {
  try {
    const { status, error } = await (action === "run"
      ? runThread(graph, {}, { threadId, lock })
      : resumeThread(graph, threadId, undefined, { lock }));
    const { code } = (error ?? {}) as { readonly code?: unknown };
    console.log(JSON.stringify({ status, code }));
  } catch (error) {
    const { code, message } = error as { readonly code?: unknown; readonly message?: unknown };
    console.log(JSON.stringify({ thrown: code, message }));
  }
}

console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  const [action = "", threadId = "", lock = "{}"] = line.split(" ");
  if (action === "go") told.emit("go");
  else void begin(action, threadId, JSON.parse(lock) as object);
}
await persistence.close();

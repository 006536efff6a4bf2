/**
 * An order that is taken back: its thread is rolled back to before the first of four effects, and then goes on to its end
 * anew. And the process that does so, or goes on with it.
 */
import assert from "node:assert/strict";
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { Annotation, END, type LangGraphRunnableConfig, START, StateGraph } from "@langchain/langgraph";
import {
  installRecovery,
  listEffects,
  openPersistence,
  type RunResult,
  resilient,
  resumeThread,
  rollback,
  runThread,
} from "langgraph-resilience";
import { orderLog, type UndoableOptions, undoable } from "./payment-effects.js";

/**
 * How an undoing that died is made good: the server honours keys; or it does not, and `undone` asks it first; or, a bug
 * on purpose, neither. `refused`: as `keys`, but one of the undoings is refused for good until the server is mended.
 */
export type UndoneBy = "keys" | "asking" | "nothing" | "refused";

/** What is taken back, in the order of doing. Before it, "quote" is done, and stays. */
export const TAKEN_BACK = ["create", "charge", "reserve", "letter"] as const;

const State = Annotation.Root({
  order: Annotation<string>,
  /** Effect → ID that the server gave it. */
  receipts: Annotation<Record<string, string>>({ reducer: (before, added) => ({ ...before, ...added }) }),
  steps: Annotation<string[]>({ reducer: (before, added) => before.concat(added), default: () => [] }),
});
type Order = typeof State.State;

/** Where an order lives, and where its process writes what came of it. */
export interface RollbackPlace {
  readonly database: string;
  /** Of the thread; the order is called so too. */
  readonly thread: string;
  readonly server: string;
  readonly undoneBy: UndoneBy;
  /** `.end` is written at the end, `.met` gets a line for each process, `.refused` for each rollback that was incomplete. */
  readonly journal: string;
}

/** How the process that takes over finds the thread. */
export type Met = "not begun" | "in the middle" | "rolled back";

/** What `.end` holds. */
export interface RollbackEnd {
  readonly receipts: Record<string, string>;
  readonly steps: readonly string[];
  /** In the order of intent: effect and state. */
  readonly ledger: readonly (readonly [effect: string, state: string])[];
  /** Checkpoints and ledger entries from before the rollback that are gone. */
  readonly gone: readonly string[];
}

/** One line of `.refused`. */
export interface Incomplete {
  readonly failed: readonly string[];
  /** What stood in the world then. */
  readonly standing: readonly string[];
}

/** @param loses the effect whose answer gets lost */
function opened({ database, server, undoneBy, journal }: RollbackPlace, loses?: string) {
  const effectOf = (name: string) => {
    const options: UndoableOptions = {
      asksFirst: undoneBy === "asking",
      losesAnswer: name === loses,
      refusesUndoing: () => undoneBy === "refused" && name === "charge" && !existsSync(`${journal}.mended`),
    };
    return undoable(server, name, options);
  };
  const step = (node: string, ...names: readonly string[]) => {
    const effects = names.map((name) => ({ name, effect: effectOf(name) }));
    const work = async ({ order }: Order, config: LangGraphRunnableConfig) => {
      const receipts: Record<string, string> = {};
      for (const { name, effect } of effects) receipts[name] = (await effect({ order }, config)).id;
      return { receipts, steps: [node] };
    };
    return resilient(work, loses === undefined ? { name: node } : { name: node, retry: false });
  };
  const builder = new StateGraph(State)
    .addNode("quote", step("quote", "quote"))
    .addNode("open", step("open", "create"))
    .addNode("pay", step("pay", "charge", "reserve"))
    .addNode("send", step("send", "letter"))
    .addEdge(START, "quote")
    .addEdge("quote", "open")
    .addEdge("open", "pay")
    .addEdge("pay", "send")
    .addEdge("send", END);
  installRecovery(builder);
  const persistence = openPersistence(database);
  const graph = builder.compile({ checkpointer: persistence.checkpointer, name: "orders" });
  return { persistence, graph };
}

/** Runs the order to its end, so that the process under test finds it there. `loses`: up to where that answer got lost. */
export async function fulfilled(place: RollbackPlace, loses?: string): Promise<void> {
  const { persistence, graph } = opened(place, loses);
  await persistence.ready();
  const { status, error } = await runThread(graph, { order: place.thread }, { threadId: place.thread });
  assert.equal(status === "succeeded", loses === undefined, `It ended ${status}: ${error?.message}`);
  await persistence.close();
}

type Graph = ReturnType<typeof opened>["graph"];

/**
 * Runs the order if it has not run yet, takes it back once, and runs it to its end again.
 *
 * @param onRolledBack is called before it is run again
 */
export async function takeBack(place: RollbackPlace, onRolledBack: () => void = () => {}): Promise<void> {
  const { thread, server, journal } = place;
  const { persistence, graph } = opened(place);
  await persistence.ready();
  const met = await meet(graph, place);
  appendFileSync(`${journal}.met`, `${met}\n`);
  if (met === "not begun") writeFileSync(`${journal}.before`, JSON.stringify(await historyOf(graph, thread)));
  if (met !== "rolled back") {
    const first = await rollback(graph, thread, met === "not begun" ? { to: { before: "open" } } : {});
    if (first.outcome === "incomplete") {
      const { standing } = await orderLog(server, thread);
      const line: Incomplete = { failed: first.failed.map(({ effect }) => effect), standing };
      appendFileSync(`${journal}.refused`, `${JSON.stringify(line)}\n`);
      assert.equal(await run(graph, thread), "refused");
      if (place.undoneBy !== "refused") throw new Error(`An undoing failed: ${first.failed[0]?.why}`);
      writeFileSync(`${journal}.mended`, "");
      assert.equal((await rollback(graph, thread)).outcome, "done");
    }
  }
  onRolledBack();
  const result = await run(graph, thread);
  if (result === "refused" || result.status !== "succeeded")
    throw new Error(`It ended ${result === "refused" ? result : result.status}`, { cause: result });
  const { receipts, steps } = result.values as Order;
  const ledger = (await listEffects(graph, thread)).map(({ effect, state }) => [effect, state] as const);
  const after = await historyOf(graph, thread);
  await persistence.close();
  const before = JSON.parse(readFileSync(`${journal}.before`, "utf8")) as readonly string[];
  const gone = before.filter((one) => !after.includes(one));
  writeFileSync(`${journal}.end`, JSON.stringify({ receipts, steps, ledger, gone } satisfies RollbackEnd));
}

/** Tries to go on with the thread, as who does not know of a rollback would. */
async function meet(graph: Graph, { thread, server }: RollbackPlace): Promise<Met> {
  const { lines } = await orderLog(server, thread);
  const undone = lines.filter((line) => line.startsWith("undo ")).length;
  const found = await run(graph, thread);
  if (found === "refused") {
    assert.equal(await resumed(graph, thread), "refused");
    return "in the middle";
  }
  assert.ok(undone === 0 || undone === TAKEN_BACK.length, `It went on from the middle of a rollback: ${lines}`);
  return undone === 0 ? "not begun" : "rolled back";
}

function run(graph: Graph, thread: string): Promise<RunResult | "refused"> {
  return runThread(graph, { order: thread }, { threadId: thread }).catch(refused);
}

function resumed(graph: Graph, thread: string): Promise<RunResult | "refused"> {
  return resumeThread(graph, thread).catch(refused);
}

function refused(error: { code?: unknown }): "refused" {
  if (error.code === "THREAD_NOT_RESUMABLE") return "refused";
  throw error;
}

async function historyOf(graph: Graph, thread: string): Promise<readonly string[]> {
  const effects = await listEffects(graph, thread);
  const threadId = effects[0]?.threadId;
  const history: string[] = effects.map(({ key, epoch }) => `effect ${key} ${epoch}`);
  for await (const { config } of graph.getStateHistory({ configurable: { thread_id: threadId } }))
    history.push(`checkpoint ${config.configurable?.checkpoint_id}`);
  return history;
}

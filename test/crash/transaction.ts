/**
 * A trip of three bookings that belong together, the third of which cannot be had at first: the others are undone, a
 * person has it mended, and all three are booked. And the process that does so, or goes on with it.
 */
import { appendFileSync, existsSync, writeFileSync } from "node:fs";
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import {
  installRecovery,
  openPersistence,
  resilient,
  resumeThread,
  runThread,
  transaction,
} from "langgraph-resilience";
import { orderLog, undoable } from "./payment-effects.js";

const State = Annotation.Root({
  order: Annotation<string>,
  /** Effect → ID that the server gave it. */
  receipts: Annotation<Record<string, string>>({ reducer: (before, added) => ({ ...before, ...added }) }),
});
type Trip = typeof State.State;

/** Where a trip lives, and where its process writes what came of it. */
export interface TripPlace {
  readonly database: string;
  /** Of the thread; the trip is called so too. */
  readonly thread: string;
  readonly server: string;
  /** `.end` is written at the end, `.failed` gets a line each time a person is asked. */
  readonly journal: string;
}

/** What `.end` holds. */
export interface TripEnd {
  readonly receipts: Record<string, string>;
}

/** One line of `.failed`. */
export interface TripFailed {
  /** Why a person was asked. */
  readonly code: string | undefined;
  /** What stood in the world then. */
  readonly standing: readonly string[];
}

/**
 * Books it, or goes on with that; mends what a person is asked about, and has it tried again.
 *
 * @param onFailed is called before that
 */
export async function travel(
  { database, thread, server, journal }: TripPlace,
  onFailed: () => void = () => {},
): Promise<void> {
  const persistence = openPersistence(database);
  await persistence.ready();
  const graph = builderOf(server, `${journal}.mended`).compile({
    checkpointer: persistence.checkpointer,
    name: "trips",
  });
  let result = await runThread(graph, { order: thread }, { threadId: thread });
  if (result.status === "waiting_human") {
    onFailed();
    const [question] = result.waitingFor;
    const { standing } = await orderLog(server, thread);
    const line: TripFailed = { code: question?.request?.failure.code, standing };
    appendFileSync(`${journal}.failed`, `${JSON.stringify(line)}\n`);
    writeFileSync(`${journal}.mended`, "");
    result = await resumeThread(graph, thread, { action: "retry", by: "a person" });
  }
  if (result.status !== "succeeded") throw new Error(`It ended ${result.status}`, { cause: result.error });
  const { receipts } = result.values as Trip;
  await persistence.close();
  writeFileSync(`${journal}.end`, JSON.stringify({ receipts } satisfies TripEnd));
}

function builderOf(server: string, mended: string) {
  const insurance = undoable(server, "insurance");
  const bookings = {
    flight: undoable(server, "flight"),
    hotel: undoable(server, "hotel"),
    car: undoable(server, "car", { refusesDoing: () => !existsSync(mended) }),
  };
  const book = resilient(
    async ({ order }: Trip, config) => {
      // Of the same node, and not of the group.
      const receipts: Record<string, string> = { insurance: (await insurance({ order }, config)).id };
      const work = async (within: typeof config) => {
        for (const [name, effect] of Object.entries(bookings)) receipts[name] = (await effect({ order }, within)).id;
      };
      await transaction("trip", work, config);
      return { receipts };
    },
    { name: "book" },
  );
  const builder = new StateGraph(State).addNode("book", book).addEdge(START, "book").addEdge("book", END);
  installRecovery(builder);
  return builder;
}

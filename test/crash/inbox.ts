/**
 * A payment that fails, is asked about, and that nobody answers: the question goes to the next level, and in the end its
 * default action is done. And the process that sweeps until then, or goes on with that.
 */
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import {
  type Channel,
  type Clock,
  inspectThread,
  installRecovery,
  openPersistence,
  resilient,
  resumeThread,
  runThread,
  sweepInbox,
  systemClock,
} from "langgraph-resilience";
import { undoable } from "./payment-effects.js";

const State = Annotation.Root({ order: Annotation<string>, receipt: Annotation<string> });

export interface InboxPlace {
  readonly database: string;
  /** Of the thread, the order, and the schema: a sweep sees all that wait in it. */
  readonly thread: string;
  readonly server: string;
  /** `.end` is written at the end, `.told` gets a line for each message, `.starts` one for each process. */
  readonly journal: string;
}

/** What `.end` holds. */
export interface InboxEnd {
  readonly items: readonly { readonly state: string; readonly level: number }[];
  /** What the audit log says of them, oldest first. */
  readonly audited: readonly string[];
  readonly receipt: string;
}

/** One line of `.told`. */
export interface Told {
  readonly id: string;
  readonly event: string;
  readonly to: readonly string[];
}

const minute = 60_000;

/** Each process is ten minutes later than the one before: what that one held is over. */
function laterClock(journal: string): { at(aheadMs: number): Clock } {
  appendFileSync(`${journal}.starts`, "1\n");
  const starts = readFileSync(`${journal}.starts`, "utf8").trim().split("\n").length;
  return { at: (aheadMs) => ({ ...systemClock, now: () => systemClock.now() + (starts - 1) * 10 * minute + aheadMs }) };
}

export async function sweepToTheEnd({ database, thread, server, journal }: InboxPlace): Promise<void> {
  const clock = laterClock(journal);
  const persistence = openPersistence(database, { schema: thread });
  await persistence.ready();
  const graph = builderOf(server, `${journal}.mended`).compile({
    checkpointer: persistence.checkpointer,
    name: "payments",
  });
  const { threadId } = await runThread(graph, { order: thread }, { threadId: thread });
  writeFileSync(`${journal}.mended`, "");
  const file: Channel = {
    name: "file",
    async send({ id, event, to }) {
      appendFileSync(`${journal}.told`, `${JSON.stringify({ id, event, to } satisfies Told)}\n`);
    },
  };
  for (const ahead of [0, 2, 4, 6, 8]) {
    const options = { graphs: { payments: graph }, channels: [file], clock: clock.at(ahead * minute) };
    await sweepInbox(persistence, options);
  }
  if ((await inspectThread(graph, thread)).status !== "succeeded") await resumeThread(graph, thread);
  const items = (await persistence.inbox?.list({ threadId, state: "all" })) ?? [];
  const log = (await persistence.audit?.list({ threadId, what: "inbox" })) ?? [];
  const { values } = await inspectThread(graph, thread);
  await persistence.close();
  const end: InboxEnd = {
    items: items.map(({ state, level }) => ({ state, level })),
    audited: log.map(({ what }) => what).toReversed(),
    receipt: String(values.receipt),
  };
  writeFileSync(`${journal}.end`, JSON.stringify(end));
}

function builderOf(server: string, mended: string) {
  const charge = undoable(server, "charge", { refusesDoing: () => !existsSync(mended) });
  const pay = resilient(
    async ({ order }: typeof State.State, config) => ({ receipt: (await charge({ order }, config)).id }),
    { name: "pay" },
  );
  const builder = new StateGraph(State).addNode("pay", pay).addEdge(START, "pay").addEdge("pay", END);
  installRecovery(builder, {
    levels: [
      { to: "ada", deadlineMs: minute },
      { to: "bob", deadlineMs: minute },
    ],
    onExpiry: { action: "retry" },
  });
  return builder;
}

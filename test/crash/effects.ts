/**
 * An order whose steps change the world outside: six steps, four of them with an effect on a payment server. And the
 * process that runs one, or goes on with it, to its end.
 */
import assert from "node:assert/strict";
import { appendFileSync, writeFileSync } from "node:fs";
import { Annotation, END, type LangGraphRunnableConfig, START, StateGraph } from "@langchain/langgraph";
import {
  defineEffect,
  type GraphLike,
  installRecovery,
  listEffects,
  openPersistence,
  type PendingInterrupt,
  resilient,
  resumeThread,
  runThread,
  settleEffect,
} from "langgraph-resilience";
import { z } from "zod";
import type { PaymentEntry } from "../support/payment-log.js";

/**
 * What a doubt is cleared by: a server that honours keys, a probe, a person; or, a bug on purpose, nothing: the steps
 * call the server without `defineEffect`.
 */
export type ClearedBy = "keys" | "probe" | "person" | "nothing";

export const EFFECTS = ["order", "charge", "reserve", "letter"] as const;
export const STEPS = ["charge", "letter", "order", "pack", "quote", "reserve"];

const State = Annotation.Root({
  name: Annotation<string>,
  cents: Annotation<number>,
  /** Effect → ID that the server gave it. */
  receipts: Annotation<Record<string, string>>({ reducer: (before, added) => ({ ...before, ...added }) }),
  steps: Annotation<string[]>({ reducer: (before, added) => before.concat(added), default: () => [] }),
});
type Order = typeof State.State;

const Input = z.object({ order: z.string(), cents: z.number() });
const Receipt = z.object({ id: z.string() });
type Input = z.infer<typeof Input>;
type Receipt = z.infer<typeof Receipt>;
type Do = (input: Input, config: LangGraphRunnableConfig) => Promise<Receipt>;

function builderOf(server: string, clearedBy: ClearedBy) {
  const step = (name: string, work: (state: Order, config: LangGraphRunnableConfig) => Promise<Partial<Order>>) =>
    resilient(async (state: Order, config) => ({ ...(await work(state, config)), steps: [name] }), { name });
  const effectStep = (name: string) => {
    const done = effectOf(server, clearedBy, name);
    return step(name, async ({ name: order, cents }, config) => ({
      receipts: { [name]: (await done({ order, cents }, config)).id },
    }));
  };
  const builder = new StateGraph(State)
    .addNode(
      "quote",
      step("quote", async ({ name }) => ({ cents: 100 * name.length })),
    )
    .addNode("order", effectStep("order"))
    .addNode("charge", effectStep("charge"))
    .addNode("reserve", effectStep("reserve"))
    .addNode(
      "pack",
      step("pack", async () => ({})),
    )
    .addNode("letter", effectStep("letter"))
    .addEdge(START, "quote")
    .addEdge("quote", "order")
    .addEdge("order", "charge")
    .addEdge("order", "reserve")
    .addEdge(["charge", "reserve"], "pack")
    .addEdge("pack", "letter")
    .addEdge("letter", END);
  installRecovery(builder);
  return builder;
}

function effectOf(server: string, clearedBy: ClearedBy, name: string): Do {
  const post = (input: Input, headers: Record<string, string>, signal: AbortSignal | undefined) =>
    answerOf(`${server}/effects/${name}`, { method: "POST", body: JSON.stringify({ input }), headers, signal });
  if (clearedBy === "nothing") return (input, { signal }) => post(input, {}, signal);
  return defineEffect({
    name,
    kind: clearedBy === "keys" ? "idempotent" : "irreversible",
    input: Input,
    output: Receipt,
    run: (input, { idempotencyKey, signal }) => post(input, { "Idempotency-Key": idempotencyKey }, signal),
    ...(clearedBy === "probe" ? { probe: (_, { idempotencyKey }) => probed(server, idempotencyKey) } : {}),
  });
}

async function answerOf(url: string, init: Omit<RequestInit, "signal"> & { signal: AbortSignal | undefined }) {
  const { signal, ...rest } = init;
  const response = await fetch(url, signal === undefined ? rest : { ...rest, signal });
  if (!response.ok) throw Object.assign(new Error(await response.text()), { status: response.status });
  return Receipt.parse(await response.json());
}

async function probed(server: string, key: string) {
  const response = await fetch(`${server}/effects/by-key/${encodeURIComponent(key)}`);
  if (response.status === 404) return { happened: false as const };
  return { happened: true as const, receipt: Receipt.parse(await response.json()) };
}

/** Where an order lives, and where its process writes what came of it. */
export interface OrderPlace {
  readonly database: string;
  /** Of the thread; the order is called so too. */
  readonly thread: string;
  readonly server: string;
  readonly clearedBy: ClearedBy;
  readonly durability: "sync" | "async";
  /** `.end` is written at the end, `.doubts` gets a line for each doubt that a person was asked about. */
  readonly journal: string;
}

/** What `.end` holds. */
export interface OrderEnd {
  readonly receipts: Record<string, string>;
  readonly steps: readonly string[];
  /** In the order of intent: effect and state. */
  readonly ledger: readonly (readonly [effect: string, state: string])[];
}

/** One line of `.doubts`. */
export interface Doubt {
  readonly effect: string;
  /** Why a person was asked. */
  readonly code: string | undefined;
  readonly summary: string;
  /** How often the server had done it by then. */
  readonly times: number;
}

/** Runs the order, or goes on with it; where a person is asked, it is one who looks into the server's log. */
export async function fulfil({ database, thread, server, clearedBy, durability, journal }: OrderPlace): Promise<void> {
  const persistence = openPersistence(database);
  await persistence.ready();
  const graph = builderOf(server, clearedBy).compile({ checkpointer: persistence.checkpointer, name: "orders" });
  let result = await runThread(graph, { name: thread }, { threadId: thread, durability });
  // No more questions than effects, and each once: a person is not asked the same again.
  for (let asked = 0; result.status === "waiting_human" && asked < EFFECTS.length; asked += 1) {
    const [question] = result.waitingFor;
    assert.ok(question);
    await settled(graph, { thread, server, journal }, question);
    const decision = { action: "retry", by: "a person" } as const;
    result = await resumeThread(graph, thread, decision, { answerTo: question.id, durability });
  }
  if (result.status !== "succeeded") throw new Error(`It ended ${result.status}`, { cause: result.error });
  const { receipts, steps } = result.values as Order;
  const ledger = (await listEffects(graph, thread)).map(({ effect, state }) => [effect, state] as const);
  await persistence.close();
  writeFileSync(`${journal}.end`, JSON.stringify({ receipts, steps: [...steps].sort(), ledger } satisfies OrderEnd));
}

/** Says of the effect in doubt what the server's log says of it. It may have been said, and the process have died since. */
async function settled(
  graph: GraphLike,
  { thread, server, journal }: Pick<OrderPlace, "thread" | "server" | "journal">,
  { request }: PendingInterrupt,
): Promise<void> {
  const node = request?.node ?? "not a request";
  const log = (await (await fetch(`${server}/log`)).json()) as readonly PaymentEntry[];
  const done = log.filter(({ name, input }) => name === node && (input as Input).order === thread);
  const doubt = { effect: node, code: request?.failure.code, summary: request?.summary ?? "", times: done.length };
  appendFileSync(`${journal}.doubts`, `${JSON.stringify(doubt satisfies Doubt)}\n`);
  const entry = (await listEffects(graph, thread)).find(({ effect }) => effect === node);
  if (entry?.state !== "unknown") return;
  const [first] = done;
  const outcome = first === undefined ? { happened: false as const } : { happened: true as const, receipt: first };
  await settleEffect(graph, thread, entry.key, { ...outcome, by: "a person", reason: "looked it up" });
}

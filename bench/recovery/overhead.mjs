/** What the ledger costs: the same call from the same node, bare and as an effect, taking turns. */
import { randomUUID } from "node:crypto";
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { defineEffect, openPersistence, resilient, runThread } from "langgraph-resilience";
import { z } from "zod";
import { DATABASES, median, startPayments } from "./world.mjs";

const STEPS = 20;
const ROUNDS = 15;

const Receipt = z.object({ id: z.string() });
const State = Annotation.Root({ cents: /** @type {typeof Annotation<number>} */ (Annotation)() });

/**
 * @typedef {object} Overhead
 * @property {string} title of the database
 * @property {number} bareMs of one call, the median over rounds
 * @property {number} effectMs
 * @property {number} ratio of the calls, round by round
 * @property {number} stepRatio of the whole steps, their checkpoints included
 * @property {number} bareStepMs
 * @property {number} effectStepMs
 */

/**
 * @param {import("./world.mjs").World} world
 * @returns {Promise<Overhead[]>}
 */
export async function measureOverhead(world) {
  const payments = await startPayments(world, true);
  try {
    const found = [];
    for (const database of DATABASES) {
      world.progress(`overhead: ${database.title}`);
      const { url, drop } = await database.url(world);
      try {
        found.push({ title: database.title, ...(await onDatabase(url, payments.url, world.signal)) });
      } finally {
        await drop();
      }
    }
    return found;
  } finally {
    await payments.close();
  }
}

/** @param {string} url @param {string} server @param {AbortSignal} signal */
async function onDatabase(url, server, signal) {
  const persistence = openPersistence(url);
  try {
    await persistence.ready();
    /** @param {string} key @param {unknown} input */
    const post = async (key, input) => {
      const headers = { "Idempotency-Key": key };
      const response = await fetch(`${server}/effects/charge`, {
        method: "POST",
        body: JSON.stringify({ input }),
        headers,
      });
      if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
      return Receipt.parse(await response.json());
    };
    const charge = defineEffect({
      name: "charge",
      kind: "idempotent",
      input: z.object({ cents: z.number() }),
      output: Receipt,
      run: (input, { idempotencyKey }) => post(idempotencyKey, input),
    });
    const contenders = {
      bare: chainOf((input) => post(randomUUID(), input)),
      effect: chainOf(charge),
    };
    /** @type {{ bare: { call: number, step: number }, effect: { call: number, step: number } }[]} */
    const rounds = [];
    for (let round = 0; round <= ROUNDS; round += 1) {
      signal.throwIfAborted();
      const run = async (/** @type {keyof typeof contenders} */ name) => {
        const { builder, callMs } = contenders[name];
        const graph = builder.compile({ checkpointer: persistence.checkpointer, name });
        callMs.length = 0;
        const began = performance.now();
        const { status, error } = await runThread(graph, { cents: 1 }, { threadId: randomUUID(), recursionLimit: 99 });
        if (status !== "succeeded") throw new Error(`It ended ${status}`, { cause: error });
        return { call: median(callMs), step: (performance.now() - began) / STEPS };
      };
      const isEven = round % 2 === 0;
      const first = await run(isEven ? "bare" : "effect");
      const second = await run(isEven ? "effect" : "bare");
      // The first round warms up.
      if (round > 0) rounds.push(isEven ? { bare: first, effect: second } : { bare: second, effect: first });
    }
    return {
      bareMs: median(rounds.map(({ bare }) => bare.call)),
      effectMs: median(rounds.map(({ effect }) => effect.call)),
      ratio: median(rounds.map(({ bare, effect }) => effect.call / bare.call)),
      bareStepMs: median(rounds.map(({ bare }) => bare.step)),
      effectStepMs: median(rounds.map(({ effect }) => effect.step)),
      stepRatio: median(rounds.map(({ bare, effect }) => effect.step / bare.step)),
    };
  } finally {
    await persistence.close();
  }
}

/** @param {(input: { cents: number }, config: any) => Promise<unknown>} act */
function chainOf(act) {
  /** @type {number[]} */
  const callMs = [];
  /** @type {any} */
  const builder = new StateGraph(State);
  const names = Array.from({ length: STEPS }, (_, index) => `step ${index + 1}`);
  for (const [index, name] of names.entries()) {
    const work = async (/** @type {{ cents: number }} */ { cents }, /** @type {unknown} */ config) => {
      const began = performance.now();
      await act({ cents }, config);
      callMs.push(performance.now() - began);
      return { cents: cents + 1 };
    };
    builder.addNode(name, resilient(work, { name })).addEdge(index === 0 ? START : names[index - 1], name);
  }
  builder.addEdge(names.at(-1), END);
  return { builder, callMs };
}

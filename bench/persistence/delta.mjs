/** A thread whose state lies in the writes of all its steps, as a delta channel leaves it between two snapshots. */
import assert from "node:assert/strict";
import { DeltaValue, END, START, StateGraph, StateSchema } from "@langchain/langgraph";
import { z } from "zod";
import { randomText } from "./random-text.mjs";

/** @typedef {import("./storage.mjs").Storage} Storage */
/** @typedef {import("./storage.mjs").Place} Place */
/** @typedef {import("./sizes.mjs").Size} Size */

const config = { configurable: { thread_id: "delta" } };
const ITEM_BYTES = 1024;

const State = new StateSchema({
  items: new DeltaValue(
    z.array(z.string()).default(() => []),
    { reducer: (/** @type {string[]} */ all, /** @type {string[][]} */ more) => [...all, ...more.flat()] },
  ),
});

/** @param {import("./contenders.mjs").Saver | undefined} checkpointer */
function graphWith(checkpointer, steps = 0) {
  return new StateGraph(State)
    .addNode("step", (/** @type {any} */ { items }) => ({ items: [itemOf(items.length)] }))
    .addEdge(START, "step")
    .addConditionalEdges("step", (/** @type {any} */ { items }) => (items.length < steps ? "step" : END))
    .compile(checkpointer === undefined ? {} : { checkpointer });
}

const itemOf = (/** @type {number} */ at) => randomText(`item ${at}`, ITEM_BYTES);

/**
 * @param {Storage} storage
 * @param {Size} size
 */
export async function writeDeltas(storage, { deltaSteps }) {
  const place = await storage.place("delta");
  const graph = graphWith(await place.open(), deltaSteps);
  await graph.invoke({ items: [] }, { ...config, recursionLimit: deltaSteps + 5 });
  await place.settle();
  return place;
}

/**
 * @param {Storage} _
 * @param {Size} size
 * @param {number} __
 * @param {Place} place
 */
export async function readDeltas(_, { deltaSteps, reads }, __, place) {
  const times = [];
  let statements = 0;
  for (let read = 0; read < reads; read += 1) {
    const graph = graphWith(await place.open());
    const sentBefore = place.statements();
    const began = performance.now();
    const { values } = await graph.getState(config);
    times.push(performance.now() - began);
    statements = place.statements() - sentBefore;
    assert.deepEqual(
      values.items,
      Array.from({ length: deltaSteps }, (_item, at) => itemOf(at)),
    );
  }
  return { ms: times.toSorted((a, b) => a - b)[Math.floor(reads / 2)] ?? Number.NaN, statements };
}

/** Threads that rewrite a text at each step, and count: many at once, or one alone. */
import assert from "node:assert/strict";
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { randomText } from "./random-text.mjs";

/** @typedef {import("./storage.mjs").Storage} Storage */
/** @typedef {import("./sizes.mjs").Size} Size */
/** @typedef {import("./contenders.mjs").Saver} Saver */

/** Whose state is read back and compared; all would take longer than the round. */
const READ_BACK = 5;

/** @type {Map<string, readonly string[]>} by thread: made before the clock runs, the same for every contender */
const texts = new Map();

const State = Annotation.Root({ text: Annotation(), count: Annotation() });

/** @param {Saver | undefined} checkpointer */
function graphWith(checkpointer) {
  return new StateGraph(State)
    .addNode("step", (/** @type {{ count: number }} */ { count }, config) => ({
      text: textsOf(config.configurable?.thread_id)[count],
      count: count + 1,
    }))
    .addEdge(START, "step")
    .addConditionalEdges("step", (/** @type {any} */ { count }, config) =>
      count < textsOf(config.configurable?.thread_id).length ? "step" : END,
    )
    .compile(checkpointer === undefined ? {} : { checkpointer });
}

const textsOf = (/** @type {unknown} */ threadId) => texts.get(String(threadId)) ?? [];
const configOf = (/** @type {string} */ threadId, steps = 0) => ({
  configurable: { thread_id: threadId },
  recursionLimit: steps + 5,
});

/**
 * @param {readonly string[]} threadIds
 * @param {number} steps
 * @param {number} bytes
 */
function write(threadIds, steps, bytes) {
  texts.clear();
  for (const id of threadIds) {
    texts.set(
      id,
      Array.from({ length: steps }, (_, at) => randomText(`${id} ${at}`, bytes)),
    );
  }
}

/** @typedef {(work: () => Promise<unknown>) => Promise<unknown>} Observer does the work, and looks at it */

/**
 * @param {Storage} storage
 * @param {string} name
 * @param {{ threadIds: readonly string[], steps: number, bytes: number, observe?: Observer }} work
 * @param {(run: (threadId: string) => Promise<unknown>) => Promise<unknown>} runAll
 * @returns {Promise<number>} milliseconds
 */
async function timed(storage, name, { threadIds, steps, bytes, observe = (work) => work() }, runAll) {
  write(threadIds, steps, bytes);
  const place = await storage.place(name);
  const graph = graphWith(await place.open());
  await place.settle();
  globalThis.gc?.();
  const began = performance.now();
  await observe(() =>
    runAll(async (id) => {
      const { count } = await graph.invoke({ text: "", count: 0 }, configOf(id, steps));
      assert.equal(count, steps);
    }),
  );
  const ms = performance.now() - began;
  const saver = await place.open();
  if (saver !== undefined) {
    const reader = graphWith(saver);
    for (const id of threadIds.slice(0, READ_BACK)) {
      const { values } = await reader.getState(configOf(id));
      assert.deepEqual(values, { text: textsOf(id).at(-1), count: steps });
    }
  }
  await place.drop();
  return ms;
}

/**
 * @param {Storage} storage
 * @param {Size} size
 * @param {number} round
 * @param {Observer} [observe]
 */
export async function manyThreads(storage, { threads, steps, textBytes: bytes }, round, observe) {
  const threadIds = Array.from({ length: threads }, (_, at) => `many-${round}-${at}`);
  const work = { threadIds, steps, bytes, ...(observe === undefined ? {} : { observe }) };
  const ms = await timed(storage, `many_${round}`, work, (run) => Promise.all(threadIds.map(run)));
  return { stepsPerSecond: (threads * steps * 1000) / ms };
}

/**
 * @param {Storage} storage
 * @param {Size} size
 * @param {number} round
 */
export async function oneThread(storage, { aloneThreads, aloneSteps: steps, textBytes: bytes }, round) {
  const threadIds = Array.from({ length: aloneThreads }, (_, at) => `alone-${round}-${at}`);
  const ms = await timed(storage, `alone_${round}`, { threadIds, steps, bytes }, async (run) => {
    for (const id of threadIds) await run(id);
  });
  return { msPerStep: ms / (aloneThreads * steps) };
}

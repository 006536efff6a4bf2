/** A chat of many turns, one `invoke` a turn: its time, what it leaves behind, what each turn costs, how it is read. */
import assert from "node:assert/strict";
import { AIMessage, HumanMessage } from "@langchain/core/messages";
import { END, MessagesAnnotation, MessagesDeltaValue, START, StateGraph, StateSchema } from "@langchain/langgraph";
import { randomText } from "./random-text.mjs";

/** @typedef {import("./storage.mjs").Storage} Storage */
/** @typedef {import("./storage.mjs").Place} Place */
/** @typedef {import("./sizes.mjs").Size} Size */
/** @typedef {import("./contenders.mjs").Saver} Saver */
/** @typedef {import("./contenders.mjs").Contender} Contender */
/** @typedef {import("@langchain/core/messages").BaseMessage} BaseMessage */

const config = { configurable: { thread_id: "chat" } };

/** @type {Record<Channel, any>} their types have nothing in common, what is done with them all */
const STATES = { plain: MessagesAnnotation, delta: new StateSchema({ messages: MessagesDeltaValue }) };

/** @typedef {"plain" | "delta"} Channel */

/**
 * @typedef {object} Chat
 * @property {(turns: number) => Promise<void>} goOn up to this turn
 * @property {(saver: Saver | undefined) => Promise<void>} check that all of it can be read back
 */

/** @param {Saver | undefined} checkpointer */
function graphOn(checkpointer, /** @type {Channel} */ channel, /** @type {readonly string[]} */ answers = []) {
  return new StateGraph(STATES[channel])
    .addNode("model", (/** @type {any} */ { messages }) => ({
      messages: [new AIMessage(answers[(messages.length - 1) / 2] ?? "")],
    }))
    .addEdge(START, "model")
    .addEdge("model", END)
    .compile(checkpointer === undefined ? {} : { checkpointer });
}

/**
 * @param {Saver | undefined} saver
 * @param {Channel} channel
 * @param {{ turns: number, textBytes: number }} content
 * @returns {Chat}
 */
function startChat(saver, channel, { turns, textBytes }) {
  const spoken = (/** @type {string} */ who) =>
    Array.from({ length: turns }, (_, turn) => randomText(`${who} ${turn}`, textBytes / 2));
  const [questions, answers] = [spoken("human"), spoken("model")];
  const graph = graphOn(saver, channel, answers);
  /** @type {BaseMessage[]} */
  let messages = [];
  let turn = 0;
  return {
    async goOn(until) {
      for (; turn < until; turn += 1) {
        const question = new HumanMessage(questions[turn] ?? "");
        // Without a saver the conversation is the caller's to keep.
        const input = saver === undefined ? [...messages, question] : [question];
        ({ messages } = /** @type {any} */ (await graph.invoke(/** @type {any} */ ({ messages: input }), config)));
      }
    },
    async check(reader) {
      const read =
        reader === undefined
          ? messages
          : /** @type {any} */ (await graphOn(reader, channel).getState(config)).values.messages;
      assert.deepEqual(
        read.map((/** @type {BaseMessage} */ { text }) => text),
        questions.slice(0, turn).flatMap((question, at) => [question, answers[at]]),
      );
    },
  };
}

/**
 * The whole chat against the clock, then weighed.
 *
 * @param {Channel} channel
 */
export const wholeChat =
  (channel) =>
  /**
   * @param {Storage} storage
   * @param {Size} size
   * @param {number} round
   * @param {unknown} _
   * @param {Contender} contender
   */
  async (storage, { turns: all, warmUpTurns, textBytes }, round, _, { database }) => {
    const turns = round === 0 ? warmUpTurns : all;
    const place = await storage.place(`chat_${round}`);
    const chat = startChat(await place.open(), channel, { turns, textBytes });
    const before = await weigh(place);
    await place.settle();
    const walBefore = await place.walBytes();
    globalThis.gc?.();
    const began = performance.now();
    await chat.goOn(turns);
    const seconds = (performance.now() - began) / 1000;
    const wal = (await place.walBytes()) - walBefore;
    await chat.check(await place.open());
    if (database !== "postgres" && database !== "pglite") return { seconds };
    const after = await weigh(place);
    await place.drop();
    const content = turns * textBytes;
    return {
      seconds,
      payload: (after.payload - before.payload) / content,
      disk: (after.disk - before.disk) / content,
      wal: wal / content,
    };
  };

async function weigh(/** @type {Place} */ place) {
  return { payload: await place.payloadBytes(), disk: await place.diskBytes() };
}

/**
 * What a turn costs early and late: averages over the turns that end at each of the marks.
 *
 * @param {Channel} channel
 */
export const turnByTurn =
  (channel) =>
  /**
   * @param {Storage} storage
   * @param {Size} size
   * @param {number} round
   * @param {unknown} _
   * @param {Contender} contender
   */
  async (storage, { windowEnds, turns, textBytes, windowTurns, deltaWindowTurns }, round, _, { bounded }) => {
    const ends = windowEnds.filter((end) => bounded === true || end <= turns);
    const place = await storage.place(`growth_${round}`);
    const chat = startChat(await place.open(), channel, { turns: ends.at(-1) ?? 0, textBytes });
    /** @type {Record<string, number>} */
    const found = {};
    for (const end of ends) {
      const wanted = channel === "delta" ? deltaWindowTurns : windowTurns;
      const window = Math.min(wanted, Math.floor(end / 2));
      await chat.goOn(end - window);
      const before = await costs(place);
      const began = performance.now();
      await chat.goOn(end);
      const ms = performance.now() - began;
      const after = await costs(place);
      found[`payload${end}`] = (after.payload - before.payload) / window;
      found[`wal${end}`] = (after.wal - before.wal) / window;
      found[`statements${end}`] = (after.statements - before.statements) / window;
      found[`ms${end}`] = ms / window;
    }
    await chat.check(await place.open());
    await place.drop();
    const [first, last] = [ends.at(0), ends.at(-1)];
    for (const what of ["payload", "statements"]) {
      found[`${what}Growth`] = (found[`${what}${last}`] ?? Number.NaN) / (found[`${what}${first}`] ?? Number.NaN);
    }
    return found;
  };

async function costs(/** @type {Place} */ place) {
  return { payload: await place.payloadBytes(), wal: await place.walBytes(), statements: place.statements() };
}

/**
 * A chat that has been held, to be read in rounds.
 *
 * @param {Storage} storage
 * @param {Size} size
 */
export async function holdChat(storage, { turns, textBytes }) {
  const place = await storage.place("history");
  const chat = startChat(await place.open(), "plain", { turns, textBytes });
  await chat.goOn(turns);
  await chat.check(await place.open());
  await place.settle();
  return place;
}

/**
 * @param {Storage} _
 * @param {Size} size
 * @param {number} __
 * @param {Place} place
 */
export async function readHistory(_, { page, reads, turns }, __, place) {
  const times = [];
  let statements = 0;
  for (let read = 0; read < reads; read += 1) {
    const graph = graphOn(await place.open(), "plain");
    const sentBefore = place.statements();
    const began = performance.now();
    const snapshots = [];
    for await (const snapshot of graph.getStateHistory(config, { limit: page })) snapshots.push(snapshot);
    times.push(performance.now() - began);
    statements = place.statements() - sentBefore;
    assert.equal(snapshots.length, page);
    assert.equal(/** @type {any} */ (snapshots[0])?.values.messages.length, 2 * turns);
  }
  return { ms: times.toSorted((a, b) => a - b)[Math.floor(reads / 2)] ?? Number.NaN, statements };
}

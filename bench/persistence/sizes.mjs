/** How much of everything: the figures that the goals are about, and small ones to try whether it runs. */

/**
 * @typedef {object} Size
 * @property {number} textBytes of the state's text, and of a turn's content
 * @property {number} threads at once
 * @property {number} steps of each of them
 * @property {number} aloneSteps of a thread that runs alone
 * @property {number} aloneThreads one after another, a round
 * @property {number} turns of a chat
 * @property {number} warmUpTurns
 * @property {readonly number[]} windowEnds turns at which a chat is looked at closely; who is not bounded stops at `turns`
 * @property {number} windowTurns that each look covers
 * @property {number} deltaWindowTurns the same for a delta channel: as many as there are from snapshot to snapshot
 * @property {number} page checkpoints of history read at once
 * @property {number} deltaSteps of a thread with a delta channel
 * @property {number} reads a round
 */

/** LangGraph writes a snapshot of a delta channel every 100 updates, which are 50 turns. */
const SNAPSHOT_TURNS = 50;

/** @type {Size} */
export const FULL = {
  textBytes: 2048,
  threads: 200,
  steps: 10,
  aloneSteps: 50,
  aloneThreads: 4,
  turns: 200,
  warmUpTurns: 20,
  windowEnds: [10, 100, 200, 1000],
  windowTurns: 5,
  deltaWindowTurns: SNAPSHOT_TURNS,
  page: 20,
  deltaSteps: 90,
  reads: 7,
};

/** @type {Size} */
export const QUICK = {
  ...FULL,
  threads: 20,
  aloneSteps: 20,
  aloneThreads: 1,
  turns: 20,
  warmUpTurns: 3,
  windowEnds: [10, 20, 60],
  page: 10,
  deltaSteps: 30,
  reads: 3,
};

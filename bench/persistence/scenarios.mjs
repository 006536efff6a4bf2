/** What is measured, and what is to be reached. */
import { holdChat, readHistory, turnByTurn, wholeChat } from "./chat.mjs";
import { readDeltas, writeDeltas } from "./delta.mjs";
import { integrityShare } from "./integrity.mjs";
import { manyThreads, oneThread } from "./threads.mjs";

/** @typedef {import("./contenders.mjs").Contender} Contender */
/** @typedef {import("./sizes.mjs").Size} Size */
/** @typedef {import("./storage.mjs").Storage} Storage */

/**
 * @typedef {object} Metric
 * @property {string} key
 * @property {string} title with its unit
 * @property {boolean} [whole] shown without decimals
 */

/**
 * @typedef {object} Goal
 * @property {string} title
 * @property {string} metric
 * @property {string} contender
 * @property {string} [per] the figure is the ratio to this contender's, round by round
 * @property {number} [atLeast]
 * @property {number} [atMost]
 */

/** @typedef {Record<string, number | string>} Sample figures by key; a `note` is text */

/**
 * @typedef {object} Scenario
 * @property {string} name
 * @property {(size: Size) => string} title
 * @property {number} rounds
 * @property {boolean} warmUp whether a round 0 comes first, whose figures are thrown away
 * @property {(contender: Contender) => boolean} takes
 * @property {(size: Size) => readonly Metric[]} metrics
 * @property {readonly Goal[]} goals
 * @property {(storage: Storage, size: Size) => Promise<any>} [prepare] once, before all rounds
 * @property {(storage: Storage, size: Size, round: number, prepared: any, contender: Contender) => Promise<Sample>} round
 */

const anyone = () => true;
const withSaver = (/** @type {Contender} */ { database }) => database !== "none";
const onDatabase = (/** @type {Contender} */ { open }) => open !== undefined;

/** The same goals on PostgreSQL and on PGlite, each against its own peer. */
const onBoth = (/** @type {(suffix: string, place: string) => readonly Goal[]} */ goals) => [
  ...goals("", ""),
  ...goals("-pglite", " on PGlite"),
];

const chatMetrics = () => [
  { key: "seconds", title: "s" },
  { key: "payload", title: "payload / content" },
  { key: "disk", title: "on disk / content" },
  { key: "wal", title: "WAL / content" },
];
const chatGoals = onBoth((suffix, place) => [
  {
    title: `time, ours${place} / MemorySaver`,
    metric: "seconds",
    contender: `ours${suffix}`,
    per: "memory",
    atMost: 1.3,
  },
  {
    title: `bytes of payload a byte of content, ours${place}`,
    metric: "payload",
    contender: `ours${suffix}`,
    atMost: 3,
  },
  { title: `bytes on disk a byte of content, ours${place}`, metric: "disk", contender: `ours${suffix}`, atMost: 3 },
]);

/** How much more the last look may show than the first for "constant": IDs and counters get a digit longer. */
const CONSTANT = 1.1;
const growthMetrics = (/** @type {Size} */ { windowEnds }) => [
  ...windowEnds.map((end) => ({ key: `payload${end}`, title: `payload bytes, turn ${end}`, whole: true })),
  ...windowEnds.map((end) => ({ key: `wal${end}`, title: `WAL bytes, turn ${end}`, whole: true })),
  ...windowEnds.map((end) => ({ key: `statements${end}`, title: `statements, turn ${end}` })),
  ...windowEnds.map((end) => ({ key: `ms${end}`, title: `ms, turn ${end}` })),
  { key: "payloadGrowth", title: "payload, last / first" },
  { key: "statementsGrowth", title: "statements, last / first" },
];
const growthGoals = onBoth((suffix, place) =>
  ["payload", "statements"].map((what) => ({
    title: `${what === "payload" ? "bytes of payload" : what} a turn, ours${place}, last turns / first turns`,
    metric: `${what}Growth`,
    contender: `ours${suffix}`,
    atMost: CONSTANT,
  })),
);

const readMetrics = () => [
  { key: "ms", title: "ms" },
  { key: "statements", title: "statements", whole: true },
];

/** @type {readonly Scenario[]} */
export const SCENARIOS = [
  {
    name: "many",
    title: ({ threads, steps, textBytes }) =>
      `${threads} threads at once × ${steps} steps, ${textBytes} bytes of state rewritten at each`,
    rounds: 7,
    warmUp: true,
    takes: anyone,
    metrics: () => [{ key: "stepsPerSecond", title: "steps/s", whole: true }],
    goals: onBoth((suffix, place) => [
      {
        title: `steps/s, ours${place} / PostgresSaver${place}`,
        metric: "stepsPerSecond",
        contender: `ours${suffix}`,
        per: `stock${suffix}`,
        atLeast: 2.5,
      },
      {
        title: `steps/s, ours${place} / MemorySaver`,
        metric: "stepsPerSecond",
        contender: `ours${suffix}`,
        per: "memory",
        atLeast: 0.9,
      },
    ]),
    round: manyThreads,
  },
  {
    name: "alone",
    title: ({ aloneSteps, textBytes }) => `one thread alone × ${aloneSteps} steps, ${textBytes} bytes of state`,
    rounds: 7,
    warmUp: true,
    takes: anyone,
    metrics: () => [{ key: "msPerStep", title: "ms/step" }],
    goals: onBoth((suffix, place) => [
      {
        title: `ms/step, ours${place} / MemorySaver`,
        metric: "msPerStep",
        contender: `ours${suffix}`,
        per: "memory",
        atMost: 2,
      },
    ]),
    round: oneThread,
  },
  {
    name: "chat",
    title: ({ turns, textBytes }) => `a chat of ${turns} turns of ${textBytes} bytes, MessagesAnnotation`,
    rounds: 3,
    warmUp: true,
    takes: anyone,
    metrics: chatMetrics,
    goals: chatGoals,
    round: wholeChat("plain"),
  },
  {
    name: "delta-chat",
    title: ({ turns, textBytes }) => `a chat of ${turns} turns of ${textBytes} bytes, MessagesDeltaValue`,
    rounds: 3,
    warmUp: true,
    takes: anyone,
    metrics: chatMetrics,
    goals: chatGoals,
    round: wholeChat("delta"),
  },
  {
    name: "growth",
    title: ({ windowTurns }) =>
      `a turn early and late, MessagesAnnotation (averages of ${windowTurns} turns up to each)`,
    rounds: 1,
    warmUp: false,
    takes: onDatabase,
    metrics: growthMetrics,
    goals: growthGoals,
    round: turnByTurn("plain"),
  },
  {
    name: "delta-growth",
    title: ({ deltaWindowTurns }) =>
      `a turn early and late, MessagesDeltaValue (averages of up to ${deltaWindowTurns} turns, one snapshot in each after the first)`,
    rounds: 1,
    warmUp: false,
    takes: onDatabase,
    metrics: growthMetrics,
    goals: growthGoals,
    round: turnByTurn("delta"),
  },
  {
    name: "history",
    title: ({ page, turns }) => `getStateHistory({ limit: ${page} }) at turn ${turns}, by a new saver`,
    rounds: 7,
    warmUp: true,
    takes: withSaver,
    metrics: readMetrics,
    goals: onBoth((suffix, place) => [
      { title: `ms, ours${place} / MemorySaver`, metric: "ms", contender: `ours${suffix}`, per: "memory", atMost: 1 },
    ]),
    prepare: holdChat,
    round: readHistory,
  },
  {
    name: "delta-state",
    title: ({ deltaSteps }) => `getState on a thread of ${deltaSteps} steps of a delta channel, by a new saver`,
    rounds: 7,
    warmUp: true,
    takes: withSaver,
    metrics: readMetrics,
    goals: onBoth((suffix, place) => [
      { title: `statements, ours${place}`, metric: "statements", contender: `ours${suffix}`, atMost: 3 },
    ]),
    prepare: writeDeltas,
    round: readDeltas,
  },
  {
    name: "integrity",
    title: ({ threads, steps }) =>
      `CPU time spent on hashes and checksums, ${threads} threads × ${steps} steps, profiled`,
    rounds: 5,
    warmUp: true,
    takes: ({ ours, database }) => ours === true && database === "postgres",
    metrics: () => [
      { key: "integrityShare", title: "% of CPU on integrity" },
      { key: "saverShare", title: "% in the saver at all" },
      { key: "stepsPerSecond", title: "steps/s meanwhile", whole: true },
    ],
    goals: [{ title: "% of CPU on integrity, ours", metric: "integrityShare", contender: "ours", atMost: 5 }],
    round: integrityShare,
  },
];

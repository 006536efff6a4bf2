/** What is read from results, by tables and picture alike. */
import { VERDICTS } from "./referee.mjs";
import { FALLBACK, PRIMARY } from "./scenarios.mjs";

/** @typedef {import("./referee.mjs").Result} Result */
/** @typedef {import("./referee.mjs").Mode} Mode */

/**
 * @typedef {object} Run
 * @property {{ node: string, cpu: string, versions: readonly string[], limitMs: number, atOnce: number }} settings
 * @property {readonly import("./scenarios.mjs").Scenario[]} scenarios
 * @property {readonly import("./contenders.mjs").Contender[]} contenders
 * @property {readonly Result[]} results
 * @property {readonly import("./outage.mjs").OutageResult[]} outages
 * @property {number} seconds
 * @property {number} strays
 */

export const MODES = /** @type {const} */ (["stream", "whole"]);

export const seconds = (/** @type {number} */ ms) => `${(ms / 1000).toFixed(ms < 9950 ? 1 : 0)} s`;

/**
 * @param {readonly Result[]} results
 * @param {string} scenario
 * @param {string} contender
 * @param {Mode} mode
 */
export function find(results, scenario, contender, mode) {
  return results.find((one) => one.scenario === scenario && one.contender === contender && one.mode === mode);
}

/** Rank of a result, 0 the best. */
export const rank = (/** @type {Result} */ { verdict, good }) => (good ? 0 : VERDICTS.indexOf(verdict));

export const remarks = (/** @type {Result} */ { conduct, accounts }) =>
  [conduct, accounts].filter((one) => one !== undefined).join("; ");

/**
 * Whether it is the stand-in's answer where another contender got that of the model which was wanted.
 *
 * @param {readonly Result[]} results
 * @param {Result} result
 */
export function isStandIn(results, { scenario, mode, good, answeredBy }) {
  const got = (/** @type {Result} */ one) =>
    one.scenario === scenario && one.mode === mode && one.good && one.answeredBy === PRIMARY;
  return good && answeredBy === FALLBACK && results.some(got);
}

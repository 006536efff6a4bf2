/** Where one of ours is not the best of a row, and by what. */

import { find, MODES, rank, remarks, seconds } from "./results.mjs";
import { FALLBACK, PRIMARY } from "./scenarios.mjs";

/** @typedef {import("./results.mjs").Run} Run */
/** @typedef {import("./results.mjs").Result} Result */
/** @typedef {import("./outage.mjs").OutageResult} OutageResult */

/** How much sooner is sooner. */
export const SOONER_MS = 500;

/**
 * @template Of
 * @typedef {object} Respect in which one may be better than another
 * @property {string} what
 * @property {(one: Of, own: Of) => boolean} isBetter
 * @property {(one: Of) => string} figure
 */

/** @type {readonly Respect<Result>[]} */
const RESPECTS = [
  { what: "a better end", isBetter: (one, own) => rank(one) < rank(own), figure: ({ verdict }) => verdict },
  .../** @type {Respect<Result>[]} */ ([
    {
      what: "the primary's answer, not the stand-in's",
      isBetter: (one, own) => one.answeredBy === PRIMARY && own.answeredBy === FALLBACK,
      figure: ({ answeredBy, ms }) => `${answeredBy} after ${seconds(ms)}`,
    },
    { what: "sooner", isBetter: (one, own) => one.ms + SOONER_MS < own.ms, figure: ({ ms }) => seconds(ms) },
    {
      what: "fewer requests to the sick",
      isBetter: (one, own) => one.sick < own.sick,
      figure: ({ sick }) => String(sick),
    },
    {
      what: "cleaner",
      isBetter: (one, own) => remarks(one) === "" && remarks(own) !== "",
      figure: (one) => remarks(one) || "clean",
    },
  ]).map((respect) => ({
    ...respect,
    isBetter: (/** @type {Result} */ one, /** @type {Result} */ own) =>
      rank(one) === rank(own) && respect.isBetter(one, own),
  })),
];

const answered = (/** @type {OutageResult} */ { whole, asked }) => `${whole} of ${asked} answered`;
const backMsOf = (/** @type {OutageResult} */ { backMs = Number.POSITIVE_INFINITY }) => backMs;

/** @type {readonly Respect<OutageResult>[]} */
const IN_AN_OUTAGE = [
  {
    what: "more answered",
    isBetter: (one, own) => one.whole / one.asked > own.whole / own.asked,
    figure: answered,
  },
  {
    what: "back sooner",
    isBetter: (one, own) => backMsOf(one) + SOONER_MS < backMsOf(own),
    figure: (one) => `${one.backMs === undefined ? "not seen" : seconds(one.backMs)} (${answered(one)})`,
  },
  {
    what: "fewer requests to the sick meanwhile",
    isBetter: (one, own) => one.sick < own.sick,
    figure: (one) => `${one.sick} (${answered(one)})`,
  },
];

/**
 * @typedef {object} Loss
 * @property {string} where
 * @property {string} what
 * @property {string} better
 * @property {string} ours
 * @property {readonly string[]} losers names of contenders
 */

/**
 * @param {Run} run
 * @returns {Loss[]}
 */
export function losses({ scenarios, contenders, results, outages }) {
  const inRows = scenarios.flatMap(({ name, title }) =>
    MODES.flatMap((mode) =>
      lost(`${title}, ${mode}`, contenders, RESPECTS, (contender) => find(results, name, contender, mode)),
    ),
  );
  const inOutages = MODES.flatMap((mode) =>
    lost(`a minute's outage, ${mode}`, contenders, IN_AN_OUTAGE, (contender) =>
      outages.find((one) => one.mode === mode && one.contender === contender),
    ),
  );
  return [...inRows, ...inOutages];
}

/**
 * @template Of
 * @param {string} where
 * @param {Run["contenders"]} contenders
 * @param {readonly Respect<Of>[]} respects
 * @param {(contender: string) => Of | undefined} resultOf
 * @returns {Loss[]}
 */
function lost(where, contenders, respects, resultOf) {
  const all = contenders.flatMap(({ name, title, ours }) => {
    const result = resultOf(name);
    return result === undefined ? [] : [{ name, title, isOurs: ours === true, result }];
  });
  const [own, others] = [all.filter(({ isOurs }) => isOurs), all.filter(({ isOurs }) => !isOurs)];
  return respects.flatMap(({ what, isBetter, figure }) => {
    const losers = own.filter((mine) => others.some((other) => isBetter(other.result, mine.result)));
    const winners = others.filter((other) => own.some((mine) => isBetter(other.result, mine.result)));
    if (losers.length === 0) return [];
    const said = (/** @type {typeof all} */ ones) =>
      ones.map(({ title, result }) => `${title} ${figure(result)}`).join(", ");
    return [{ where, what, better: said(winners), ours: said(losers), losers: losers.map(({ name }) => name) }];
  });
}

/** A primary that is down for a whole minute and comes back, under a question a second; in real time. */
import { setTimeout as sleep } from "node:timers/promises";
import { HumanMessage } from "@langchain/core/messages";
import { startFaultyProvider } from "langgraph-resilience/chaos";
import { ask, judgeText, QUESTION, rightAnswer } from "./referee.mjs";
import { PRIMARY } from "./scenarios.mjs";

export const OUTAGE = {
  healthyMs: 3000,
  downMs: 60_000,
  /** How long its return is waited for. */
  watchedMs: 30_000,
  everyMs: 1000,
};

/**
 * @typedef {object} OutageResult
 * @property {string} contender
 * @property {import("./referee.mjs").Mode} mode
 * @property {number} asked questions put while the primary was down
 * @property {number} whole of them, answered in full
 * @property {number} slowestMs the longest wait among them
 * @property {number} medianMs
 * @property {number} sick requests that reached the primary while it was down
 * @property {number | undefined} backMs after its return, until an answer of the primary was had; undefined: not while it was watched
 */

/**
 * Asks one question after the other: the next a second after the last began, or when it has ended.
 *
 * @param {import("./contenders.mjs").Contender} contender
 * @param {import("./referee.mjs").Mode} mode
 * @returns {Promise<OutageResult>}
 */
export async function runOutage(contender, mode) {
  const provider = await startFaultyProvider({ answer: rightAnswer });
  const session = contender.open(provider.baseUrl);
  const began = performance.now();
  const downAt = began + OUTAGE.healthyMs;
  const upAt = downAt + OUTAGE.downMs;
  const down = sleep(OUTAGE.healthyMs).then(() =>
    provider.setFault({ kind: "status", status: 503 }, { model: PRIMARY }),
  );
  const up = sleep(OUTAGE.healthyMs + OUTAGE.downMs).then(() => provider.setFault(undefined, { model: PRIMARY }));
  /** @type {{ ms: number, whole: boolean }[]} */
  const during = [];
  /** @type {number | undefined} */
  let backMs;
  while (backMs === undefined && performance.now() < upAt + OUTAGE.watchedMs) {
    const askedAt = performance.now();
    const ended = await ask(session[mode], [new HumanMessage(QUESTION)]);
    const answer = ended.received === undefined ? undefined : judgeText(ended.received);
    if (askedAt >= downAt && askedAt < upAt) during.push({ ms: ended.ms, whole: answer?.verdict === "whole" });
    if (performance.now() > upAt && answer?.answeredBy === PRIMARY) backMs = Math.round(performance.now() - upAt);
    await sleep(Math.max(0, OUTAGE.everyMs - (performance.now() - askedAt)));
  }
  await Promise.all([down, up]);
  await provider.close();
  const waits = during.map(({ ms }) => ms).toSorted((a, b) => a - b);
  return {
    contender: contender.name,
    mode,
    asked: during.length,
    whole: during.filter(({ whole }) => whole).length,
    slowestMs: Math.round(waits.at(-1) ?? 0),
    medianMs: Math.round(waits[Math.floor(waits.length / 2)] ?? 0),
    sick: provider.requests.filter(({ fault }) => fault.kind !== "none").length,
    backMs,
  };
}

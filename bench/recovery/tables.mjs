/** The results as text. */
import { EFFECTS, ROUNDS, STEPS } from "./rollback.mjs";

/** @param {number} value */
const ms = (value) => `${value.toFixed(value >= 100 ? 0 : 2)} ms`;

/** @param {readonly import("./overhead.mjs").Overhead[]} found */
export function overheadText(found) {
  return [
    "overhead: one POST to a server on loopback that writes it to disk, from the same node; medians",
    "",
    ...columns([
      ["", "bare call", "as an effect", "ratio", "step, bare", "step, effect", "ratio"],
      ...found.map(({ title, bareMs, effectMs, ratio, bareStepMs, effectStepMs, stepRatio }) => [
        title,
        ms(bareMs),
        ms(effectMs),
        ratio.toFixed(2),
        ms(bareStepMs),
        ms(effectStepMs),
        stepRatio.toFixed(2),
      ]),
    ]),
  ];
}

/** @param {readonly import("./takeover.mjs").Takeover[]} found */
export function takeoverText(found) {
  return [
    "takeover: from the start of the process that takes over after a SIGKILL in the third of six steps; medians",
    "",
    ...columns([
      ["", "asks for the thread", "first step", "end", "first step of a new thread", "its end"],
      ...found.map(({ title, lockMs, stepMs, endMs, freshStepMs, freshEndMs }) => [
        title,
        ...[lockMs, stepMs, endMs, freshStepMs, freshEndMs].map(ms),
      ]),
    ]),
  ];
}

/** @param {readonly import("./rollback.mjs").RollbackTimes[]} found */
export function rollbackText(found) {
  return [
    `rollback: of ${STEPS} steps with ${EFFECTS} effects, whose undoing does nothing; ${ROUNDS} rollbacks. Beside it, medians and`,
    "ratios round by round: the same undoings called bare, one SQL write after each; LangGraph's updateState at the target",
    "",
    ...columns([
      ["", "P50", "P95", "bare undoings", "ratio", "updateState", "ratio"],
      ...found.map(({ title, p50Ms, p95Ms, bareMs, bareRatio, forkMs, forkRatio }) => [
        title,
        ms(p50Ms),
        ms(p95Ms),
        ms(bareMs),
        bareRatio.toFixed(1),
        ms(forkMs),
        forkRatio.toFixed(1),
      ]),
    ]),
  ];
}

/** @param {readonly import("./kills.mjs").Kills[]} found */
export function killsText(found) {
  const sum = (/** @type {"kills" | "effects" | "lost" | "duplicated"} */ key) =>
    found.reduce((total, one) => total + one[key], 0);
  const row = (/** @type {string} */ title, /** @type {readonly (number | string)[]} */ cells) => [
    title,
    ...cells.map(String),
  ];
  return [
    "kills: processes killed anywhere, on PostgreSQL, and gone on with by another; effects are those that should have happened",
    "",
    ...columns([
      ["", "kills", "effects", "lost", "duplicated", "violations"],
      ...found.map(({ title, kills, effects, lost, duplicated, violations }) =>
        row(title, [kills, effects, lost, duplicated, violations.length]),
      ),
      row("all", [
        sum("kills"),
        sum("effects"),
        sum("lost"),
        sum("duplicated"),
        found.flatMap(({ violations }) => violations).length,
      ]),
    ]),
    ...found.flatMap(({ title, violations }) => violations.map((violation) => `VIOLATION: ${title}: ${violation}`)),
  ];
}

/** @param {readonly (readonly string[])[]} rows */
function columns(rows) {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => (row[at] ?? "").length)));
  return rows.map((row) =>
    row
      .map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
}

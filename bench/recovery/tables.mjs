/** The results as text. */

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

/** @param {readonly import("./kills.mjs").Kills[]} found */
export function killsText(found) {
  const sum = (/** @type {"kills" | "effects" | "lost" | "duplicated"} */ key) =>
    found.reduce((total, one) => total + one[key], 0);
  const row = (/** @type {string} */ title, /** @type {readonly (number | string)[]} */ cells) => [
    title,
    ...cells.map(String),
  ];
  return [
    "kills: an order with four effects, its process killed anywhere, on PostgreSQL; doubts cleared by, and durability",
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

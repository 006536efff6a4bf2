import { CATEGORIES, type Category, isCategory } from "../errors/categories.js";
import { ConfigError } from "../errors/own-errors.js";

export function parseFaults(given: readonly string[]): Readonly<Record<string, Category>> {
  return Object.fromEntries(
    given.map((entry) => {
      const [node = "", category = "server_error"] = entry.split("=");
      if (!isCategory(category))
        throw new ConfigError(
          `--fail ${entry}: there is no category "${category}"; choose one of ${CATEGORIES.join(", ")}`,
        );
      return [node, category];
    }),
  );
}

export function positiveInteger(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new ConfigError(`${option} ${text}: expected a whole number from 1`);
  return value;
}

/** `--wait`: as long as it takes; `--wait 30`: that many seconds; neither: not at all. @returns milliseconds */
export function waitMsOf(given: true | string | undefined): number {
  if (given === undefined) return 0;
  if (given === true) return Number.POSITIVE_INFINITY;
  const seconds = Number(given);
  if (given.trim() === "" || !Number.isFinite(seconds) || seconds < 0)
    throw new ConfigError(`--wait ${given}: expected a number of seconds from 0, or nothing for as long as it takes`);
  return seconds * 1000;
}

const unitMs = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000 } as const;

/** `7d`, `12h`, `30m`, `90s`. @returns milliseconds */
export function durationMs(option: string, text: string): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)([dhms])$/.exec(text.trim()) ?? [];
  const ms = Number(amount) * unitMs[unit as keyof typeof unitMs];
  if (!(ms > 0)) throw new ConfigError(`${option} ${text}: expected a time such as 7d, 12h, 30m or 90s`);
  return ms;
}

/** A time in ISO 8601, or a duration before `nowMs`. @returns milliseconds since the Unix epoch */
export function timeMs(option: string, text: string, nowMs: number): number {
  const given = text.trim();
  if (/^\d+(?:\.\d+)?[dhms]$/.test(given)) return Math.max(0, nowMs - durationMs(option, given));
  const ms = /^\d{4}-\d\d-\d\d/.test(given) ? Date.parse(given) : Number.NaN;
  if (!(ms >= 0))
    throw new ConfigError(
      `${option} ${text}: expected a time such as 2026-01-31T09:00:00Z, or how long ago, such as 7d, 12h, 30m or 90s`,
    );
  return ms;
}

/** For options that may be given several times. */
export function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

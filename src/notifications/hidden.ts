import { oneLine } from "./plain-text.js";

/** An error says no more than this of what the other side answered. */
const MAX_MESSAGE = 500;

/** A text of the outside world as it may stand in an error: one line, without this channel's secrets and others. */
export type Hide = (text: string) => string;

/** @param secrets of one channel, as they are given and as they are sent; empty ones count for nothing */
export function hiding(secrets: readonly string[]): Hide {
  const longestFirst = [...new Set(secrets)].filter((one) => one !== "").sort((a, b) => b.length - a.length);
  if (longestFirst.length === 0) return (text) => oneLine(text, MAX_MESSAGE);
  const any = new RegExp(longestFirst.map((one) => one.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&")).join("|"), "g");
  return (text) => oneLine(text.replace(any, "[redacted]"), MAX_MESSAGE);
}

/** In a path, parts that are shorter are words. */
const MIN_PART = 8;

/** What of an address is secret: all that follows the host, whole and in its parts. */
export function secretsOfUrl(url: URL): string[] {
  const parts = [...url.pathname.split("/"), ...url.searchParams.values()].filter(({ length }) => length >= MIN_PART);
  const whole = `${url.pathname}${url.search}`;
  return [url.href, ...(whole === "/" ? [] : [whole]), ...(url.pathname === "/" ? [] : [url.pathname]), ...parts];
}

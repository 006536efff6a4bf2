/** What others wrote (names of threads, summaries) as text that stays where it is put. */
import { redactText } from "../core/redact.js";

/** Line breaks and other controls, and what turns the direction of the text that follows. */
const UNSHOWN = /[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]+/gu;

/** On one line, without secrets that can be recognised, and no longer than `max` characters. */
export function oneLine(text: unknown, max: number): string {
  return shorten(redactText(String(text)).replace(UNSHOWN, " ").trim(), max);
}

/** At most `max` characters; what is missing is marked by an ellipsis. */
export function shorten(text: string, max: number): string {
  if (text.length <= max) return text;
  const end = max - 1;
  // Half of a pair is no character.
  return `${text.slice(0, /[\ud800-\udbff]/.test(text[end - 1] ?? "") ? end - 1 : end)}…`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}

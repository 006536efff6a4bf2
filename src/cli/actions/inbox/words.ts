/** Questions of the inbox in the few words that a line has room for. */
import { AUTOMATIC } from "../../../core/audit-ports.js";
import type { InboxItem } from "../../../core/inbox-ports.js";
import { shellQuote } from "../../../core/shell-quote.js";
import { holderOf, peopleOf } from "../../../recovery/inbox-life.js";

const shortest = 8;

/** Beginnings of IDs, eight characters or as many as it takes to tell them apart. */
export function shortIds(ids: readonly string[]): ReadonlyMap<string, string> {
  const sorted = [...new Set(ids)].toSorted();
  const shared = (one: string, other = "") => {
    let at = 0;
    while (at < one.length && one[at] === other[at]) at += 1;
    return at;
  };
  return new Map(
    sorted.map((id, at) => {
      const alike = Math.max(shared(id, sorted[at - 1]), shared(id, sorted[at + 1]));
      return [id, id.slice(0, Math.max(shortest, alike + 1))];
    }),
  );
}

/** Of one question alone. */
export function shortId(id: string): string {
  return id.slice(0, shortest);
}

const units = [
  { unit: "d", ms: 86_400_000, from: 2 * 86_400_000 },
  { unit: "h", ms: 3_600_000, from: 2 * 3_600_000 },
  { unit: "m", ms: 60_000, from: 60_000 },
] as const;

/** `42s`, `90m`, `47h`, `3d`: in the largest unit that still says enough. */
export function spanText(ms: number): string {
  const { unit, ms: size } = units.find(({ from }) => ms >= from) ?? { unit: "s", ms: 1000 };
  return `${Math.max(0, Math.floor(ms / size))}${unit}`;
}

/** `in 12m`, `5m late`; nothing where there is no end. */
export function dueText({ dueAt }: InboxItem, nowMs: number): string {
  if (dueAt === undefined) return "";
  return dueAt > nowMs ? `in ${spanText(dueAt - nowMs)}` : `${spanText(nowMs - dueAt)} late`;
}

/** Who has it now, or may take it; an answer counts once its thread has stored it. */
export function forText(item: InboxItem, nowMs: number): string {
  const holder = holderOf(item, nowMs);
  if (item.answer !== undefined && item.answer.by !== AUTOMATIC) return `answered by ${item.answer.by}`;
  if (holder === undefined) return peopleText(item);
  return holder.by === AUTOMATIC ? "its time is over" : `claimed by ${holder.by}`;
}

export function peopleText(item: InboxItem): string {
  const people = peopleOf(item);
  return people.length === 0 ? "anyone" : people.join(", ");
}

/** What came of one that is not open any more. */
export function outcomeText({ state, resolution }: InboxItem): string {
  const { action, by } = resolution ?? {};
  if (action === undefined) return "";
  return state === "expired" ? `${action}, by itself` : `${action} by ${by}`;
}

/** `3f2a1b2c of thread q3`. */
export function nameOf(item: InboxItem, short = shortId(item.id)): string {
  return `${short} of thread ${printable(shellQuote(threadOf(item)))}`;
}

export function threadOf({ thread, threadId }: InboxItem): string {
  return thread ?? threadId;
}

/** In one line: what others wrote must neither colour the terminal nor look like lines of ours. */
export function printable(text: string): string {
  return text
    .replace(/\p{Cc}+/gu, " ")
    .replace(/\s+/g, " ")
    .trim();
}

/** @param width characters */
export function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;
}

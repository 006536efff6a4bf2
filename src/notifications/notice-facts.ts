import type { InboxItem } from "../core/inbox-ports.js";
import type { Notice, NoticeEvent } from "../core/notice-ports.js";
import { oneLine, shorten } from "./plain-text.js";

/**
 * What a notice says, before any layout. Neither state nor what a step was given nor what it has done: messages end in
 * mailboxes and chats that more people read than may see those.
 */
export interface NoticeFacts {
  /** What has happened, for whoever is told of it: "Approval needed". */
  readonly title: string;
  /** What it is about; the same in all notices of one question. */
  readonly topic: string;
  readonly summary: string;
  readonly rows: readonly (readonly [label: string, value: string])[];
  /** As it is to be typed; absent where it is too long to be typed. */
  readonly command?: string;
  readonly url?: string;
}

const MAX_SUMMARY = 2000;
const MAX_VALUE = 300;
const MAX_NAME = 100;
/** Slack takes 3000 characters a section, and half a command would be another command. */
const MAX_COMMAND = 2500;

const value = (of: unknown) => oneLine(of, MAX_VALUE);
const name = (of: unknown) => oneLine(of, MAX_NAME);

/** Never throws: whatever the request holds, people are told. */
export function noticeFacts(notice: Notice): NoticeFacts {
  const { item, command, url } = notice;
  return {
    title: titleOf(notice),
    topic: `${item.kind === "approval" ? "Approval needed" : "Decision needed"}: ${name(item.node)}${item.graph === undefined ? "" : ` in ${name(item.graph)}`} (${name(threadOf(item))})`,
    summary: oneLine(item.summary, MAX_SUMMARY),
    rows: rowsOf(notice),
    ...(command.length > MAX_COMMAND ? {} : { command }),
    ...(url === undefined ? {} : { url }),
  };
}

const titles: Readonly<Record<NoticeEvent, string>> = {
  opened: "A decision is needed",
  reminder: "Reminder: a decision is still needed",
  escalated: "Handed on to you: a decision is needed",
  overdue: "Overdue: nobody has decided, and it goes on waiting",
  expired: "Nobody has decided in time",
  failed: "Nobody has decided in time, and what was to happen then could not",
  resolved: "Decided",
  withdrawn: "No longer asked",
};

function titleOf({ event, item }: Notice): string {
  const title = titles[event];
  return item.kind === "approval"
    ? title.replace("A decision", "An approval").replace("a decision", "an approval")
    : title;
}

/** Whether an answer is still wanted. */
export function isOpen({ event }: Notice): boolean {
  return event === "opened" || event === "reminder" || event === "escalated" || event === "overdue";
}

function rowsOf(notice: Notice): (readonly [string, string])[] {
  const { item, to, at } = notice;
  const { graph, node, level, plan, openedAt, dueAt, assignee, claim, resolution } = item;
  const { suggestion, actions } = requestFacts(item.request);
  const levels = plan?.levels.length ?? 0;
  const then = plan?.onExpiry?.action;
  const open = isOpen(notice);
  const rows: (readonly [string, string] | false | undefined)[] = [
    ["Thread", name(threadOf(item))],
    graph !== undefined && ["Graph", name(graph)],
    ["Node", name(node)],
    ["Waiting since", `${timeOf(openedAt)} (${durationOf(at - openedAt)})`],
    notice.event === "overdue" && dueAt !== undefined && ["Was due", timeOf(dueAt)],
    open && notice.event !== "overdue" && dueAt !== undefined && ["Until", `${timeOf(dueAt)}${afterwards(item, then)}`],
    levels > 1 && ["Level", `${level + 1} of ${levels}`],
    to.length > 0 && ["Asked", value(to.join(", "))],
    assignee !== undefined && ["Handed to", name(assignee)],
    claim !== undefined && claim.until > at && ["Worked on by", `${name(claim.by)}, until ${timeOf(claim.until)}`],
    open && suggestion !== undefined && ["Suggested", suggestion],
    open && actions !== undefined && ["Possible answers", actions],
    resolution !== undefined && ["Answer", `${name(resolution.action)}, by ${name(resolution.by)}`],
    resolution?.reason !== undefined && ["Reason", value(resolution.reason)],
    notice.event === "failed" && then !== undefined && ["Was to be answered", name(then)],
  ];
  return rows.filter((row) => row !== false && row !== undefined);
}

/** What the end of the time brings, where it is known. */
function afterwards({ level, plan }: InboxItem, then: string | undefined): string {
  if (plan === undefined) return "";
  if (level + 1 < plan.levels.length) return "; then others are asked";
  return then === undefined ? "" : `; then it is answered with "${name(then)}"`;
}

/** Interventions suggest an answer; both kinds of request list what may be answered. Others may hold anything. */
function requestFacts(request: unknown): { suggestion?: string; actions?: string } {
  const { suggestion, actions } = (request ?? {}) as { suggestion?: unknown; actions?: unknown };
  const { action, reason } = (suggestion ?? {}) as { action?: unknown; reason?: unknown };
  const names = Array.isArray(actions)
    ? actions.map((one) => (one as { action?: unknown } | null)?.action).filter((one) => typeof one === "string")
    : [];
  return {
    ...(typeof action === "string"
      ? { suggestion: shorten(`${name(action)}${typeof reason === "string" ? `: ${value(reason)}` : ""}`, MAX_VALUE) }
      : {}),
    ...(names.length === 0 ? {} : { actions: value(names.join(", ")) }),
  };
}

function threadOf({ thread, threadId }: InboxItem): string {
  return thread ?? threadId;
}

function timeOf(ms: number): string {
  const time = new Date(ms);
  return Number.isNaN(time.getTime()) ? "unknown" : `${time.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

function durationOf(ms: number): string {
  const minutes = Math.max(0, Math.floor(ms / 60_000));
  if (!Number.isFinite(minutes) || minutes < 1) return "just now";
  const parts = [
    [Math.floor(minutes / 1440), "d"],
    [Math.floor(minutes / 60) % 24, "h"],
    [minutes % 60, "min"],
  ] as const;
  const shown = parts.filter(([amount]) => amount > 0).slice(0, 2);
  return `for ${shown.map(([amount, unit]) => `${amount} ${unit}`).join(" ")}`;
}

import type { AuditLog, StoredAuditEntry } from "../../../core/audit-ports.js";
import { systemClock } from "../../../core/clock.js";
import type { InboxItem } from "../../../core/inbox-ports.js";
import { redact } from "../../../core/redact.js";
import { deadlineOf } from "../../../langgraph/inbox/kept-question.js";
import { isGone } from "../../../langgraph/inbox/settle-inbox.js";
import type { PendingInterrupt } from "../../../langgraph/threads/inspect-thread.js";
import { isApprovalRequest } from "../../../recovery/approval-request.js";
import { endOf, inboxOf } from "../../../recovery/inbox-change.js";
import { holderOf } from "../../../recovery/inbox-life.js";
import { isInterventionRequest } from "../../../recovery/intervention-request.js";
import { auditHead, auditTail } from "../../audit-rows.js";
import { commandName } from "../../command-name.js";
import { type GlobalOptions, withScope } from "../../command-scope.js";
import { questionLines } from "../../request-text.js";
import { table } from "../../table.js";
import { valueLines } from "../../value-lines.js";
import { questionOf } from "./find.js";
import { questionObject } from "./list.js";
import { dueText, forText, nameOf, peopleText, printable, spanText } from "./words.js";

/** Of the history, the newest. */
const maxEntries = 1000;
/** Other processes' clocks may be behind that of the one that asked. */
const skewMs = 60_000;

export async function showQuestion(given: string, global: GlobalOptions): Promise<void> {
  await withScope(global, async ({ output, persistence }) => {
    const item = await questionOf(inboxOf(persistence, "lgr inbox show"), given);
    const history = await historyOf(persistence.audit, item);
    const head = (await persistence.threads.get(item.threadId))?.lastCheckpointId;
    output.object({ ...questionObject(item), history: history.map((entry) => redact(entry)) });
    if (output.json) return;
    const hasGoneOn = item.state === "pending" && isGone(item, head);
    for (const line of standingLines(item, systemClock.now(), hasGoneOn)) output.line(line);
    output.line();
    const asked = askedLines(item);
    for (const line of asked) output.line(line);
    if (history.length === 0) return;
    if (asked.at(-1) !== "") output.line();
    output.line("History:");
    for (const line of table(["WHEN", "WHO", "WHAT", "WHY", "MORE"], history.map(historyRow))) output.line(`  ${line}`);
  });
}

/** Whose turn it is and until when, or what became of it. */
export function standingLines(item: InboxItem, nowMs: number, hasGoneOn: boolean): string[] {
  const { id, state, graph, node, kind, level, plan, openedAt, dueAt, resolution } = item;
  const row = (name: string, text: string) => `  ${name.padEnd(10)}${text}`;
  const of = plan === undefined || level >= plan.levels.length ? "" : ` of ${plan.levels.length}`;
  const ago = (ms: number) => `${new Date(ms).toISOString()} (${spanText(nowMs - ms)} ago)`;
  const head = [
    `Question ${nameOf(item, id)}: ${state === "pending" ? "open" : endOf(item)}`,
    row(
      "asked",
      `${ago(openedAt)}, a question of kind "${kind}" of node "${node}"${graph === undefined ? "" : ` of ${graph}`}`,
    ),
    row("level", `${level + 1}${of}, for ${peopleText(item)}`),
  ];
  if (state !== "pending") {
    const why = resolution?.reason === undefined ? [] : [row("reason", printable(resolution.reason))];
    return [...head, ...why, row("", "its thread does not ask it any more")];
  }
  const { atDeadline } = deadlineOf(item);
  const isOver = item.overdue === true ? "; nothing more happens by itself" : `; then: ${atDeadline}`;
  return [
    ...head,
    ...(dueAt === undefined
      ? []
      : [row("deadline", `${new Date(dueAt).toISOString()} (${dueText(item, nowMs)})${isOver}`)]),
    ...reminderText(item, nowMs).map((text) => row("reminders", text)),
    ...nowText(item, nowMs).map((text) => row("now", text)),
    ...(hasGoneOn ? [row("but", "its thread has gone on from there: the next sweep takes it off the list")] : []),
  ];
}

function reminderText({ remindAt, reminders }: InboxItem, nowMs: number): string[] {
  if (remindAt === undefined && reminders === 0) return [];
  const next =
    remindAt === undefined ? "" : `, the next ${remindAt > nowMs ? `in ${spanText(remindAt - nowMs)}` : "now"}`;
  return [`${reminders} so far${next}`];
}

function nowText(item: InboxItem, nowMs: number): string[] {
  if (item.answer !== undefined)
    return [
      `answered with "${item.answer.action}" by ${printable(item.answer.by)}, which its thread has not stored yet`,
    ];
  const holder = holderOf(item, nowMs);
  return holder === undefined ? [] : [`${forText(item, nowMs)}, until ${new Date(holder.until).toISOString()}`];
}

/** As `lgr resume` prints it, with the commands of the inbox. */
export function askedLines(item: InboxItem): string[] {
  const { id, state, node, request, summary } = item;
  const by = state === "pending" ? { command: `${commandName()} inbox resolve ${id}`, ending: "" } : undefined;
  const question: PendingInterrupt = {
    id,
    node,
    value: request,
    ...(isInterventionRequest(request) ? { request } : isApprovalRequest(request) ? { approval: request } : {}),
  };
  try {
    return questionLines(question, by);
  } catch {
    // One that was too large is stored shortened, and may lack what the lines are made of.
    const answer = by === undefined ? [] : [`  ${by.command} --action …`, ""];
    return [summary, "", ...valueLines(request as Record<string, unknown>), "", ...answer];
  }
}

/** Without what each entry of the same question says. */
function historyRow(entry: StoredAuditEntry): string[] {
  const { item: _, node: __, kind: ___, ...details } = entry.details ?? {};
  const more = Object.keys(details).length === 0 ? {} : { details };
  return [
    ...auditHead(entry),
    ...auditTail({ ...(entry.reason === undefined ? {} : { reason: entry.reason }), ...more }),
  ];
}

async function historyOf(
  log: AuditLog | undefined,
  { id, threadId, openedAt }: InboxItem,
): Promise<StoredAuditEntry[]> {
  const since = Math.max(0, openedAt - skewMs);
  const entries = await log?.list({ threadId, what: "inbox", since, limit: maxEntries });
  return (entries ?? []).filter(({ details }) => details?.item === id).toReversed();
}

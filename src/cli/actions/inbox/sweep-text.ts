/** What a sweep of the inbox did, and what it leaves to others, as lines. */
import type { EventOf } from "../../../core/events.js";
import type { InboxItem } from "../../../core/inbox-ports.js";
import type { SweepReport } from "../../../langgraph/inbox/sweep.js";
import { commandName } from "../../command-name.js";
import { nameOf, peopleText, printable, shortId } from "./words.js";

type InboxEvent = EventOf<"inbox.swept"> | EventOf<"inbox.notified"> | EventOf<"inbox.notify_failed">;

/** @returns undefined where nothing of interest happened */
export function sweptText(event: InboxEvent, item: InboxItem | undefined): string | undefined {
  const question = item === undefined ? `question ${shortId(event.item)}` : nameOf(item);
  switch (event.type) {
    case "inbox.notified":
      return `told of ${question} by ${event.channel} (${event.event})`;
    case "inbox.notify_failed": {
      const next = event.gaveUp ? "it is not tried again" : "it is tried again later";
      return `could not tell of ${question} by ${event.channel} (${event.event}); ${next}: ${printable(event.message)}`;
    }
    case "inbox.swept":
      return doneText(event.what, question, item);
  }
}

function doneText(what: string, question: string, item: InboxItem | undefined): string | undefined {
  const people = item === undefined ? "" : peopleText(item);
  const action = `"${item?.plan?.onExpiry?.action ?? "the default action"}"`;
  switch (what) {
    case "inbox.reminded":
      return `reminded ${people} of ${question}`;
    case "inbox.escalated":
      return `escalated ${question} to ${people}`;
    case "inbox.overdue":
      return `${question} is overdue, and nothing more happens by itself`;
    case "inbox.withdrawn":
      return `withdrew ${question}, which went on without an answer`;
    case "inbox.expiring":
      return `nobody answered ${question} in time; doing ${action}`;
    case "inbox.expired":
      return `did ${action} for ${question}`;
    case "inbox.failed":
      return `could not do ${action} for ${question}; a person has to: ${commandName()} inbox show ${item?.id ?? ""}`;
    case "inbox.put_off":
      return `could not do ${action} for ${question} just now; the next sweep after a minute tries again`;
    default:
      return undefined;
  }
}

const words: Readonly<Record<keyof SweepReport, (count: number) => string>> = {
  reminded: (count) => `${count} reminded of`,
  escalated: (count) => `${count} escalated`,
  overdue: (count) => `${count} overdue`,
  withdrawn: (count) => `${count} withdrawn, their threads having gone on`,
  expired: (count) => `${count} answered by their default action`,
  failed: (count) => `${count} whose default action could not be done`,
  putOff: (count) => `${count} put off`,
  told: (count) => `${count} ${count === 1 ? "message" : "messages"} sent`,
  untold: (count) => `${count} ${count === 1 ? "message" : "messages"} not sent`,
};

export function summaryText(report: Partial<SweepReport>): string {
  const parts = (Object.keys(words) as (keyof SweepReport)[]).flatMap((name) => {
    const count = report[name] ?? 0;
    return count === 0 ? [] : [words[name](count)];
  });
  return parts.length === 0 ? "Nothing was due." : `Swept: ${parts.join(", ")}.`;
}

/** Default actions that are left to a process that has the graph. */
export function leftText(due: readonly InboxItem[], graphs: ReadonlySet<string>): string[] {
  const counts = new Map<string, number>();
  for (const { graph = "of no known name" } of due)
    if (!graphs.has(graph)) counts.set(graph, (counts.get(graph) ?? 0) + 1);
  return [...counts].map(
    ([graph, count]) =>
      `${count} ${count === 1 ? "waits" : "wait"} for a sweep that has the graph ${graph}, which langgraph.json does not name.`,
  );
}

const VARIABLES = "LGR_SMTP_URL, LGR_SLACK_WEBHOOK or LGR_WEBHOOK_URL";

export const NO_CHANNELS = `Nobody is told: no channel is set (${VARIABLES}). Messages wait until one is.`;

export function untoldText(count: number, most: number): string {
  const which = count === 1 ? "1 question has" : `${count < most ? count : `${most} or more`} questions have`;
  return `${which} news for people, which wait until a channel is set: ${VARIABLES}.`;
}

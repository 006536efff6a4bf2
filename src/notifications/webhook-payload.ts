import { createHash } from "node:crypto";
import type { InboxItem, InboxPlan } from "../core/inbox-ports.js";
import type { Notice } from "../core/notice-ports.js";
import { redact } from "../core/redact.js";
import { oneLine } from "./plain-text.js";

/** What of an item is passed on. Named one by one, so that what is added to items later stays here until it is wanted. */
const OF_ITEM = [
  "v",
  "id",
  "threadId",
  "thread",
  "graph",
  "node",
  "kind",
  "hash",
  "state",
  "level",
  "assignee",
  "claim",
  "openedAt",
  "dueAt",
  "reminders",
  "resolution",
] as const satisfies readonly (keyof InboxItem)[];

/** Of the item, what a receiver may know. */
export type WebhookItem = Pick<InboxItem, (typeof OF_ITEM)[number] | "summary" | "request" | "plan">;

/** A notice as {@link webhookChannel} sends it. */
export interface WebhookPayload extends Omit<Notice, "item"> {
  /** `notice.opened`, `notice.reminder`, …: with `timestamp` what Standard Webhooks asks of a body. */
  readonly type: string;
  /** ISO 8601; when it happened, not when it was sent. */
  readonly timestamp: string;
  /** Its `request` says what is asked and what can be answered, and nothing of state, effects and attempts. */
  readonly item: WebhookItem;
}

/** What of a request is passed on; the rest may hold state. */
const OF_REQUEST = ["v", "kind", "question", "node", "within", "effect", "effectKind", "hash", "suggestion", "actions"];
const MAX_SUMMARY = 2000;

export function webhookPayload(notice: Notice): WebhookPayload {
  const { item } = notice;
  const { request, plan } = item;
  const summary = oneLine(item.summary, MAX_SUMMARY);
  const asked = typeof request === "object" && request !== null ? Object.entries(request) : [];
  const passedOn = Object.fromEntries(asked.filter(([key]) => OF_REQUEST.includes(key)));
  return {
    type: `notice.${notice.event}`,
    timestamp: new Date(notice.at).toISOString(),
    ...notice,
    item: {
      ...known(item),
      summary,
      request: { ...(redact(passedOn, { maxText: MAX_SUMMARY, maxDepth: 12 }) as object), summary },
      ...(plan === undefined ? {} : { plan: planFacts(plan) }),
    },
  };
}

function known(item: InboxItem): Pick<InboxItem, (typeof OF_ITEM)[number]> {
  const given = OF_ITEM.filter((key) => item[key] !== undefined);
  return Object.fromEntries(given.map((key) => [key, item[key]])) as unknown as ReturnType<typeof known>;
}

/** The answer to be given without people may hold more than its name. */
function planFacts({ levels, onExpiry }: InboxPlan): InboxPlan {
  return { levels, ...(onExpiry === undefined ? {} : { onExpiry: { action: onExpiry.action } }) };
}

/** For `webhook-id`: of letters and digits alone, for what is signed is joined by full stops. */
export function webhookId({ id }: Notice): string {
  return `msg_${createHash("sha256").update(id).digest("hex").slice(0, 40)}`;
}

import { createHash } from "node:crypto";
import type { Notice } from "../core/notice-ports.js";

/** Message-IDs of mails (RFC 5322, section 3.6.4). */
export interface MailIdentity {
  /** The same each time the notice is sent: mail programs show it once. */
  readonly messageId: string;
  /** The mail that opened the question; absent in that one. */
  readonly inReplyTo?: string;
}

/**
 * Whoever sends a reminder may not have sent the opening. So the opening's ID is made of the question, which all its
 * notices know, and that of every other notice of its own ID.
 */
export function mailIdentity({ id, event, item }: Notice): MailIdentity {
  const opening = messageId("opened", item.id, item.openedAt);
  return event === "opened" ? { messageId: opening } : { messageId: messageId("notice", id), inReplyTo: opening };
}

function messageId(...parts: readonly unknown[]): string {
  const digest = createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 40);
  return `<${digest}@notices.langgraph-resilience>`;
}

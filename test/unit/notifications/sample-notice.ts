import type { InboxItem } from "../../../src/core/inbox-ports.js";
import type { Notice } from "../../../src/core/notice-ports.js";

const HOUR_MS = 3_600_000;
export const OPENED_AT = Date.UTC(2026, 10, 23, 9, 30);

/** State that no message may hold. */
export const STATE = {
  input: { customer: "Carla Customer", card: "visa ending 4242" },
  receipt: "receipt-of-the-charge-991",
  attempt: "the gateway said: account of Carla Customer is blocked",
};

export function item(changes: Partial<InboxItem> = {}): InboxItem {
  return {
    v: 1,
    id: "thread-1:task-1:0",
    threadId: "0b0ce6b0-0000-4000-8000-000000000001",
    thread: "order-42",
    graph: "order-saga",
    node: "charge",
    kind: "intervention",
    summary: 'Node "charge" failed after 3 attempts (network): connection refused',
    request: {
      v: 1,
      kind: "intervention",
      node: "charge",
      input: STATE.input,
      effects: [{ effect: "reserve", receipt: STATE.receipt }],
      attempts: [{ number: 1, report: { message: STATE.attempt } }],
      failure: { message: STATE.attempt },
      suggestion: { action: "retry", reason: "The failure may have passed." },
      actions: [{ action: "retry", description: "try again", schema: {} }, { action: "abort" }],
    },
    hash: "f00d",
    state: "pending",
    level: 0,
    openedAt: OPENED_AT,
    dueAt: OPENED_AT + 4 * HOUR_MS,
    reminders: 0,
    plan: {
      levels: [{ to: ["anna@example.com"], deadlineMs: 4 * HOUR_MS }, { to: ["boss@example.com"] }],
      onExpiry: { action: "abort" },
    },
    ...changes,
  };
}

export function notice(changes: Partial<Notice> = {}, ofItem: Partial<InboxItem> = {}): Notice {
  return {
    v: 1,
    id: "thread-1:task-1:0/opened/0",
    event: "opened",
    at: OPENED_AT + 90 * 60_000,
    to: ["anna@example.com"],
    item: item(ofItem),
    command: "npx lgr inbox show order-42",
    url: "https://console.example.com/inbox/1?a=1&b=2",
    ...changes,
  };
}

/** What the cases store. Every thread, key and name is new, so that no case sees another's. */
import { randomUUID } from "node:crypto";
import { type Checkpoint, emptyCheckpoint, uuid6 } from "@langchain/langgraph-checkpoint";
import type { AuditEntry } from "../core/audit-ports.js";
import type { EffectEntry, EffectState } from "../core/effect-ports.js";
import type { InboxItem, PendingNotice } from "../core/inbox-ports.js";
import type { AttemptRecord } from "../core/records.js";
import type { AttemptScope, StreamPart, StreamScope } from "../core/store-ports.js";

export const metadata = { source: "loop" as const, step: 1, parents: {} };

export function newCheckpoint(fields: Partial<Checkpoint> = {}): Checkpoint {
  return { ...emptyCheckpoint(), id: uuid6(1), ...fields };
}

export const newScope = (): AttemptScope => ({ threadId: randomUUID(), step: "plan" });

export const failedAttempt = (number: number, message = `attempt ${number} failed`): AttemptRecord => ({
  number,
  step: "node",
  startedAt: 1_700_000_000_000 + number,
  durationMs: 12.5,
  report: { category: "server_error", retryable: true, status: 503, message, cause: ["Error: upstream"] },
  delayMs: 1000,
});

/** The intent of an effect of a thread of its own; each call is another change. */
export const newEffect = (fields: Partial<EffectEntry> = {}): EffectEntry => ({
  v: 1,
  threadId: randomUUID(),
  key: "charge the card",
  epoch: 0,
  idempotencyKey: randomUUID(),
  effect: "charge",
  kind: "reversible",
  state: "intended",
  scope: [{ namespace: "", checkpointId: "checkpoint-1", node: "pay", taskId: "task-1" }],
  place: "pay",
  name: "#0",
  inputHash: "b5bb9d8014a0f9b1",
  input: { amount: 4200, currency: "EUR" },
  calls: 0,
  undoCalls: 0,
  intendedAt: 1_700_000_000_000,
  change: randomUUID(),
  ...fields,
});

/** The same effect after a change. */
export const changedEffect = (
  entry: EffectEntry,
  state: EffectState,
  fields: Partial<EffectEntry> = {},
): EffectEntry => ({ ...entry, state, change: randomUUID(), ...fields });

/** An entry of the audit log about a thread of its own. */
export const newAuditEntry = (fields: Partial<AuditEntry> = {}): AuditEntry & { readonly threadId: string } => ({
  v: 1,
  id: randomUUID(),
  at: 1_700_000_000_000,
  by: "Ada",
  what: "human.decided",
  threadId: randomUUID(),
  ...fields,
});

/** A question of a thread of its own that waits for an answer. */
export const newInboxItem = (fields: Partial<InboxItem> = {}): InboxItem => ({
  v: 1,
  id: randomUUID(),
  threadId: randomUUID(),
  node: "pay",
  kind: "intervention",
  summary: 'Node "pay" failed after 3 attempts (server_error): upstream is down',
  request: { kind: "intervention", node: "pay", actions: [{ action: "retry", schema: { type: "object" } }] },
  hash: "b5bb9d8014a0f9b1",
  state: "pending",
  level: 0,
  openedAt: 1_700_000_000_000,
  reminders: 0,
  ...fields,
});

/** People are still to be told that a question was asked. */
export const newPendingNotice = (fields: Partial<PendingNotice> = {}): PendingNotice => ({
  id: randomUUID(),
  event: "opened",
  at: 1_700_000_000_000,
  done: [],
  attempts: 0,
  ...fields,
});

export const newStream = (): StreamScope => ({
  threadId: randomUUID(),
  node: "write",
  step: "checkpoint-1",
  stream: "question",
});

/** Part number `seq` of writer "w", after one of its own. */
export const streamPart = (seq: number, fields: Partial<StreamPart> = {}): StreamPart => ({
  seq,
  text: `part ${seq}. `,
  tokens: 2,
  writer: "w",
  ...(seq === 0 ? {} : { after: "w" }),
  ...fields,
});

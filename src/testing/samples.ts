/** What the cases store. Every thread, key and name is new, so that no case sees another's. */
import { randomUUID } from "node:crypto";
import { type Checkpoint, emptyCheckpoint, uuid6 } from "@langchain/langgraph-checkpoint";
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

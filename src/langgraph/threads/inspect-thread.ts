import type { StateSnapshot } from "@langchain/langgraph";
import type { CheckpointTuple } from "@langchain/langgraph-checkpoint";
import type { EffectLedger } from "../../core/effect-ports.js";
import type { InboxStore } from "../../core/inbox-ports.js";
import { persistenceOf } from "../../core/persistence-of.js";
import type { ThreadRecord, ThreadStatus } from "../../core/ports.js";
import { shellQuote } from "../../core/shell-quote.js";
import { isAwaited } from "../../effects/approve-effect.js";
import type { CheckpointCorruptError } from "../../errors/persistence-errors.js";
import { type ApprovalRequest, isApprovalRequest } from "../../recovery/approval-request.js";
import { type InterventionRequest, isInterventionRequest } from "../../recovery/intervention-request.js";
import { answersOf, finishedTasks } from "../checkpoint-internals.js";
import { REENTRIES } from "../envelope.js";
import { isDamage, type UsableState, unusableState } from "./damage.js";
import { type GraphLike, type RunnableGraph, runnableGraph } from "./graph.js";
import { resolveThread, type ThreadRef } from "./resolve-thread.js";

/** A question that a thread waits for an answer to. */
export interface PendingInterrupt {
  readonly id: string;
  /** The node that asked. */
  readonly node: string;
  readonly value: unknown;
  /** Present when it is a request of the human rung. */
  readonly request?: InterventionRequest;
  /** Present when an effect waits for approval. */
  readonly approval?: ApprovalRequest;
  /**
   * Present when the node has been given an answer before: it may have been to this very question, and the process died
   * or the node failed after it. Only running the node again tells.
   */
  readonly perhapsAnswered?: true;
}

export interface ThreadInspection extends ThreadRef {
  /** `stored: false` when no checkpoint exists; the rest then says nothing. */
  readonly stored: boolean;
  readonly graph?: string;
  /** Read from the newest checkpoint, and from the record of the last run where that says more. */
  readonly status: ThreadStatus | "interrupted" | "empty";
  readonly canResume: boolean;
  /** Why it cannot be resumed, or what it needs. */
  readonly why?: string;
  /** Nodes that run next; empty also when a superstep is done but for its checkpoint. */
  readonly next: readonly string[];
  readonly waitingFor: readonly PendingInterrupt[];
  readonly error?: string;
  readonly checkpointId?: string;
  readonly step?: number;
  readonly values: Readonly<Record<string, unknown>>;
  readonly createdAt?: string;
  /** Present when what is stored of the newest checkpoint is damaged; `values` are then empty. */
  readonly damage?: CheckpointCorruptError;
}

/**
 * Where a thread stands and whether it can go on.
 *
 * @param nameOrId a thread name, or a thread ID
 */
export async function inspectThread(graph: GraphLike, nameOrId: string): Promise<ThreadInspection> {
  const runnable = runnableGraph(graph, "inspectThread()");
  return inspectResolved(runnable, await resolveThread(runnable, nameOrId));
}

export async function inspectResolved(
  graph: RunnableGraph,
  ref: ThreadRef,
  options: { readonly usableState?: UsableState | undefined; readonly goesBack?: boolean } = {},
): Promise<ThreadInspection> {
  const record = await persistenceOf(graph.checkpointer)?.threads.get(ref.threadId);
  const config = { configurable: { thread_id: ref.threadId } };
  // Whoever can go back also looks at what the subgraphs stand on: better now than in the middle of the run.
  const snapshot = await graph
    .getState(config, { subgraphs: options.goesBack === true })
    .catch(async (error: unknown) => {
      if (isDamage(error)) return damaged(error, ref);
      const stored = await graph.checkpointer.getTuple(config);
      if (stored === undefined || (error as { name?: unknown }).name !== "InvalidUpdateError") throw error;
      return unreadable(stored, error);
    });
  if ("status" in snapshot)
    return { ...ref, ...snapshot, ...(record?.graph === undefined ? {} : { graph: record.graph }) };
  const unusable = unusableState(snapshot, ref, options.usableState);
  if (unusable !== undefined) return { ...ref, ...damaged(unusable, ref), values: ownValues(snapshot.values) };
  const checkpoint =
    snapshot.config.configurable?.checkpoint_id === undefined
      ? undefined
      : await graph.checkpointer.getTuple(snapshot.config);
  const writes = checkpoint?.pendingWrites ?? [];
  const stands = describeSnapshot(snapshot, ref, record, finishedTasks(writes), answersOf(writes));
  const { ledger, inbox } = persistenceOf(graph.checkpointer) ?? {};
  const known = ledger === undefined ? stands : await withApprovals(stands, ledger);
  return inbox === undefined ? known : await withInbox(known, inbox);
}

/** Of a subgraph's question the root does not know whether it was answered; where an answer was taken in, it may have been. */
async function withInbox(stands: ThreadInspection, inbox: InboxStore): Promise<ThreadInspection> {
  if (stands.waitingFor.every(({ request }) => request?.within === undefined)) return stands;
  const waitingFor = stands.waitingFor.map(async (one): Promise<PendingInterrupt> => {
    const item = one.request?.within === undefined ? undefined : await inbox.get(one.request.id);
    const isTaken = item?.answer !== undefined || item?.resolution !== undefined;
    return isTaken ? { ...one, perhapsAnswered: true } : one;
  });
  return { ...stands, waitingFor: await Promise.all(waitingFor) };
}

/** The ledger knows of an answer also where the process died before the node was done. */
async function withApprovals(stands: ThreadInspection, ledger: EffectLedger): Promise<ThreadInspection> {
  if (stands.waitingFor.every(({ approval }) => approval === undefined)) return stands;
  const waitingFor = stands.waitingFor.map(async (one): Promise<PendingInterrupt> => {
    const { approval } = one;
    if (approval === undefined) return one;
    const { key, effect, hash } = approval;
    const { found } = await ledger.look(stands.threadId, key, { effect, place: "" });
    return found === undefined || isAwaited(found, hash) ? one : { ...one, perhapsAnswered: true };
  });
  return { ...stands, waitingFor: await Promise.all(waitingFor) };
}

/** A thread whose newest checkpoint cannot be gone on from. */
function damaged(
  damage: CheckpointCorruptError,
  { name, threadId }: ThreadRef,
): Omit<ThreadInspection, keyof ThreadRef> {
  const { part, checkpointId, namespace } = damage.place;
  return {
    stored: true,
    status: "failed",
    canResume: false,
    why: `what is stored of it is damaged (${part}, of checkpoint ${checkpointId}); lgr resume ${shellQuote(name ?? threadId)} --from-last-sound goes on from the last sound checkpoint`,
    next: [],
    waitingFor: [],
    error: damage.message,
    ...(namespace === "" ? { checkpointId } : {}),
    values: {},
    damage,
  };
}

/** A thread that stands between steps whose updates contradict each other: LangGraph cannot even show its state. */
function unreadable(stored: CheckpointTuple, error: unknown): Omit<ThreadInspection, keyof ThreadRef> {
  return {
    stored: true,
    status: "failed",
    canResume: false,
    why: "its steps have written updates that contradict each other; resume it from an earlier checkpoint",
    next: [],
    waitingFor: [],
    error: errorText(error),
    checkpointId: stored.checkpoint.id,
    ...(stored.metadata === undefined ? {} : { step: stored.metadata.step }),
    values: {},
    createdAt: stored.checkpoint.ts,
  };
}

function describeSnapshot(
  snapshot: StateSnapshot,
  ref: ThreadRef,
  record: ThreadRecord | undefined,
  finished: ReadonlySet<string>,
  answers: ReadonlyMap<string, number>,
): ThreadInspection {
  const checkpointId = snapshot.config.configurable?.checkpoint_id as string | undefined;
  const open = snapshot.tasks.filter((task) => !finished.has(task.id));
  // A request knows which of its task's questions it is: answered with "abort", it stays with the task that failed of it.
  const waitingFor = open.flatMap((task) => {
    const count = answers.get(task.id) ?? 0;
    return task.interrupts
      .map((one) => pending(task.name, one, count > 0))
      .filter(({ request, approval }) => {
        const asked = request ?? approval;
        return asked === undefined || count <= (asked.question ?? 0);
      });
  });
  const taskError = snapshot.tasks.flatMap(({ error }) => (error == null ? [] : [errorText(error)]))[0];
  const error = record?.error ?? taskError;
  const status = statusOf(snapshot, checkpointId, waitingFor.length > 0, taskError !== undefined, record);
  const why = whyNot(status, waitingFor);
  return {
    ...ref,
    stored: checkpointId !== undefined,
    ...(record?.graph === undefined ? {} : { graph: record.graph }),
    status,
    canResume: checkpointId !== undefined && snapshot.tasks.length > 0 && status !== "aborted",
    ...(why === undefined ? {} : { why }),
    next: open.map((task) => task.name),
    waitingFor,
    ...(error === undefined || status === "succeeded" ? {} : { error }),
    ...(checkpointId === undefined ? {} : { checkpointId }),
    ...(snapshot.metadata?.step === undefined ? {} : { step: snapshot.metadata.step }),
    values: ownValues(snapshot.values as Record<string, unknown>),
    ...(snapshot.createdAt === undefined ? {} : { createdAt: snapshot.createdAt }),
  };
}

function pending(
  node: string,
  interrupt: { id?: string; value?: unknown },
  perhapsAnswered: boolean,
): PendingInterrupt {
  const { value } = interrupt;
  return {
    id: interrupt.id ?? "",
    node,
    value,
    ...(isInterventionRequest(value)
      ? { request: value }
      : isApprovalRequest(value)
        ? { approval: value }
        : perhapsAnswered
          ? { perhapsAnswered }
          : {}),
  };
}

function statusOf(
  snapshot: StateSnapshot,
  checkpointId: string | undefined,
  waiting: boolean,
  failed: boolean,
  record: ThreadRecord | undefined,
): ThreadInspection["status"] {
  if (checkpointId === undefined) return "empty";
  // Not `next`: it is empty too when a process died between the last write of a superstep and its checkpoint.
  if (snapshot.tasks.length === 0) return "succeeded";
  const abortedHere = snapshot.tasks.some(
    (task) => (task.error as { name?: unknown } | undefined)?.name === "RunAbortedError",
  );
  if (abortedHere || record?.status === "aborted") return "aborted";
  if (waiting) return "waiting_human";
  if (failed || record?.status === "failed") return "failed";
  return record?.status === "drained" || record?.status === "paused" ? record.status : "interrupted";
}

function whyNot(status: ThreadInspection["status"], waitingFor: readonly PendingInterrupt[]): string | undefined {
  switch (status) {
    case "empty":
      return "nothing is stored for it";
    case "succeeded":
      return "it has finished";
    case "aborted":
      return "it was aborted; resume from an earlier checkpoint to go on all the same";
    case "waiting_human":
      return `it waits for ${waitingFor.length === 1 ? "an answer" : `${waitingFor.length} answers`}`;
    default:
      return undefined;
  }
}

/** The graph's own channels; those of the ladder are no business of whoever asks. */
function ownValues(values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([key]) => key !== REENTRIES));
}

/** One line for people: name and message, and of a schema's complaints each with its path. */
export function errorText(error: unknown): string {
  const { name, message, issues } = error as { name?: unknown; message?: unknown; issues?: unknown };
  if (Array.isArray(issues)) {
    const lines = issues.map(
      ({ path, message: fault }: { path?: unknown[]; message?: unknown }) => `${path?.join(".") || "value"}: ${fault}`,
    );
    return `It does not fit the schema: ${lines.join("; ")}`;
  }
  if (typeof message !== "string") return String(error);
  return typeof name === "string" && name !== "Error" && !message.startsWith(name) ? `${name}: ${message}` : message;
}

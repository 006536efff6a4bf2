/**
 * What happens, as versioned envelopes. Subscribers (console reporter, JSON lines, metrics) only read: one that throws
 * or rejects is reported as a process warning and never harms the run.
 */
import { asError } from "../errors/own-errors.js";
import type { CorruptPart } from "../errors/persistence-errors.js";
import type { ErrorReport } from "../errors/report.js";

/** How far a run went back because of damaged checkpoints. */
export interface WentBack {
  /** The damages that were found on the way, that of the newest checkpoint first. */
  readonly damaged: readonly CorruptPart[];
  /** The checkpoint that the run goes on from, its step, and how long ago it was written, in milliseconds. */
  readonly checkpointId: string;
  readonly step: number;
  readonly ageMs: number;
}

export interface EffectEvent {
  readonly effect: string;
  readonly key: string;
  readonly calls: number;
  readonly report?: ErrorReport;
}

/** What each event carries besides the envelope. Durations are milliseconds. */
export interface EventPayloads {
  "run.started": { readonly resumed: boolean };
  "run.finished": {
    readonly outcome: "succeeded" | "waiting_human" | "paused" | "failed" | "aborted" | "drained";
    readonly message?: string;
  };
  "node.started": { readonly directive?: string };
  "node.succeeded": { readonly durationMs: number; readonly answeredBy: string };
  /** An attempt failed; `delayMs` is the wait before the next one, absent when there is none. */
  "attempt.failed": {
    readonly report: ErrorReport;
    readonly durationMs: number;
    readonly delayMs?: number;
    /** Why there is no next one, where neither the category nor the number of attempts says it. */
    readonly gaveUp?: string;
    readonly step?: string;
    /** Of what within the node, where it is not the node itself: `model "gpt-4.1"`, `tool "search"`. */
    readonly call?: string;
  };
  /** The circuit of a service went from one state to another. */
  "breaker.changed": { readonly service: string; readonly from: string; readonly to: string };
  /** A streamed answer broke off after some of it was handed on: that part is void, and the answer begins anew. */
  "answer.restarted": {
    readonly model: string;
    readonly category: string;
    readonly message: string;
    readonly droppedCharacters: number;
  };
  "fallback.started": { readonly step: string; readonly because: ErrorReport };
  "fallback.succeeded": { readonly step: string };
  /** Old checkpoints were deleted in the background. */
  "retention.pruned": { readonly threads: number; readonly checkpoints: number; readonly bytes: number };
  /** What was to be deleted in the background was not, or not all of it; it is tried again the next time. */
  "retention.failed": { readonly message: string };
  "node.failed": { readonly report: ErrorReport; readonly next: "human" | "rollback" | "fail" | "stop" };
  "checkpoint.written": { readonly checkpointId: string; readonly step: number; readonly source: string };
  /** A stored checkpoint was found damaged, for the first time in this process. */
  "checkpoint.corrupt": CorruptPart & { readonly message: string };
  /** A run goes on from the last sound checkpoint before a damaged one. */
  "run.wentBack": WentBack;
  /** A call to the outside world is about to be made; `calls` counts those of the same effect. */
  "effect.dispatched": EffectEvent;
  "effect.confirmed": EffectEvent;
  /** It did not happen. */
  "effect.failed": EffectEvent;
  /** It may have happened. */
  "effect.unknown": EffectEvent;
  /** It happened on a branch of the thread that was left, and its receipt is given here. */
  "effect.reused": EffectEvent;
  /** `effects` are to be undone; `automatic` where nobody was asked. */
  "rollback.started": {
    readonly scope: string;
    readonly target: string;
    readonly effects: number;
    readonly automatic: boolean;
  };
  "rollback.finished": {
    readonly scope: string;
    readonly outcome: "done" | "incomplete";
    readonly undone: number;
    readonly failed: number;
  };
  /** What a sweep did about a question that waits for a person; `what` as in the audit log. */
  "inbox.swept": { readonly item: string; readonly what: string; readonly message?: string };
  /** People were told of a question, or could not be. */
  "inbox.notified": { readonly item: string; readonly event: string; readonly channel: string };
  "inbox.notify_failed": {
    readonly item: string;
    readonly event: string;
    readonly channel: string;
    readonly message: string;
    /** Whether it is not tried again. */
    readonly gaveUp: boolean;
  };
  "human.requested": { readonly interventionId: string; readonly failedNode: string };
  "human.decided": {
    readonly interventionId: string;
    readonly failedNode: string;
    readonly action: string;
    readonly by: string;
  };
}

export type EventType = keyof EventPayloads;

export interface EventContext {
  readonly threadId?: string;
  readonly graph?: string;
  readonly node?: string;
  /** 1 for the first attempt. */
  readonly attempt?: number;
}

export type ResilienceEvent = {
  [T in EventType]: EventContext & { readonly v: 1; readonly type: T; readonly at: number } & EventPayloads[T];
}[EventType];

export type EventOf<T extends EventType> = Extract<ResilienceEvent, { type: T }>;

/** May be async: nobody waits for it. What it returns is not looked at, save that a promise may reject. */
type EventListener = (event: ResilienceEvent) => unknown;

export interface EventBus {
  emit<T extends EventType>(type: T, context: EventContext, payload: EventPayloads[T]): void;
  /** @returns a function that ends the subscription */
  subscribe(listener: EventListener): () => void;
}

export function createEventBus(now: () => number): EventBus {
  const listeners = new Set<EventListener>();
  return {
    emit(type, context, payload) {
      if (listeners.size === 0) return;
      const event = { v: 1, type, at: now(), ...context, ...payload } as unknown as ResilienceEvent;
      for (const listener of listeners) {
        try {
          const returned = listener(event);
          if (isThenable(returned)) Promise.resolve(returned).catch((error: unknown) => warn(type, error));
        } catch (error) {
          warn(type, error);
        }
      }
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
      };
    },
  };
}

function isThenable(value: unknown): boolean {
  return typeof (value as { then?: unknown } | null | undefined)?.then === "function";
}

function warn(type: EventType, thrown: unknown): void {
  process.emitWarning(`A subscriber of "${type}" events threw: ${String(asError(thrown))}`, "ResilienceWarning");
}

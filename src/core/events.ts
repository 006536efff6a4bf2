/**
 * What happens, as versioned envelopes. Subscribers (console reporter, JSON lines, metrics) only read: one that throws
 * is reported as a process warning and never harms the run.
 */
import type { ErrorReport } from "../errors/report.js";

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
    readonly step?: string;
  };
  "fallback.started": { readonly step: string; readonly because: ErrorReport };
  "fallback.succeeded": { readonly step: string };
  "node.failed": { readonly report: ErrorReport; readonly next: "human" | "fail" | "stop" };
  "checkpoint.written": { readonly checkpointId: string; readonly step: number; readonly source: string };
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

export interface EventBus {
  emit<T extends EventType>(type: T, context: EventContext, payload: EventPayloads[T]): void;
  /** @returns a function that ends the subscription */
  subscribe(listener: (event: ResilienceEvent) => void): () => void;
}

export function createEventBus(now: () => number): EventBus {
  const listeners = new Set<(event: ResilienceEvent) => void>();
  return {
    emit(type, context, payload) {
      if (listeners.size === 0) return;
      const event = { v: 1, type, at: now(), ...context, ...payload } as unknown as ResilienceEvent;
      for (const listener of listeners) {
        try {
          listener(event);
        } catch (error) {
          process.emitWarning(`A subscriber of "${type}" events threw: ${String(error)}`, "ResilienceWarning");
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

import { systemClock } from "../core/clock.js";
import { CancelledError } from "../errors/own-errors.js";
import type { ChatRequest } from "./chat-request.js";
import type { Fault } from "./faults.js";

/**
 * How a request ended: `answered` properly and to the end; `faulted` where the provider gave something else; or the
 * `client_gone` before that, which is also how a `hang` or a `stall` ends.
 */
export type RequestOutcome = "answered" | "faulted" | "client_gone";

/** What the provider saw, in order of arrival. Holds no headers, and with them no credentials. */
export interface SeenRequest extends ChatRequest {
  /** As in the `x-request-id` of the answer. */
  readonly id: string;
  /** Milliseconds since the Unix epoch. */
  readonly atMs: number;
  readonly fault: Fault;
  /** Milliseconds since the Unix epoch; absent while it is open. */
  readonly endedAtMs?: number;
  readonly outcome?: RequestOutcome;
}

export interface RequestLog {
  readonly requests: readonly SeenRequest[];
  /** @returns what to call when it has ended; only the first call counts */
  begin(request: ChatRequest, fault: Fault): { readonly id: string; end(outcome: RequestOutcome): void };
  /** See {@link FaultyProvider.waitForRequest}. */
  waitFor(wanted: number | ((request: SeenRequest) => boolean)): Promise<SeenRequest>;
  /** Gives up whoever still waits. */
  close(): void;
}

interface Waiter {
  found(): SeenRequest | undefined;
  readonly resolve: (request: SeenRequest) => void;
  readonly reject: (error: unknown) => void;
  readonly giveUp: () => void;
}

export function createRequestLog(onEnded: (request: SeenRequest) => void): RequestLog {
  const requests: SeenRequest[] = [];
  const waiters = new Set<Waiter>();
  let closed = false;
  const tell = () => {
    for (const waiter of waiters) {
      try {
        const found = waiter.found();
        if (found === undefined) continue;
        waiter.resolve(found);
      } catch (error) {
        waiter.reject(error);
      }
      waiters.delete(waiter);
    }
  };
  return {
    requests,
    begin(request, fault) {
      const id = `offline-${requests.length + 1}`;
      const seen: { -readonly [K in keyof SeenRequest]: SeenRequest[K] } = {
        id,
        ...request,
        atMs: systemClock.now(),
        fault,
      };
      requests.push(seen);
      tell();
      return {
        id,
        end(outcome) {
          if (seen.outcome !== undefined) return;
          seen.endedAtMs = systemClock.now();
          seen.outcome = outcome;
          tell();
          try {
            onEnded(seen);
          } catch (error) {
            process.emitWarning(`onEnded of a provider threw: ${String(error)}`, "ResilienceWarning");
          }
        },
      };
    },
    waitFor(wanted) {
      const found = () => (typeof wanted === "number" ? requests[wanted - 1] : requests.find(wanted));
      return new Promise((resolve, reject) => {
        const what = typeof wanted === "number" ? `request ${wanted}` : "the request waited for";
        const giveUp = () =>
          reject(new CancelledError(`The provider was closed before it saw ${what}; it saw ${requests.length}`));
        waiters.add({ found, resolve, reject, giveUp });
        tell();
        if (closed) giveUp();
      });
    },
    close() {
      closed = true;
      for (const waiter of waiters) waiter.giveUp();
      waiters.clear();
    },
  };
}

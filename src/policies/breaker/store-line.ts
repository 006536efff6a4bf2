import type { Clock } from "../../core/clock.js";
import type { VersionedStore } from "../../core/store-ports.js";
import { BreakerStoreError } from "../../errors/policy-errors.js";
import { withTimeLimit } from "../timeout.js";
import { type Swapped, swapBreaker } from "./stored-breaker.js";

export type Exchanged =
  | { readonly kind: "landed" }
  /** The store answers, but others were faster each time. */
  | { readonly kind: "busy" }
  | { readonly kind: "unreachable"; readonly cause: BreakerStoreError };

export interface Exchange {
  readonly change: Parameters<typeof swapBreaker>[2];
  /** Called when it is done, before anything else of this process is. */
  readonly landed: (swapped: Swapped) => void;
  /** Those that wait for their turn are one and the same. */
  readonly joinable?: boolean;
  /** Tries also where the store failed a moment ago. */
  readonly insist?: boolean;
}

/** The way from one shared breaker to its store: one exchange at a time, in order, each with a limit. */
export interface StoreLine {
  /** The last exchange failed. */
  readonly isDown: boolean;
  /** Nothing is under way, and what was learned last is older than `refreshMs`. */
  readonly isStale: boolean;
  exchange(exchange: Exchange): Promise<Exchanged>;
}

/** A store that never answers must not collect more of what was asked. */
const MAX_UNANSWERED = 8;

export function createStoreLine(
  service: string,
  environment: {
    readonly store: VersionedStore;
    readonly clock: Clock;
    readonly localNow: () => number;
    readonly refreshMs: number;
    readonly patienceMs: number;
  },
): StoreLine {
  const { store, clock, localNow, refreshMs, patienceMs } = environment;
  let lastTryMs = Number.NEGATIVE_INFINITY;
  let failure: BreakerStoreError | undefined;
  let unanswered = 0;
  let waiting = 0;
  let tail: Promise<unknown> = Promise.resolve();
  let joinable: Promise<Exchanged> | undefined;

  const isRecent = () => localNow() - lastTryMs < refreshMs;

  function failed(cause: BreakerStoreError): Exchanged {
    lastTryMs = localNow();
    if (failure === undefined) {
      process.emitWarning(
        `The circuit "${service}" cannot reach its store and goes on with what this process knows until it can: ${cause.message}`,
        "ResilienceWarning",
      );
    }
    failure = cause;
    return { kind: "unreachable", cause };
  }

  async function attempt({ change, landed, insist }: Exchange): Promise<Exchanged> {
    if (failure !== undefined && insist !== true && isRecent()) return { kind: "unreachable", cause: failure };
    if (unanswered >= MAX_UNANSWERED)
      return failed(new BreakerStoreError(service, `${unanswered} requests have had no answer yet`));
    lastTryMs = localNow();
    let rounds = 0;
    let isLate = false;
    try {
      const swapped = await withTimeLimit(
        (scope) => {
          const swapping = swapBreaker(
            store,
            service,
            (read, at) => {
              rounds += 1;
              return change(read, at);
            },
            () => scope.aborted,
          );
          unanswered += 1;
          const answered = () => {
            unanswered -= 1;
          };
          swapping.then(answered, answered);
          return swapping;
        },
        {
          limitMs: patienceMs,
          onLimit: () => {
            isLate = true;
            return new BreakerStoreError(service, `it did not answer within ${patienceMs} ms`);
          },
          clock,
        },
      );
      failure = undefined;
      if (swapped === undefined) return { kind: "busy" };
      landed(swapped);
      return { kind: "landed" };
    } catch (error) {
      if (!(error instanceof BreakerStoreError)) throw error;
      return isLate && rounds > 1 ? { kind: "busy" } : failed(error);
    }
  }

  function inTurn(exchange: Exchange): Promise<Exchanged> {
    waiting += 1;
    const done = tail.then(() => {
      if (exchange.joinable === true) joinable = undefined;
      return attempt(exchange);
    });
    const end = () => {
      waiting -= 1;
    };
    tail = done.then(end, end);
    return done;
  }

  return {
    get isDown() {
      return failure !== undefined;
    },
    get isStale() {
      return waiting === 0 && !isRecent();
    },
    exchange(exchange) {
      if (exchange.joinable !== true) return inTurn(exchange);
      joinable ??= inTurn(exchange);
      return joinable;
    },
  };
}

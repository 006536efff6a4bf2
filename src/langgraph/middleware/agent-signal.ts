import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { Cancellation, cancellationOf } from "../../core/abort.js";
import { markerOf } from "../attempt-scope.js";

/** The end of an agent's tool call, whoever asked for it, and what it has begun by then. */
interface AgentSignal {
  /** For the call and the waits within it. */
  readonly signal: AbortSignal;
  /** Why the agent has ended, if it has and the run has not. */
  readonly reason: unknown;
  /** Whether the call has begun an effect that must not happen twice, in whichever attempt. */
  readonly hasEffects: boolean;
  /** Ends with this signal as well. */
  follow(signal: AbortSignal | undefined): void;
  dispose(): void;
}

/**
 * A signal that also ends with the `signal` that `createAgent` was given. Only the tools of the agent are called with
 * that; the waits between attempts are to end with it as well.
 */
export function agentSignal(config: LangGraphRunnableConfig): AgentSignal {
  const within = cancellationOf(config.signal) ?? markerOf(config)?.running.scope;
  const call = new Cancellation({ outer: config.signal, within });
  const ends = new Set<() => void>();
  let reason: unknown;
  const end = (signal: AbortSignal) => {
    if (config.signal?.aborted === true) return;
    reason = signal.reason;
    call.abort(reason);
  };
  return {
    signal: call.signal,
    get reason() {
      return reason;
    },
    get hasEffects() {
      return call.effects !== undefined;
    },
    follow(signal) {
      if (signal === undefined) return;
      if (signal.aborted) end(signal);
      const listener = () => end(signal);
      signal.addEventListener("abort", listener, { once: true });
      ends.add(() => signal.removeEventListener("abort", listener));
    },
    dispose() {
      for (const letGo of ends) letGo();
      call.dispose();
    },
  };
}

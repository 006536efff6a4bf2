import { unlessAborted } from "../core/abort.js";
import { rethrowControlFlow } from "../errors/control-flow.js";
import { asError } from "../errors/own-errors.js";

/**
 * What a callback of the user's answers, or undefined where it is broken: it must not hide the failure it was told of.
 *
 * @throws LangGraph's control flow; the signal's reason, without waiting for the callback any longer
 */
export async function heard<T>(
  option: string,
  call: () => T,
  signal?: AbortSignal | undefined,
): Promise<Awaited<T> | undefined> {
  try {
    const answer = call();
    return await (answer instanceof Promise ? unlessAborted(answer, signal) : answer);
  } catch (broken) {
    rethrowControlFlow(broken);
    if (signal?.aborted === true) throw signal.reason;
    process.emitWarning(`${option} threw and was passed over: ${String(asError(broken))}`, "ResilienceWarning");
    return undefined;
  }
}

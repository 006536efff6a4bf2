import { rethrowControlFlow } from "../errors/control-flow.js";
import { asError } from "../errors/own-errors.js";

/**
 * What a callback of the user's answers, or undefined where it is broken: it must not hide the failure it was told of.
 *
 * @throws LangGraph's control flow
 */
export async function heard<T>(option: string, call: () => T): Promise<Awaited<T> | undefined> {
  try {
    return await call();
  } catch (broken) {
    rethrowControlFlow(broken);
    process.emitWarning(`${option} threw and was passed over: ${String(asError(broken))}`, "ResilienceWarning");
    return undefined;
  }
}

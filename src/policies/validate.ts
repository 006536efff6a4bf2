import { rethrowControlFlow } from "../errors/control-flow.js";
import { asError, MalformedOutputError } from "../errors/own-errors.js";

/**
 * Asks the user's `validate` what is wrong with a result, if anything.
 *
 * @throws MalformedOutputError with what it says, or with what it throws
 */
export async function refuseInvalid(
  validate: (result: never) => unknown,
  result: unknown,
  what: () => string,
): Promise<void> {
  let fault: unknown;
  let cause: Error | undefined;
  try {
    fault = await validate(result as never);
  } catch (error) {
    rethrowControlFlow(error);
    cause = asError(error);
    fault = cause.message;
  }
  if (typeof fault !== "string" || (fault === "" && cause === undefined)) return;
  throw new MalformedOutputError(`${what()} returned what its validation refuses: ${fault}`, { cause });
}

import { inspect } from "node:util";
import { expect } from "vitest";
import { DeliveryError } from "../../../src/notifications/delivery-error.js";

/** What a send that has to fail rejects with; whatever can be read of it holds none of the secrets. */
export async function failureOf(send: Promise<void>, secrets: readonly string[]): Promise<DeliveryError> {
  const error = await send.then(
    () => Promise.reject(new Error("It was sent, and the test is about its failure")),
    (thrown: unknown) => thrown,
  );
  hidesAll(error, secrets);
  expect(error).toBeInstanceOf(DeliveryError);
  return error as DeliveryError;
}

export function hidesAll(said: unknown, secrets: readonly string[]): void {
  const everything = [
    inspect(said, { depth: 20, showHidden: true, maxStringLength: null }),
    JSON.stringify(said),
    String((said as Error).stack),
  ].join("\n");
  for (const secret of secrets) expect(everything).not.toContain(secret);
}

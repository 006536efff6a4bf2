import type { EffectState } from "../core/effect-ports.js";
import { redact, redactText } from "../core/redact.js";

/** Characters of what came of an effect on a terminal; --json has more. */
const maxText = 80;

interface Outcome {
  readonly state: EffectState;
  readonly receipt?: unknown;
  readonly error?: { readonly message: string };
}

/** What an effect gave back, or why it did not, in one line without secrets. */
export function effectResult({ state, receipt, error }: Outcome): string {
  // What a person said of it leaves the error that made them be asked.
  const isDone = state === "confirmed" || state === "compensated";
  const shown = error !== undefined && !isDone ? redactText(error.message) : (JSON.stringify(redact(receipt)) ?? "");
  const line = shown.replace(/\s+/g, " ");
  return line.length > maxText ? `${line.slice(0, maxText - 1)}…` : line;
}

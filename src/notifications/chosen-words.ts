import type { z } from "zod";
import type { Notice } from "../core/notice-ports.js";
import { oneLine } from "./plain-text.js";

/**
 * What the template of a channel makes of a notice; where it throws or makes something else than `schema` says, the
 * built-in words and a process warning: a broken template costs nobody a message.
 */
export function chosenWords<T>(
  channel: string,
  notice: Notice,
  template: ((notice: Notice) => unknown) | undefined,
  schema: z.ZodType<T>,
  builtIn: (notice: Notice) => T,
): T {
  if (template === undefined) return builtIn(notice);
  try {
    const made = template(notice);
    // Nobody waits for it, and its failure must not end the process.
    if (made instanceof Promise) made.catch(() => undefined);
    const parsed = schema.safeParse(made instanceof Promise ? undefined : made);
    if (parsed.success) return parsed.data;
    warn(
      channel,
      parsed.error.issues.map(({ path, message }) => `${path.join(".") || "result"}: ${message}`).join("; "),
    );
  } catch (error) {
    warn(channel, error instanceof Error ? error.message : String(error));
  }
  return builtIn(notice);
}

function warn(channel: string, because: string): void {
  process.emitWarning(
    `The template of channel "${channel}" made no usable message, and the built-in one was sent: ${oneLine(because, 300)}`,
    "ResilienceWarning",
  );
}

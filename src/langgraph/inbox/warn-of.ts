import type { InboxItem } from "../../core/inbox-ports.js";
import { redactText } from "../../core/redact.js";
import { asError } from "../../errors/own-errors.js";

/** What goes wrong with one question ends nothing, and is not kept quiet. @param what without its object */
export function warnOf({ id }: Pick<InboxItem, "id">, what: string, error: unknown): void {
  warn(`${what} question ${id}`, error);
}

export function warn(what: string, error: unknown): void {
  process.emitWarning(`${what}: ${redactText(asError(error).message)}`, "InboxWarning");
}

/** A question by its ID, or by the beginning of it. */
import type { InboxStore, StoredInboxItem } from "../../../core/inbox-ports.js";
import { ConfigError } from "../../../errors/own-errors.js";
import { commandName } from "../../command-name.js";
import { most } from "./filter.js";
import { printable, shortIds, threadOf } from "./words.js";

/** So many are named of those that a beginning fits. */
const maxNamed = 5;

/**
 * Of several that begin so the one that is open, if one is: lists show the open ones.
 *
 * @throws ConfigError where there is none, or are several
 */
export async function questionOf(inbox: InboxStore, given: string): Promise<StoredInboxItem> {
  const wanted = given.trim();
  if (wanted === "") throw new ConfigError(`Say which question: ${commandName()} inbox lists their IDs`);
  const exact = await inbox.get(wanted);
  if (exact !== undefined) return exact;
  for (const state of ["pending", "all"] as const) {
    const looked = await inbox.list({ state, limit: most });
    const matching = looked.filter(({ id }) => id.startsWith(wanted));
    const [only, ...others] = matching;
    if (only !== undefined && others.length === 0) return only;
    if (others.length > 0) throw ambiguous(wanted, matching);
    if (state === "all") throw unknown(wanted, looked.length === most);
  }
  throw unknown(wanted, false);
}

function ambiguous(given: string, matching: readonly StoredInboxItem[]): ConfigError {
  const short = shortIds(matching.map(({ id }) => id));
  const named = matching
    .slice(0, maxNamed)
    .map((item) => `${short.get(item.id)} (thread ${printable(threadOf(item))})`)
    .join(", ");
  const more = matching.length > maxNamed ? `, and ${matching.length - maxNamed} more` : "";
  return new ConfigError(
    `"${given}" is the beginning of ${matching.length} questions: ${named}${more}; give more of the ID`,
  );
}

function unknown(given: string, isTooMany: boolean): ConfigError {
  const why = isTooMany ? `; only the oldest ${most} are looked through, so give the whole ID` : "";
  return new ConfigError(
    `There is no question "${given}" in the inbox${why}. The open ones: ${commandName()} inbox; all: ${commandName()} inbox --state all`,
  );
}

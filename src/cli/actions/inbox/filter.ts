/** Which questions the flags ask for. */
import type { InboxFilter, InboxItem, InboxState } from "../../../core/inbox-ports.js";
import type { Persistence } from "../../../core/ports.js";
import { ConfigError } from "../../../errors/own-errors.js";
import { holderOf, peopleOf } from "../../../recovery/inbox-life.js";
import { personOf } from "../../person.js";
import { storedThread } from "../../stored-thread.js";

export interface InboxFlags {
  readonly state?: InboxState | "all";
  readonly graph?: string;
  readonly thread?: string;
  readonly node?: string;
  readonly kind?: string;
  readonly for?: string;
  readonly claimedBy?: string;
  readonly mine?: true;
  readonly as?: string;
  readonly overdue?: true;
}

/** What the persistence looks for, and what is picked out of that here. */
export interface Wanted {
  readonly state: InboxState | "all";
  readonly filter: InboxFilter;
  /** Whether anything is picked out here. */
  readonly picks: boolean;
  readonly isWanted: (item: InboxItem, nowMs: number) => boolean;
  /** Whether any of the flags leaves questions out. */
  readonly isFiltered: boolean;
}

/** The most that is looked through for what the persistence does not look for itself. */
export const most = 10_000;

/**
 * @throws ConfigError for flags that do not go together
 * @throws ThreadError THREAD_NOT_FOUND
 */
export async function wantedOf(flags: InboxFlags, persistence: Persistence): Promise<Wanted> {
  const { state = "pending", graph, thread, node, kind, for: person, overdue } = flags;
  const holder = checkedHolder(flags);
  if (overdue !== undefined && state !== "pending")
    throw new ConfigError(`--overdue is of open questions; leave out --state ${state}, or --overdue`);
  const filter: InboxFilter = {
    state,
    ...(graph === undefined ? {} : { graph }),
    ...(thread === undefined ? {} : { threadId: await storedThread(persistence, thread) }),
    ...(node === undefined ? {} : { node }),
    ...(kind === undefined ? {} : { kind }),
  };
  const picks = [person, holder, overdue].some((given) => given !== undefined);
  return {
    state,
    filter,
    picks,
    isFiltered: picks || Object.keys(filter).length > 1,
    isWanted: (item, nowMs) =>
      (person === undefined || peopleOf(item).includes(person)) &&
      (holder === undefined || holderOf(item, nowMs)?.by === holder) &&
      (overdue === undefined || (item.dueAt !== undefined && item.dueAt <= nowMs)),
  };
}

/** By whom the questions are to be claimed. */
function checkedHolder({ mine, claimedBy, as, state = "pending" }: InboxFlags): string | undefined {
  if (mine === undefined && as !== undefined) throw new ConfigError("--as goes with --mine here: it says who you are");
  if (mine === undefined && claimedBy === undefined) return undefined;
  if (mine !== undefined && claimedBy !== undefined)
    throw new ConfigError("--mine and --claimed-by name two people; give one of them");
  if (state !== "pending")
    throw new ConfigError(
      `Only open questions are claimed: leave out --state ${state}, or ${mine === undefined ? "--claimed-by" : "--mine"}`,
    );
  return claimedBy ?? personOf(as);
}

/** What people and processes do to the items of an inbox, however many at once. */
import { AUTOMATIC } from "../core/audit-ports.js";
import { type Clock, systemClock } from "../core/clock.js";
import type { InboxItem, InboxState, InboxStore, StoredInboxItem } from "../core/inbox-ports.js";
import type { Persistence } from "../core/ports.js";
import { ConfigError, DecisionRefusedError } from "../errors/own-errors.js";
import { claimed, holderOf, type InboxChange, released } from "./inbox-life.js";

/**
 * Changes an item as it is by then, however many change it at once.
 *
 * @param change undefined where nothing is to be changed
 * @param states of items that may be changed
 * @returns as it is then; undefined when there is none, or none in such a state
 */
export async function changeItem(
  inbox: InboxStore,
  id: string,
  change: (item: StoredInboxItem) => InboxChange | undefined,
  states: readonly InboxState[] = ["pending"],
): Promise<StoredInboxItem | undefined> {
  for (;;) {
    const stored = await inbox.get(id);
    if (stored === undefined || !states.includes(stored.state)) return undefined;
    const wanted = change(stored);
    if (wanted === undefined) return stored;
    const written = await inbox.change(wanted.item, stored.version, wanted.note);
    if (written !== undefined) return written;
  }
}

/** @throws ConfigError for a persistence whose plugin has no inbox */
export function inboxOf(
  persistence: Pick<Persistence, "inbox" | "description"> | undefined,
  caller: string,
): InboxStore {
  if (persistence?.inbox !== undefined) return persistence.inbox;
  throw new ConfigError(
    `${caller}: the ${persistence?.description ?? "graph's checkpointer is not from openPersistence(), and"} keeps no inbox`,
  );
}

export interface ClaimOptions {
  /** Who works on it. */
  readonly by: string;
  /** For how long others are kept from it, in milliseconds; default 30 minutes. */
  readonly forMs?: number;
  /** Takes it from whoever has it; default false. */
  readonly force?: boolean;
  /** Default: the system clock. */
  readonly clock?: Clock;
}

const claimMs = 30 * 60_000;
const longestClaimMs = 30 * 24 * 3_600_000;

/**
 * Keeps a question for one person: others are refused until the claim is given back, is over, or is taken from them.
 *
 * @throws DecisionRefusedError when there is no such question, it is not open any more, or somebody else works on it
 */
export async function claimInboxItem(
  persistence: Pick<Persistence, "inbox" | "description">,
  id: string,
  { by, forMs = claimMs, force = false, clock = systemClock }: ClaimOptions,
): Promise<StoredInboxItem> {
  const inbox = inboxOf(persistence, "claimInboxItem()");
  if (!(forMs > 0 && forMs <= longestClaimMs))
    throw new ConfigError(
      `claimInboxItem(): option "forMs" has to be more than 0 and at most 30 days (${longestClaimMs}), not ${forMs}`,
    );
  const stored = await changeItem(inbox, id, (item) => {
    const at = clock.now();
    if (!force || isBeingExpired(item, at)) throwUnlessFree(item, by, at);
    return claimed(item, { by, at }, at + forMs);
  });
  return stored ?? notPending(inbox, id);
}

/**
 * Gives a question back that one has claimed; one that is free stays so.
 *
 * @throws DecisionRefusedError when there is no such question, it is not open any more, or somebody else works on it
 */
export async function releaseInboxItem(
  persistence: Pick<Persistence, "inbox" | "description">,
  id: string,
  { by, clock = systemClock }: Pick<ClaimOptions, "by" | "clock">,
): Promise<StoredInboxItem> {
  const inbox = inboxOf(persistence, "releaseInboxItem()");
  const stored = await changeItem(inbox, id, (item) => {
    const at = clock.now();
    throwUnlessFree(item, by, at);
    return item.claim === undefined ? undefined : released(item, { by, at });
  });
  return stored ?? notPending(inbox, id);
}

function isBeingExpired(item: InboxItem, nowMs: number): boolean {
  return holderOf(item, nowMs)?.by === AUTOMATIC;
}

/** @throws DecisionRefusedError where somebody else has the question, or its default action is being done */
export function throwUnlessFree(item: InboxItem, by: string, nowMs: number): void {
  const claim = holderOf(item, nowMs);
  if (claim === undefined || claim.by === by) return;
  if (claim.by === AUTOMATIC)
    throw new DecisionRefusedError(
      `The time of question ${item.id} is over, and "${item.plan?.onExpiry?.action}" is being done just now`,
    );
  throw new DecisionRefusedError(
    `${claim.by} works on question ${item.id} until ${new Date(claim.until).toISOString()}; ask them, or take it over: lgr inbox claim ${item.id} --force`,
  );
}

/** @throws DecisionRefusedError saying what became of it */
export async function notPending(inbox: InboxStore, id: string): Promise<never> {
  const stored = await inbox.get(id);
  throw new DecisionRefusedError(
    stored === undefined ? `There is no question ${id} in the inbox` : `Question ${id} is not open: ${endOf(stored)}`,
  );
}

/** What became of a question, in a few words. */
export function endOf({ state, resolution }: InboxItem): string {
  const { by, at = 0, action } = resolution ?? {};
  const when = new Date(at).toISOString();
  switch (state) {
    case "pending":
      return "it waits for an answer";
    case "resolved":
      return `${by} answered it with "${action}" at ${when}`;
    case "expired":
      return `its time was over, and "${action}" was done at ${when}`;
    case "withdrawn":
      return "its thread went on without an answer";
  }
}

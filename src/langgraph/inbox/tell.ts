/** Tells people of the questions that wait for them. */
import type { Clock } from "../../core/clock.js";
import type { InboxStore, PendingNotice, StoredInboxItem } from "../../core/inbox-ports.js";
import type { Channel, Notice } from "../../core/notice-ports.js";
import type { Persistence } from "../../core/ports.js";
import { redactText } from "../../core/redact.js";
import { shellQuote } from "../../core/shell-quote.js";
import { AttemptTimeoutError, asError } from "../../errors/own-errors.js";
import { withTimeLimit } from "../../policies/timeout.js";
import { peopleOf } from "../../recovery/inbox-life.js";
import { channelsFor, isGivenUp, leased, type Sending, sent } from "../../recovery/inbox-notices.js";

export interface Teller {
  readonly persistence: Persistence;
  readonly inbox: InboxStore;
  readonly channels: readonly Channel[];
  /** Where the console is, for links. */
  readonly consoleUrl: string | undefined;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** So long one process has the notices of an item to itself: longer than channels take with all their tries. */
const leaseMs = 120_000;
/** Of one message through one channel, with all its tries. */
const longestMs = 100_000;
const pageSize = 20;

/**
 * Sends what is to be sent by now. Of several processes one sends each notice; one that dies in the middle leaves it to
 * another, which may send it again under the same ID.
 *
 * @returns how many were sent, and how many could not be
 */
export async function tellPeople(teller: Teller): Promise<{ sent: number; failed: number }> {
  const count = { sent: 0, failed: 0 };
  if (teller.channels.length === 0) return count;
  const { inbox, clock, signal } = teller;
  while (!signal.aborted) {
    const items = await inbox.unsent(clock.now(), pageSize);
    const told = await Promise.all(items.map((item) => tellOf(teller, item)));
    for (const sendings of told)
      for (const { error } of sendings ?? []) count[error === undefined ? "sent" : "failed"] += 1;
    if (items.length < pageSize) break;
  }
  return count;
}

/** @returns undefined when another process sends them */
async function tellOf(teller: Teller, stored: StoredInboxItem): Promise<readonly Sending[] | undefined> {
  const { inbox, clock, channels } = teller;
  const own = await inbox.change(leased(stored, clock.now() + leaseMs), stored.version);
  if (own === undefined) return undefined;
  const due = (own.notices ?? []).filter(({ attempts, at }) => attempts > 0 || at <= clock.now());
  const sendings = (
    await Promise.all(
      due.flatMap((notice) => channelsFor(own, notice, channels).map((channel) => send(teller, channel, own, notice))),
    )
  ).filter((one) => one !== undefined);
  await noteSent(inbox, own, new Set(due.map(({ id }) => id)), sendings, clock);
  return sendings;
}

/** @returns undefined where the process is told to stop: another sends it */
async function send(
  { persistence, consoleUrl, clock, signal }: Teller,
  channel: Channel,
  { version: _, notices: __, notifyAt: ___, ...item }: StoredInboxItem,
  pending: PendingNotice,
): Promise<Sending | undefined> {
  const { id: notice, event, at } = pending;
  const link = consoleUrl === undefined ? {} : { url: `${consoleUrl.replace(/\/+$/, "")}/inbox/${item.id}` };
  const command = `npx lgr inbox show ${shellQuote(item.id)}`;
  const message: Notice = { v: 1, id: notice, event, at, to: peopleOf(item), item, command, ...link };
  const context = { threadId: item.threadId, ...(item.graph === undefined ? {} : { graph: item.graph }) };
  const told = { item: item.id, event, channel: channel.name };
  try {
    await withinTime(clock, signal, (limited) => channel.send(message, limited));
    persistence.events.emit("inbox.notified", context, told);
    return { notice, event, channel: channel.name };
  } catch (thrown) {
    if (signal.aborted) return undefined;
    const error = redactText(asError(thrown).message);
    const gaveUp = isGivenUp(pending);
    persistence.events.emit("inbox.notify_failed", context, { ...told, message: error, gaveUp });
    const next = gaveUp ? "it is not tried again" : "it is tried again later";
    process.emitWarning(
      `Channel "${channel.name}" could not tell of question ${item.id} (${event}); ${next}: ${error}`,
      "InboxWarning",
    );
    return { notice, event, channel: channel.name, error };
  }
}

async function noteSent(
  inbox: InboxStore,
  own: StoredInboxItem,
  tried: ReadonlySet<string>,
  sendings: readonly Sending[],
  clock: Clock,
): Promise<void> {
  for (let stored: StoredInboxItem | undefined = own; stored !== undefined; stored = await inbox.get(own.id)) {
    const change = sent(stored, tried, sendings, clock.now());
    const note = "note" in change ? change.note : undefined;
    if ((await inbox.change(change.item, stored.version, note)) !== undefined) return;
  }
}

/** Channels have time limits of their own; one that does not keep them must not keep the others waiting. */
function withinTime(clock: Clock, outer: AbortSignal, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const onLimit = () => new AttemptTimeoutError("The message", longestMs);
  return withTimeLimit((scope) => work(scope.signal), { limitMs: longestMs, onLimit, clock, outer });
}

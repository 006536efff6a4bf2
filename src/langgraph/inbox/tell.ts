/** Tells people of the questions that wait for them. */
import type { Clock } from "../../core/clock.js";
import type { InboxItem, InboxStore, PendingNotice, StoredInboxItem } from "../../core/inbox-ports.js";
import type { Channel, Notice } from "../../core/notice-ports.js";
import type { Persistence } from "../../core/ports.js";
import { redactText } from "../../core/redact.js";
import { shellQuote } from "../../core/shell-quote.js";
import { AttemptTimeoutError, asError } from "../../errors/own-errors.js";
import { withTimeLimit } from "../../policies/timeout.js";
import { peopleOf } from "../../recovery/inbox-life.js";
import {
  channelsFor,
  dueNotices,
  isGivenUp,
  leased,
  type Sending,
  sent,
  type Telling,
} from "../../recovery/inbox-notices.js";
import { eachPage } from "./each-page.js";
import { warnOf } from "./warn-of.js";

export interface Teller {
  readonly persistence: Persistence;
  readonly inbox: InboxStore;
  readonly channels: readonly Channel[];
  /** Where the console is, for links. */
  readonly consoleUrl: string | undefined;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Versions of items, by ID, that are left alone; one of which people cannot be told is added. */
  readonly untellable: Map<string, number>;
}

/** So long one process has the notices of an item to itself: longer than channels take with all their tries. */
const leaseMs = 120_000;
/** Of one message through one channel, with all its tries. */
const longestMs = 100_000;
const pageSize = 20;

/**
 * Sends what is to be sent by now. Of several processes one sends each notice; one that dies in the middle leaves it to
 * another, which may send it again under the same ID. One that is stopped gives back at once what it has not sent.
 *
 * @param onTold called for each message that was sent, or could not be
 */
export async function tellPeople(teller: Teller, onTold: (isSent: boolean) => void): Promise<void> {
  const { inbox, channels, clock, signal } = teller;
  if (channels.length === 0) return;
  const read = (limit: number) => inbox.unsent(clock.now(), limit);
  await eachPage(read, { first: pageSize }, signal, async (page) => {
    const stay = await Promise.all(page.map((item) => tellOf(teller, item, onTold)));
    return stay.filter(Boolean).length;
  });
}

/**
 * Never rejects: what goes wrong with one is no matter of the others.
 *
 * @returns whether its notices stay as they are
 */
async function tellOf(teller: Teller, stored: StoredInboxItem, onTold: (isSent: boolean) => void): Promise<boolean> {
  const { inbox, clock, channels, untellable } = teller;
  // Of a newer version of this package, which tells of it.
  if (stored.v !== 1 || untellable.get(stored.id) === stored.version) return true;
  try {
    const until = clock.now() + leaseMs;
    const own = await inbox.change(leased(stored, until), stored.version);
    if (own === undefined) return false;
    const due = dueNotices(own, clock.now());
    const stopped = new Set<string>();
    const sending = due.flatMap((notice) =>
      channelsFor(own, notice, channels).map(async (channel) => {
        const one = await send(teller, channel, own, notice);
        if (one === undefined) stopped.add(notice.id);
        else onTold(one.error === undefined);
        return one ?? [];
      }),
    );
    const sendings = (await Promise.all(sending)).flat();
    const telling = { tried: new Set(due.map(({ id }) => id)), stopped, sendings, until };
    await noteSent(inbox, own, telling, clock);
    return false;
  } catch (error) {
    untellable.set(stored.id, stored.version);
    warnOf(stored, "People could not be told of", error);
    return true;
  }
}

/** @returns undefined where the process is told to stop: another sends it */
async function send(
  { persistence, consoleUrl, clock, signal }: Teller,
  channel: Channel,
  stored: StoredInboxItem,
  pending: PendingNotice,
): Promise<Sending | undefined> {
  const { id: notice, event, at } = pending;
  const item = shownToChannels(stored);
  const link = consoleUrl === undefined ? {} : { url: `${consoleUrl.replace(/\/+$/, "")}/inbox/${item.id}` };
  const command = `npx lgr inbox show ${shellQuote(item.id)}`;
  const message: Notice = { v: 1, id: notice, event, at, to: peopleOf(item), item, command, ...link };
  const context = { threadId: item.threadId, ...(item.graph === undefined ? {} : { graph: item.graph }) };
  const told = { item: item.id, event, channel: channel.name };
  try {
    // One written without types may give no promise, or throw before it could.
    await withinTime(clock, signal, async (limited) => await channel.send(message, limited));
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

/** Without what is for sweeps alone, and without what the default action answers: that is kept as it is, secrets too. */
function shownToChannels({
  version: _,
  notices: __,
  notifyAt: ___,
  tellingUntil: ____,
  plan,
  ...item
}: StoredInboxItem): InboxItem {
  if (plan?.onExpiry === undefined) return { ...item, ...(plan === undefined ? {} : { plan }) };
  return { ...item, plan: { ...plan, onExpiry: { action: plan.onExpiry.action } } };
}

async function noteSent(inbox: InboxStore, own: StoredInboxItem, telling: Telling, clock: Clock): Promise<void> {
  for (let stored: StoredInboxItem | undefined = own; stored !== undefined; stored = await inbox.get(own.id)) {
    const change = sent(stored, telling, clock.now());
    const note = "note" in change ? change.note : undefined;
    if ((await inbox.change(change.item, stored.version, note)) !== undefined) return;
  }
}

/** Channels have time limits of their own; one that does not keep them must not keep the others waiting. */
function withinTime(clock: Clock, outer: AbortSignal, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const onLimit = () => new AttemptTimeoutError("The message", longestMs);
  return withTimeLimit((scope) => work(scope.signal), { limitMs: longestMs, onLimit, clock, outer });
}

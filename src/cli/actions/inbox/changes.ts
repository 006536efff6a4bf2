/** What has become of questions between two looks at the inbox. */
import { AUTOMATIC } from "../../../core/audit-ports.js";
import type { InboxFilter, InboxItem, InboxStore, StoredInboxItem } from "../../../core/inbox-ports.js";
import { endOf } from "../../../recovery/inbox-change.js";
import { most } from "./filter.js";
import { peopleText, printable } from "./words.js";

export interface Change {
  /** For machines: opened, reopened, escalated, answered, claimed, released, expiring, reminded, overdue, deleted, or the state it has come to. */
  readonly what: string;
  readonly text: string;
  /** As it is now; one that was deleted as it was. */
  readonly item: StoredInboxItem;
  readonly before?: StoredInboxItem;
}

/** The open questions as they were seen last. */
export type Seen = Map<string, StoredInboxItem>;

export async function look(inbox: InboxStore, filter: InboxFilter): Promise<Seen> {
  const items = await inbox.list({ ...filter, state: "pending", limit: most });
  return new Map(items.map((item) => [item.id, item]));
}

/** @returns what happened since, and what is open now; it reads what is open, and each that is not any more once */
export async function lookAgain(
  inbox: InboxStore,
  filter: InboxFilter,
  seen: Seen,
): Promise<{ readonly changes: readonly Change[]; readonly seen: Seen }> {
  const now = await look(inbox, filter);
  const changes: Change[] = [];
  for (const before of seen.values()) {
    if (now.has(before.id)) continue;
    const item = await inbox.get(before.id);
    // It was opened again in between.
    if (item?.state === "pending") now.set(item.id, item);
    else if (item === undefined) changes.push({ what: "deleted", text: "deleted with its thread", item: before });
    else changes.push({ what: item.state, text: `${item.state}: ${endOf(item)}`, item, before });
  }
  for (const item of now.values()) {
    const before = seen.get(item.id);
    for (const change of changesOf(before, item)) changes.push(before === undefined ? change : { ...change, before });
  }
  return { changes, seen: now };
}

type Words = readonly [what: string, text: string];

function changesOf(before: StoredInboxItem | undefined, item: StoredInboxItem): Change[] {
  if (before?.version === item.version) return [];
  const people = peopleText(item);
  const found: Words[] = [];
  if (before === undefined) found.push(["opened", `asks ${people}: ${printable(item.summary)}`]);
  const since: Partial<InboxItem> & Pick<InboxItem, "reminders" | "level"> = before ?? {
    reminders: 0,
    level: item.level,
  };
  if (item.level !== since.level) found.push(["escalated", `escalated to ${people}`]);
  if (item.reminders > since.reminders) found.push(["reminded", `reminded ${people}`]);
  if (item.overdue === true && since.overdue !== true) found.push(["overdue", "overdue"]);
  const held = item.answer?.at === since.answer?.at ? claimChange(since.claim, item) : answerChange(item);
  if (held !== undefined) found.push(held);
  return found.map(([what, text]) => ({ what, text, item }));
}

function claimChange(before: InboxItem["claim"], { claim, plan }: InboxItem): Words | undefined {
  if (claim === undefined) return before && ["released", "free again"];
  if (claim.by === before?.by && claim.until === before.until) return undefined;
  return claim.by === AUTOMATIC
    ? ["expiring", `its time is over: "${plan?.onExpiry?.action}" is being done`]
    : ["claimed", `claimed by ${printable(claim.by)} until ${new Date(claim.until).toISOString()}`];
}

/** An answer that is being taken in holds the question too. */
function answerChange({ answer }: InboxItem): Words | undefined {
  return answer && ["answered", `answered with "${printable(answer.action)}" by ${printable(answer.by)}`];
}

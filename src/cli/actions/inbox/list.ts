import { systemClock } from "../../../core/clock.js";
import type { InboxItem, StoredInboxItem } from "../../../core/inbox-ports.js";
import { inboxOf } from "../../../recovery/inbox-change.js";
import { peopleOf } from "../../../recovery/inbox-life.js";
import { commandName } from "../../command-name.js";
import { type GlobalOptions, withScope } from "../../command-scope.js";
import { positiveInteger } from "../../option-values.js";
import type { Output } from "../../output.js";
import { type InboxFlags, most, type Wanted, wantedOf } from "./filter.js";
import { inboxTable } from "./rows.js";
import { shortIds } from "./words.js";

export interface ListFlags extends InboxFlags {
  readonly limit: string;
}

export async function listInbox(flags: ListFlags, global: GlobalOptions): Promise<void> {
  const limit = positiveInteger("--limit", flags.limit);
  await withScope(global, async ({ output, persistence }) => {
    const inbox = inboxOf(persistence, "lgr inbox");
    const wanted = await wantedOf(flags, persistence);
    const looked = await inbox.list({ ...wanted.filter, limit: wanted.picks ? Math.max(most, limit + 1) : limit + 1 });
    const nowMs = systemClock.now();
    const found = looked.filter((item) => wanted.isWanted(item, nowMs));
    const shown = found.slice(0, limit);
    if (shown.length === 0) printNone(output, wanted, persistence.description);
    else printQuestions(output, shown, wanted.state, nowMs);
    if (shown.length === 0) return;
    output.line();
    if (found.length > limit) output.line(`These are the oldest ${limit}; there are more:  --limit ${limit * 10}`);
    for (const line of hintLines(shown, wanted)) output.line(line);
  });
}

export function printQuestions(
  output: Output,
  items: readonly StoredInboxItem[],
  state: Wanted["state"],
  nowMs: number,
): void {
  for (const item of items) output.object(questionObject(item));
  if (output.json) return;
  const width = process.stdout.columns ?? Number.POSITIVE_INFINITY;
  for (const line of inboxTable(items, { state, nowMs, width })) output.line(line);
}

/** What was to be hidden of an item is, since before it was stored. */
export function questionObject(item: StoredInboxItem): object {
  return { type: "question", ...item, people: peopleOf(item) };
}

function hintLines(shown: readonly InboxItem[], { state }: Wanted): string[] {
  const [first] = shown;
  const id = first === undefined ? "<id>" : (shortIds(shown.map((one) => one.id)).get(first.id) ?? first.id);
  const lgr = `${commandName()} inbox`;
  if (state !== "pending") return [`What was asked, and what became of it:  ${lgr} show ${id}`];
  return [
    `What is asked, and how to answer:  ${lgr} show ${id}`,
    `Answer it:                         ${lgr} resolve ${id} --action …`,
  ];
}

function printNone(output: Output, { isFiltered, state }: Wanted, where: string): void {
  const lgr = commandName();
  const which = { pending: " open", resolved: " answered", expired: " expired", withdrawn: " withdrawn", all: "" }[
    state
  ];
  output.line(
    isFiltered
      ? `The inbox has no${which} question like that in ${where}. All that are open:  ${lgr} inbox`
      : `The inbox has no${which} question in ${where}.`,
  );
  if (!isFiltered && state === "pending") output.line(`Those that were answered:  ${lgr} inbox --state resolved`);
  output.line(`Threads that wait, for interrupts of a graph's own too:  ${lgr} threads --status waiting_human`);
}

import { shellQuote } from "../../../core/shell-quote.js";
import { claimInboxItem, inboxOf, releaseInboxItem } from "../../../recovery/inbox-change.js";
import { commandName } from "../../command-name.js";
import { type GlobalOptions, withScope } from "../../command-scope.js";
import { durationMs } from "../../option-values.js";
import { personOf } from "../../person.js";
import { questionOf } from "./find.js";
import { questionObject } from "./list.js";
import { nameOf, shortId } from "./words.js";

export interface ClaimFlags {
  readonly for?: string;
  readonly force?: true;
  readonly as?: string;
}

export async function claimQuestion(given: string, flags: ClaimFlags, global: GlobalOptions): Promise<void> {
  const by = personOf(flags.as);
  const forMs = flags.for === undefined ? {} : { forMs: durationMs("--for", flags.for) };
  await withScope(global, async ({ output, persistence }) => {
    const { id } = await questionOf(inboxOf(persistence, "lgr inbox claim"), given);
    const item = await claimInboxItem(persistence, id, { by, ...forMs, force: flags.force === true });
    output.object(questionObject(item));
    const as = flags.as === undefined ? "" : ` --as ${shellQuote(flags.as)}`;
    const lgr = `${commandName()} inbox`;
    output.line(`Question ${nameOf(item)} is kept for ${by} until ${new Date(item.claim?.until ?? 0).toISOString()}.`);
    output.line(`Answer it:     ${lgr} resolve ${shortId(id)} --action …${as}`);
    output.line(`Give it back:  ${lgr} release ${shortId(id)}${as}`);
  });
}

export async function releaseQuestion(
  given: string,
  flags: Pick<ClaimFlags, "as">,
  global: GlobalOptions,
): Promise<void> {
  const by = personOf(flags.as);
  await withScope(global, async ({ output, persistence }) => {
    const inbox = inboxOf(persistence, "lgr inbox release");
    const before = await questionOf(inbox, given);
    const item = await releaseInboxItem(persistence, before.id, { by });
    output.object(questionObject(item));
    const isNew = item.version !== before.version;
    output.line(`Question ${nameOf(item)} ${isNew ? "is free again" : "was free already"}.`);
  });
}

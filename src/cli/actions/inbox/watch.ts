import { systemClock } from "../../../core/clock.js";
import { redactText } from "../../../core/redact.js";
import { asError } from "../../../errors/own-errors.js";
import { inboxOf } from "../../../recovery/inbox-change.js";
import { type GlobalOptions, withScope } from "../../command-scope.js";
import { EXIT } from "../../exit-codes.js";
import { durationMs } from "../../option-values.js";
import type { Output } from "../../output.js";
import { pause, stopRequest } from "../../until-stopped.js";
import { type Change, look, lookAgain } from "./changes.js";
import { type InboxFlags, wantedOf } from "./filter.js";
import { printQuestions, questionObject } from "./list.js";
import { cut, nameOf } from "./words.js";

export interface WatchFlags extends InboxFlags {
  readonly every: string;
}

/** @returns the exit code: to be stopped is how it ends */
export async function watchInbox(flags: WatchFlags, global: GlobalOptions): Promise<number> {
  const everyMs = durationMs("--every", flags.every);
  return await withScope(global, async ({ output, persistence }) => {
    const inbox = inboxOf(persistence, "lgr inbox watch");
    const { filter, isWanted } = await wantedOf(flags, persistence);
    const stop = stopRequest();
    try {
      let seen = await look(inbox, filter);
      const nowMs = systemClock.now();
      const open = [...seen.values()].filter((item) => isWanted(item, nowMs));
      if (open.length === 0) output.line("No open questions so far.");
      else printQuestions(output, open, "pending", nowMs);
      output.line(`Watching ${persistence.description}; Ctrl-C ends it.`);
      while (await pause(everyMs, stop.signal)) {
        try {
          const next = await lookAgain(inbox, filter, seen);
          seen = next.seen;
          for (const change of next.changes) if (concerns(change, isWanted)) printChange(output, change);
        } catch (error) {
          // A database that is away for a while ends no watch.
          process.stderr.write(`lgr: ${redactText(asError(error).message)}; looking again\n`);
        }
      }
      return EXIT.ok;
    } finally {
      stop.dispose();
    }
  });
}

/** Also what is no longer wanted by the change, such as one that was claimed by oneself and is free now. */
function concerns({ item, before }: Change, isWanted: (item: Change["item"], nowMs: number) => boolean): boolean {
  const nowMs = systemClock.now();
  return isWanted(item, nowMs) || (before !== undefined && isWanted(before, nowMs));
}

function printChange(output: Output, { what, text, item }: Change): void {
  output.object({ ...questionObject(item), type: "change", what });
  const line = `${new Date(systemClock.now()).toISOString()}  ${nameOf(item)}  ${text}`;
  output.line(cut(line, process.stdout.columns ?? Number.POSITIVE_INFINITY));
}

import { systemClock } from "../../core/clock.js";
import type { StoredEffect } from "../../core/effect-ports.js";
import { redact } from "../../core/redact.js";
import { shellQuote } from "../../core/shell-quote.js";
import { ConfigError } from "../../errors/own-errors.js";
import { type EffectOutcome, isOpen, listEffects, settleEffect } from "../../langgraph/effects/ledger-of-thread.js";
import { effectTimeMs, nodePath, shortKey } from "../../recovery/effects-so-far.js";
import { commandName } from "../command-name.js";
import { type CommandScope, type GlobalOptions, withScope } from "../command-scope.js";
import { effectResult } from "../effect-text.js";
import { jsonOption } from "../json-option.js";
import { personOf } from "../person.js";
import { storedThread } from "../stored-thread.js";
import { table } from "../table.js";

export interface EffectsFlags {
  readonly settle?: string;
  /** `true`: without a receipt. */
  readonly happened?: true | string;
  readonly didNotHappen?: true;
  readonly undone?: true;
  readonly as?: string;
  readonly reason?: string;
}

export async function effects(thread: string, flags: EffectsFlags, global: GlobalOptions): Promise<void> {
  const said = await outcomeOf(flags);
  await withScope(global, async (scope) => {
    const threadId = await storedThread(scope.persistence, thread);
    if (flags.settle === undefined || said === undefined) await list(scope, thread, threadId);
    else await settle(scope, thread, threadId, flags.settle, said);
  });
}

/** What the flags say of the effect; undefined when they are to list. */
async function outcomeOf(flags: EffectsFlags): Promise<EffectOutcome | undefined> {
  const { settle, happened, didNotHappen, undone, as, reason } = flags;
  if (settle === undefined) {
    for (const [flag, given] of Object.entries({ happened, "did-not-happen": didNotHappen, undone, as, reason })) {
      if (given !== undefined) throw new ConfigError(`--${flag} goes with --settle <key>`);
    }
    return undefined;
  }
  if ([happened, didNotHappen, undone].filter((given) => given !== undefined).length !== 1)
    throw new ConfigError(
      `--settle ${settle}: say what came of it, with one of --happened '<receipt>', --did-not-happen and --undone`,
    );
  const signed = { by: personOf(as), ...(reason === undefined ? {} : { reason }) };
  if (undone !== undefined) return { undone, ...signed };
  if (happened === undefined) return { happened: false, ...signed };
  return {
    happened: true,
    ...(happened === true ? {} : { receipt: await jsonOption("--happened", happened) }),
    ...signed,
  };
}

async function list({ output, persistence }: CommandScope, thread: string, threadId: string): Promise<void> {
  const entries = await listEffects(persistence, threadId);
  for (const entry of entries) output.object({ type: "effect", ...(redact(entry) as object) });
  if (entries.length === 0) {
    output.line(`Thread ${thread} has no recorded effects in ${persistence.description}.`);
    return;
  }
  for (const line of table(["STATE", "EFFECT", "STEP", "KEY", "CALLS", "WHEN", "WHAT"], entries.map(row)))
    output.line(line);
  const open = entries.filter((entry) => isOpen(entry, systemClock.now()));
  for (const line of howToSettle(open, thread)) output.line(line);
}

function row(entry: StoredEffect): string[] {
  const { state, effect, key, calls, origin, settledBy } = entry;
  const notes = [
    ...(origin === undefined ? [] : [`of branch ${shortKey(origin.key)}`]),
    ...(settledBy === undefined ? [] : [`says ${settledBy.by}`]),
  ];
  const result = effectResult(entry);
  return [
    state,
    effect,
    nodePath(entry),
    shortKey(key),
    String(calls),
    new Date(effectTimeMs(entry)).toISOString(),
    [notes.join(", "), result].filter((part) => part !== "").join(": "),
  ];
}

function howToSettle(open: readonly StoredEffect[], thread: string): string[] {
  const [first] = open;
  if (first === undefined) return [];
  const which = open.length === 1 ? `effect "${first.effect}"` : `${open.length} of them`;
  const command = `${commandName()} effects ${shellQuote(thread)} --settle ${open.length === 1 ? shortKey(first.key) : "<key>"}`;
  return [
    "",
    `It is not known whether ${which} happened. Resuming the thread finds out where an effect is idempotent or has a`,
    "probe. Else look it up where it would have happened, say so, and retry the step:",
    `  ${command} --happened '<its receipt as JSON>'`,
    `  ${command} --did-not-happen`,
  ];
}

async function settle(
  { output, persistence }: CommandScope,
  thread: string,
  threadId: string,
  key: string,
  said: EffectOutcome,
): Promise<void> {
  const settled = await settleEffect(persistence, thread, key, said);
  output.object({ type: "effect", ...(redact(settled) as object) });
  const came = "undone" in said ? "was undone by hand" : said.happened ? "happened" : "did not happen";
  output.line(
    `Effect "${settled.effect}" (${shortKey(settled.key)}) is ${settled.state}: it ${came}, says ${said.by}.`,
  );
  const asks = (await persistence.threads.get(threadId))?.status === "waiting_human";
  output.line(`Go on with:  ${commandName()} resume ${shellQuote(thread)}${asks ? " --action retry" : ""}`);
}

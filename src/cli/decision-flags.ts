import { ConfigError } from "../errors/own-errors.js";
import { targetOf } from "./actions/rollback.js";
import { jsonOption } from "./json-option.js";
import { personOf } from "./person.js";

/** The flags of an answer, as `addDecisionOptions` declares them. */
export interface DecisionFlags {
  readonly action?: string;
  readonly state?: string;
  readonly parameters?: string;
  readonly step?: string;
  readonly result?: string;
  readonly to?: string;
  readonly scope?: string;
  readonly transaction?: string;
  readonly acceptStanding?: true;
  readonly keepEffects?: true;
  readonly of?: string;
  readonly reason?: string;
  readonly as?: string;
}

/** As it was typed: what it answers says whether it fits. */
export interface Answer {
  readonly action: string;
  readonly by: string;
}

/** Which actions a flag goes with. */
const belonging: Readonly<Record<string, readonly string[]>> = {
  state: ["adjust"],
  parameters: ["adjust"],
  step: ["fallback"],
  result: ["provide"],
  to: ["escalate", "rollback"],
  scope: ["rollback"],
  transaction: ["rollback"],
  acceptStanding: ["rollback"],
  keepEffects: ["abort"],
};

/**
 * The decision the flags describe; undefined when they describe none.
 *
 * @throws ConfigError for a flag without what it goes with, and for what is not JSON
 */
export async function decisionOf(flags: DecisionFlags): Promise<Answer | undefined> {
  for (const [flag, actions] of Object.entries(belonging)) {
    if (flags[flag as keyof DecisionFlags] !== undefined && !actions.includes(flags.action ?? ""))
      throw new ConfigError(
        `--${flag.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} goes with --action ${actions.join(" or ")}`,
      );
  }
  for (const flag of ["of", "reason", "as"] as const) {
    if (flags[flag] !== undefined && flags.action === undefined) throw new ConfigError(`--${flag} goes with --action`);
  }
  if (flags.action === undefined) return undefined;
  return {
    action: flags.action,
    ...(flags.state === undefined ? {} : { state: await jsonOption("--state", flags.state) }),
    ...(flags.parameters === undefined ? {} : { parameters: await jsonOption("--parameters", flags.parameters) }),
    ...(flags.step === undefined ? {} : { step: flags.step }),
    ...(flags.result === undefined ? {} : { result: await jsonOption("--result", flags.result) }),
    ...(flags.to === undefined ? {} : { to: flags.action === "rollback" ? targetOf(flags.to) : flags.to }),
    ...(flags.scope === undefined ? {} : { scope: flags.scope }),
    ...(flags.transaction === undefined ? {} : { transaction: flags.transaction }),
    ...(flags.acceptStanding === undefined ? {} : { acceptStanding: true }),
    ...(flags.keepEffects === undefined ? {} : { compensate: false }),
    ...(flags.of === undefined ? {} : { of: flags.of }),
    ...(flags.reason === undefined ? {} : { reason: flags.reason }),
    by: personOf(flags.as),
  };
}

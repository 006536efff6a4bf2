/**
 * How a step is entered again after a person decided: `Send(node, reentry)` carries the node's exact input beside the
 * directive, so that it works for inputs of any type and the node itself never sees the directive.
 *
 * Only the human node may direct. It leaves a token in a channel of its own; an envelope without a token that is there
 * (data that came in from outside and happens or wants to look like one) is a plain input.
 */
import { randomUUID } from "node:crypto";
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import type { EffectScope } from "../core/effect-ports.js";
import type { AttemptRecord, DecisionRecord, Directive } from "../core/records.js";
import { sendsOf } from "./checkpoint-internals.js";
import { readChannel } from "./internals.js";

const KEY = "__lgr_reentry";

/** The channel of the tokens; installRecovery declares it. */
export const REENTRIES = "__lgr_reentries";

export interface Reentry {
  readonly v: 1;
  readonly input: unknown;
  readonly directive: Directive;
  readonly attempts: readonly AttemptRecord[];
  readonly decisions: readonly DecisionRecord[];
  /** The step at its first execution: what it did then is not done again. */
  readonly scope?: EffectScope;
  /** How often it was taken back without anybody having been asked. */
  readonly rolledBack?: number;
  /** ID of the question whose answer sends it here. */
  readonly question?: string;
}

interface Envelope extends Reentry {
  readonly token: string;
}

/** @returns what to send to the node, and the state update that vouches for it: both belong into one Command */
export function sealReentry(reentry: Reentry): { readonly sent: unknown; readonly update: Record<string, unknown> } {
  const token = randomUUID();
  return { sent: { [KEY]: { ...reentry, token } satisfies Envelope }, update: { [REENTRIES]: [token] } };
}

/** The re-entry a node was sent by the human node, or undefined for a plain input. */
export function reentryOf(input: unknown, config: LangGraphRunnableConfig): Reentry | undefined {
  if (typeof input !== "object" || input === null || !Object.hasOwn(input, KEY)) return undefined;
  const envelope = (input as { [KEY]?: Partial<Envelope> | null })[KEY];
  const tokens = readChannel(config, REENTRIES);
  const vouchedFor = Array.isArray(tokens) && tokens.includes(envelope?.token ?? "");
  return vouchedFor ? (envelope as Envelope) : undefined;
}

/** The steps that a checkpoint enters again, by their first executions. */
export function reenteredSteps(checkpoint: {
  readonly channel_values: Record<string, unknown>;
}): readonly EffectScope[] {
  const tokens = checkpoint.channel_values[REENTRIES];
  return sendsOf(checkpoint).flatMap(({ args }) => {
    const envelope = (args as { [KEY]?: Partial<Envelope> } | null | undefined)?.[KEY];
    const vouchedFor = Array.isArray(tokens) && tokens.includes(envelope?.token);
    return vouchedFor && envelope?.scope !== undefined ? [envelope.scope] : [];
  });
}

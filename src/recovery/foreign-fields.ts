/** What Agent Inbox shows of a question; how it answers is in answer-formats.ts. */
import { answerFields } from "./answer-fields.js";
import { type AskedApproval, type AskedIntervention, aboutRequest } from "./answer-formats.js";
import type { ApprovalRequest } from "./approval-request.js";
import type { InterventionRequest } from "./intervention-request.js";

/** `HumanInterrupt` of https://github.com/langchain-ai/agent-inbox. */
export interface ForeignFields {
  readonly action_request: {
    /** A title; the action is one of the `args`, which can be edited. */
    readonly action: string;
    /** The fields of the suggested answer. Never null: the inbox cannot show that. */
    readonly args: Readonly<Record<string, unknown>>;
  };
  readonly config: {
    readonly allow_accept: boolean;
    readonly allow_edit: boolean;
    readonly allow_respond: boolean;
    readonly allow_ignore: boolean;
  };
  /** Markdown of less than 4,000 characters. */
  readonly description: string;
}

type Shown = "summary" | "input" | "hash" | "deadline" | "atDeadline";
type ShownIntervention = AskedIntervention & Pick<InterventionRequest, Shown | "within" | "rollback">;
type ShownApproval = AskedApproval & Pick<ApprovalRequest, Shown | "actions">;

const maxDescription = 3900;
const maxSentence = 700;
const maxFallbacks = 400;
const maxTitle = 200;
const maxInput = 1200;

/**
 * With edits allowed the inbox sends back what it has shown when that is accepted, `of` what it was and all.
 *
 * @param request redacted as a request is: all that is shown is taken from it
 */
export function foreignFields(request: ShownIntervention | ShownApproval): ForeignFields {
  return request.kind === "approval" ? ofApproval(request) : ofIntervention(request);
}

function ofApproval(request: ShownApproval): ForeignFields {
  const { effect, summary, actions } = request;
  return {
    action_request: {
      action: clipped(`${effect} needs approval`, maxTitle),
      args: { ...answerFields(aboutRequest(request)), of: request.hash },
    },
    config: { allow_accept: true, allow_edit: true, allow_respond: true, allow_ignore: true },
    description: description([
      sentence(summary),
      ...untilWhen(request),
      choices(actions),
      "What it would be given cannot be edited here. Accept it, or edit `action`; ignoring it rejects it. As a response: `approve`, or `reject:` and a reason.",
      ...inputBlock(request),
    ]),
  };
}

function ofIntervention(request: ShownIntervention): ForeignFields {
  const { node, within = [], summary, suggestion, actions, fallbacks, rollback } = request;
  const isOffered = (action: string) => actions.some((offer) => offer.action === action);
  const steps = fallbacks.map((step) => code(step)).join(", ");
  const ignoring = isOffered("abort") ? "; ignoring it aborts the run" : "";
  return {
    action_request: {
      action: clipped(`${[...within, node].join("/")} failed`, maxTitle),
      args: { ...answerFields(aboutRequest(request)), of: request.hash },
    },
    config: {
      // A result has to be written first.
      allow_accept: suggestion.action !== "provide",
      allow_edit: true,
      allow_respond: true,
      allow_ignore: isOffered("abort"),
    },
    description: description([
      sentence(summary),
      `Suggested: \`${suggestion.action}\`. ${sentence(suggestion.reason)}`,
      ...(rollback?.refused === undefined ? [] : [`It was not rolled back: ${sentence(rollback.refused)}`]),
      ...untilWhen(request),
      choices(actions),
      ...(isOffered("fallback") && fallbacks.length > 0 ? [`Fallbacks: ${clipped(steps, maxFallbacks)}`] : []),
      `Accept what is suggested, or edit \`action\` and its fields${ignoring}. As a response: an action and a reason, such as \`${suggestion.action}: because …\`, or a decision as JSON.`,
      ...inputBlock(request),
    ]),
  };
}

function untilWhen({ deadline, atDeadline = "" }: Pick<ApprovalRequest, "deadline" | "atDeadline">): string[] {
  return deadline === undefined
    ? []
    : [sentence(`Until ${deadline}${atDeadline === "" ? "" : `; then: ${atDeadline}`}`)];
}

function choices(actions: readonly { readonly action: string; readonly description: string }[]): string {
  return actions.map(({ action, description }) => `- \`${action}\`: ${description}`).join("\n");
}

/** The input comes last and takes what room there is. */
function description(parts: readonly string[]): string {
  return clipped(parts.join("\n\n"), maxDescription);
}

function inputBlock({ input }: { readonly input: unknown }): string[] {
  if (input === undefined) return [];
  return [`Input:\n\n\`\`\`json\n${clipped(JSON.stringify(input, null, 2) ?? "", maxInput)}\n\`\`\``];
}

/** On one line, and without what Markdown would make of it: a message may hold anything, a picture to be fetched too. */
function sentence(said: string): string {
  return clipped(said.replace(/\s+/g, " ").replace(/[\\`*_[\]<>#|~!&$]/g, "\\$&"), maxSentence);
}

function code(name: string): string {
  return `\`${name.replaceAll("`", "'")}\``;
}

/** Never half a character, which some databases refuse. */
function clipped(said: string, max: number): string {
  return said.length <= max ? said : `${said.slice(0, max).replace(/[\uD800-\uDBFF]$/, "")}…`;
}

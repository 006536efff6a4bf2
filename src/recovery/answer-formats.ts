/**
 * Answers as other front ends give them: Agent Inbox sends a list of one `{ type, args }`, LangChain's human-in-the-loop
 * front ends send `{ decisions: [{ type, … }] }`. What is shown to them is in foreign-fields.ts.
 */
import { z } from "zod";
import { DecisionRefusedError } from "../errors/own-errors.js";
import type { About } from "./answer-fields.js";
import {
  fromAccepted,
  fromEdit,
  fromRefusal,
  fromText,
  isRecord,
  type Reading,
  text,
  unclear,
} from "./answer-reading.js";
import type { ApprovalRequest } from "./approval-request.js";
import type { InterventionRequest } from "./intervention-request.js";

export type AskedIntervention = Pick<
  InterventionRequest,
  "kind" | "node" | "actions" | "fallbacks" | "suggestion" | "automatic"
>;
export type AskedApproval = Pick<ApprovalRequest, "kind" | "effect" | "node">;

export function aboutRequest(request: AskedIntervention | AskedApproval): About {
  if (request.kind === "approval")
    return { kind: "approval", label: `Effect "${request.effect}" of node "${request.node}"` };
  const { node, actions, fallbacks, suggestion, automatic } = request;
  return {
    kind: "intervention",
    actions: actions.map(({ action }) => action),
    fallbacks,
    suggestion,
    ...(automatic === undefined ? {} : { automatic }),
    label: `Node "${node}"`,
  };
}

/**
 * The same answer in our own form, where it is in one of those formats; anything else as it is given. Whether our own
 * form fits the question is not looked at here.
 *
 * Accepting (`accept`, `approve`) takes the suggested action, or approves; an edit names the action and its fields; a text
 * is a decision as JSON, or an action's name and a reason; `ignore` and `reject` reject an effect and abort a run.
 *
 * @throws DecisionRefusedError for one in such a format that says nothing of use here, naming what would do
 */
export function ownAnswer(given: unknown, about: About): unknown {
  const read = reading(given, about);
  if (read === undefined) return given;
  if ("own" in read) return read.own;
  throw new DecisionRefusedError(about.label === undefined ? read.refused : `${about.label}: ${read.refused}`);
}

/**
 * The schema of an answer, for answers in other formats as well. As JSON schema it is the one that is given: `interrupt()`
 * returns what it parses, and keeps the answer as it was given.
 */
export function withForeign<T>(schema: z.ZodType<T>, about: About): z.ZodType<T> {
  return z.preprocess((given, context) => {
    const read = reading(given, about);
    if (read === undefined) return given;
    if ("own" in read) return read.own;
    context.addIssue({ code: "custom", message: read.refused });
    return z.NEVER;
  }, schema);
}

const INBOX_TYPES: readonly unknown[] = ["accept", "edit", "response", "ignore"];

function reading(given: unknown, about: About): Reading | undefined {
  if (typeof given !== "object" || given === null || "action" in given) return undefined;
  const list: readonly unknown[] = Array.isArray(given) ? given : [given];
  if (list.length > 0 && list.every((one) => isRecord(one) && INBOX_TYPES.includes(one.type)))
    return onlyOne(list, about, fromInbox);
  const { decisions } = given as { decisions?: unknown };
  return Array.isArray(decisions) ? onlyOne(decisions, about, fromMiddleware) : undefined;
}

function onlyOne(
  list: readonly unknown[],
  about: About,
  read: (answer: Record<string, unknown>, about: About) => Reading,
): Reading {
  const [only] = list;
  if (list.length === 1) return isRecord(only) ? read(only, about) : unclear("the decision is no object", about);
  return { refused: `it is one question, and ${list.length} answers were given to it; give one` };
}

/** https://github.com/langchain-ai/agent-inbox: `HumanResponse`. Where edits are allowed, accepting sends back what was shown. */
function fromInbox({ type, args }: Record<string, unknown>, about: About): Reading {
  switch (type) {
    case "accept":
      return fromAccepted(args, about);
    case "edit":
      return isRecord(args) ? fromEdit(args.action, args.args, about) : unclear("the edit has no args", about);
    case "response":
      return fromText(args, about);
    default:
      return fromRefusal(undefined, about);
  }
}

/** LangChain 1.x: `Decision` of `HITLResponse`, in the spelling of JavaScript or Python. `respond` is of Python alone. */
function fromMiddleware(decision: Record<string, unknown>, about: About): Reading {
  const edited = decision.editedAction ?? decision.edited_action;
  switch (decision.type) {
    case "approve":
      return fromAccepted(undefined, about);
    case "edit":
      return isRecord(edited) ? fromEdit(edited.name, edited.args, about) : unclear("no action was edited", about);
    case "reject":
      return fromRefusal(text(decision.message), about);
    case "respond":
      return fromText(decision.message, about);
    default:
      return unclear("its type is none of approve, edit, reject and respond", about);
  }
}

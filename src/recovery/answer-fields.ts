/** The fields that an answer to a question has. */
import { z } from "zod";
import type { DeclaredRollback } from "../core/records.js";
import type { ApprovalAction } from "./approval-request.js";
import { type Action, actionSchema } from "./decision.js";
import type { Suggestion } from "./suggestion.js";

/** What has to be known of a question to understand an answer to it. */
export type About =
  | { readonly kind: "approval"; readonly label?: string }
  | {
      readonly kind: "intervention";
      /** Those that the question offers. */
      readonly actions: readonly Action[];
      readonly fallbacks: readonly string[];
      readonly suggestion?: Suggestion;
      /** What a suggested rollback takes back. */
      readonly automatic?: DeclaredRollback;
      /** What a refusal begins with. */
      readonly label?: string;
    };

/** Names of the actions that may be answered. */
export function offeredActions(about: About): readonly string[] {
  return about.kind === "approval" ? (["approve", "reject"] satisfies ApprovalAction[]) : about.actions;
}

/** The fields of an answer to this question, filled in with what is suggested; empty texts where nothing is. */
export function answerFields(about: About): Record<string, unknown> {
  const suggested = about.kind === "approval" ? "approve" : about.suggestion?.action;
  if (suggested === undefined) return {};
  const { action, by, ...own } = fieldsOf(suggested, about);
  const blank = Object.keys(own).map((name) => [name, ""] as const);
  return { action: suggested, ...Object.fromEntries(blank), ...suggestedValues(about), by: "" };
}

/** The types that an action's fields have as JSON schema, or "several". */
export function fieldsOf(action: string, about: About): Record<string, unknown> {
  if (about.kind === "approval") return { action: "string", reason: "string", by: "string", of: "string" };
  const { properties = {} } = z.toJSONSchema(actionSchema(action as Action, about.fallbacks));
  return Object.fromEntries(
    Object.entries(properties).map(([name, schema]) => [name, (schema as { type?: unknown }).type ?? "several"]),
  );
}

function suggestedValues(about: About): Record<string, unknown> {
  if (about.kind === "approval" || about.suggestion === undefined) return {};
  const { suggestion, automatic, fallbacks } = about;
  switch (suggestion.action) {
    case "adjust":
      return suggestion.parameters === undefined ? {} : { parameters: suggestion.parameters };
    case "fallback":
      return { step: fallbacks[0] ?? "" };
    case "rollback":
      return automatic === undefined ? {} : declared(automatic);
    default:
      return {};
  }
}

function declared({ scope, transaction, acceptStanding }: DeclaredRollback): Record<string, unknown> {
  return {
    scope,
    ...(scope !== "transaction" || transaction === undefined ? {} : { transaction }),
    ...(acceptStanding ? { acceptStanding } : {}),
  };
}

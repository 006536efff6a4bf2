/** What somebody means who accepts, edits, writes a text or refuses: a decision of ours, or why it is none. */
import { type About, answerFields, fieldsOf, offeredActions } from "./answer-fields.js";

export type Reading = { readonly own: unknown } | { readonly refused: string };

/** What was shown may be another suggestion than today's, so what came back with it counts. */
export function fromAccepted(shown: unknown, about: About): Reading {
  const names = isRecord(shown) && isRecord(shown.args) ? [shown.args.action, shown.action] : [];
  const isNamed = text(names[0]) !== undefined || offeredActions(about).includes(nameOf(names[1]) ?? "");
  if (isNamed && isRecord(shown)) return fromEdit(shown.action, shown.args, about);
  const fields = answerFields(about);
  return fields.action === undefined ? unclear("nothing is suggested", about) : fromEdit(undefined, fields, about);
}

/** @param name a title, where `args` name the action themselves: that of an `action_request` cannot be edited */
export function fromEdit(name: unknown, args: unknown, about: About): Reading {
  if (!isRecord(args)) return unclear("the edit has no args", about);
  const outer = offeredActions(about).find((one) => one === nameOf(name));
  const inner = nameOf(args.action);
  if (inner !== undefined && outer !== undefined && inner !== outer)
    return unclear(`it names both "${outer}" and "${shortened(inner)}"`, about);
  const action = inner ?? outer;
  if (action === undefined) return unclear("it names no action", about);
  if (!offeredActions(about).includes(action)) return unclear(`action "${shortened(action)}" is not offered`, about);
  const types = fieldsOf(action, about);
  const filledIn = answerFields(about);
  const given = Object.entries(args).flatMap(([key, value]): [string, unknown][] => {
    if (key === "action" || value === null || value === undefined || text(value) === "") return [];
    const type = types[key];
    // Nobody can delete a field of the suggested action that another action has not.
    if (type === undefined && isSame(value, filledIn[key])) return [];
    return [[key, type === "string" || type === undefined ? (text(value) ?? value) : unquoted(value)]];
  });
  return { own: { action, ...Object.fromEntries(given) } };
}

/** "approve only if …" approves nothing, so an approval is said by that word alone or with a colon. */
export function fromText(given: unknown, about: About): Reading {
  const answer = text(given) ?? "";
  if (answer.startsWith("{")) {
    const decision = unquoted(answer);
    return isRecord(decision) ? { own: decision } : unclear("the answer is no JSON", about);
  }
  const [, word = "", mark = "", said = ""] =
    /^([a-z]+)(\s*:\s*|\s*[;,.!–—-]+(?=\s|$)|\s|$)([\s\S]*)$/i.exec(answer) ?? [];
  const action = offeredActions(about).find((one) => one === word.toLowerCase());
  if (action === undefined) return unclear("the answer begins with no action", about);
  const reason = said.trim();
  if (action === "approve" && reason !== "" && mark.trim() !== ":")
    return {
      refused: 'what follows "approve" may be a condition; answer "approve" alone, or "approve: " and the reason',
    };
  if (action === "fallback" && about.kind === "intervention") return { own: fallbackBy(reason, about.fallbacks) };
  return { own: { action, ...reasoned(reason) } };
}

/** `fallback cheaper: why`: the step may be named before the reason. */
function fallbackBy(said: string, fallbacks: readonly string[]): object {
  const named = fallbacks.filter(
    (step) => said === step || (said.startsWith(step) && /^[\s:]/.test(said.slice(step.length))),
  );
  const step = named.sort((one, other) => other.length - one.length)[0];
  if (step === undefined) return { action: "fallback", ...reasoned(said) };
  const reason = said.slice(step.length).replace(/^[\s:]+/, "");
  return { action: "fallback", step, ...reasoned(reason) };
}

export function fromRefusal(reason: string | undefined, about: About): Reading {
  if (about.kind === "approval") return { own: { action: "reject", ...reasoned(reason) } };
  if (about.actions.includes("abort")) return { own: { action: "abort", ...reasoned(reason) } };
  return unclear('it cannot be ignored or rejected, since "abort" is not offered', about);
}

export function unclear(what: string, about: About): Reading {
  const [first] = offeredActions(about);
  const example = `as a text such as "${first}: because …", or as JSON such as {"action":"${first}"}`;
  return { refused: `${what}; choose one of ${offeredActions(about).join(", ")}, ${example}` };
}

function reasoned(reason: string | undefined): { reason?: string } {
  return reason === undefined || reason === "" ? {} : { reason };
}

/** Fields that were edited come back as texts, those that were not as they were shown. */
function isSame(value: unknown, shown: unknown): boolean {
  return shown !== undefined && JSON.stringify(unquoted(value)) === JSON.stringify(unquoted(shown));
}

function unquoted(value: unknown): unknown {
  if (typeof value !== "string") return value;
  try {
    return JSON.parse(value);
  } catch {
    // The schema says what is wanted instead of this text.
    return value;
  }
}

function nameOf(value: unknown): string | undefined {
  return text(value)?.toLowerCase() || undefined;
}

export function text(value: unknown): string | undefined {
  return typeof value === "string" ? value.trim() : undefined;
}

function shortened(name: string): string {
  return name.slice(0, 60);
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

import type { ChatRequest } from "./chat-request.js";
import { describeFault, type Fault } from "./faults.js";

/** Which requests an entry of the script is for; every condition given must hold. */
export interface RequestMatch {
  /** The model asked for. */
  readonly model?: string;
  /** A text in any message of the request. */
  readonly contains?: string;
}

/** One entry: the fault, and optionally which request it waits for. Without `when` it takes the next request. */
export type ScriptEntry = Fault & { readonly when?: RequestMatch };

/** Faults in order, each used once. */
export interface FaultScript {
  /** Uses up the first entry left that matches; a request no entry matches is answered properly. */
  next(request: ChatRequest): Fault;
  remaining(): readonly ScriptEntry[];
}

export function createFaultScript(entries: readonly ScriptEntry[]): FaultScript {
  const left = [...entries];
  return {
    next(request) {
      const at = left.findIndex((entry) => matches(entry.when, request));
      return at === -1 ? { kind: "none" } : (left.splice(at, 1)[0] as ScriptEntry);
    },
    remaining: () => [...left],
  };
}

/** One printable line an entry: which request it is for and what it will do. */
export function describeScript(entries: readonly ScriptEntry[]): string[] {
  return entries.map((entry, index) => `${index + 1}. ${describeMatch(entry.when)}: ${describeFault(entry)}`);
}

function matches(when: RequestMatch | undefined, request: ChatRequest): boolean {
  if (when?.model !== undefined && when.model !== request.model) return false;
  const { contains } = when ?? {};
  return contains === undefined || request.messages.some((message) => message.text.includes(contains));
}

function describeMatch(when: RequestMatch | undefined): string {
  const conditions = [
    ...(when?.model === undefined ? [] : [`for model "${when.model}"`]),
    ...(when?.contains === undefined ? [] : [`with "${when.contains}"`]),
  ];
  return conditions.length === 0 ? "next request" : `next request ${conditions.join(" and ")}`;
}

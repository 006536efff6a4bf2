import { z } from "zod";
import type { ChatRequest } from "./chat-request.js";
import { describeFault, type Fault, faultWith } from "./faults.js";

/** Which requests an entry of the script is for; every condition given must hold. */
export interface RequestMatch {
  /** The model asked for. */
  readonly model?: string;
  /** A text in any message of the request. */
  readonly contains?: string;
  /** Whether a stream is asked for. */
  readonly stream?: boolean;
}

/** One entry: the fault, and optionally which request it waits for. Without `when` it takes the next request. */
export type ScriptEntry = Fault & {
  readonly when?: RequestMatch;
  /** How many requests meet it; default 1. One that is for `always` is never used up. */
  readonly times?: number | "always";
};

const Match = z.strictObject({
  model: z.string().optional(),
  contains: z.string().optional(),
  stream: z.boolean().optional(),
});

export const Script = z.array(
  faultWith<ScriptEntry>({
    when: Match.optional(),
    times: z.union([z.int().min(1), z.literal("always")], 'expected a whole number from 1, or "always"').optional(),
  }),
);

/** Faults in order, each used up by as many requests as it is for. */
export interface FaultScript {
  /** Uses the first entry left that matches. @returns undefined when none does */
  next(request: ChatRequest): Fault | undefined;
  remaining(): readonly ScriptEntry[];
}

export function createFaultScript(entries: readonly ScriptEntry[]): FaultScript {
  const left = [...entries];
  return {
    next(request) {
      const at = left.findIndex((entry) => matches(entry.when, request));
      const entry = left[at];
      if (entry === undefined) return undefined;
      const { when, times = 1, ...fault } = entry;
      if (times === 1) left.splice(at, 1);
      else if (times !== "always") left[at] = { ...entry, times: times - 1 };
      return fault;
    },
    remaining: () => [...left],
  };
}

/** One printable line an entry: which requests it is for and what it will do. */
export function describeScript(entries: readonly ScriptEntry[]): string[] {
  return entries.map((entry, index) => `${index + 1}. ${describeRequests(entry)}: ${describeFault(entry)}`);
}

function matches(when: RequestMatch | undefined, request: ChatRequest): boolean {
  const { model, contains, stream } = when ?? {};
  if (model !== undefined && model !== request.model) return false;
  if (stream !== undefined && stream !== request.stream) return false;
  return contains === undefined || request.messages.some((message) => message.text.includes(contains));
}

function describeRequests({ when, times = 1 }: ScriptEntry): string {
  const how = when?.stream === undefined ? "" : when.stream ? "streamed " : "whole ";
  const which =
    times === "always" ? `every ${how}request` : times === 1 ? `next ${how}request` : `next ${times} ${how}requests`;
  const conditions = [
    ...(when?.model === undefined ? [] : [`for model "${when.model}"`]),
    ...(when?.contains === undefined ? [] : [`with "${when.contains}"`]),
  ];
  return conditions.length === 0 ? which : `${which} ${conditions.join(" and ")}`;
}

/** What goes wrong in the stand-in's tools on purpose: CUSTOMER_SUPPORT_FAULTS, read at each call. */
import { ConfigError } from "langgraph-resilience";
import { z } from "zod";
import { chance } from "./chance.js";

const share = (standard: number) => z.coerce.number().min(0).max(1).default(standard);

/** Shares from 0 to 1. The defaults are the middle of what such desks report: 5-10 %, 2-3 % and 1-2 %. */
const Rates = z.strictObject({
  /** Whole number behind everything that is drawn. */
  seed: z.coerce.number().int().default(1),
  /** Of the calls that never answer. Half of them did what they were asked. */
  timeouts: share(0.075),
  /** Of the calls that are answered with 503. */
  failures: share(0.025),
  /** Of the failures, those that last: the tool fails whenever this conversation calls it. */
  lasting: share(0.2),
  /** Of the orders that rules do not decide. */
  complex: share(0.015),
});
export type Rates = z.infer<typeof Rates>;

export type ToolName = "findOrder" | "refund" | "findRefund";

/** `timeout`: nothing is done and no answer comes. `lost-reply`: it is done and no answer comes. `failure`: a 503. */
export type ToolFault = "timeout" | "lost-reply" | "failure";

const OFF = "timeouts=0,failures=0,complex=0";

/**
 * The rates that hold now: `timeouts=0.2,failures=0`, or `off` for none. What is not named has its default.
 *
 * @throws ConfigError naming the variable and what is wrong
 */
export function ratesNow(): Rates {
  const given = process.env.CUSTOMER_SUPPORT_FAULTS?.trim() ?? "";
  const pairs = (given === "off" ? OFF : given).split(",").filter((pair) => pair !== "");
  const parsed = Rates.safeParse(Object.fromEntries(pairs.map((pair) => pair.split("=").map((word) => word.trim()))));
  if (parsed.success && parsed.data.timeouts + parsed.data.failures <= 1) return parsed.data;
  const faults = parsed.success
    ? ["timeouts and failures come to more than 1"]
    : parsed.error.issues.map(({ path, message }) => [...path, message].join(": "));
  throw new ConfigError(
    `CUSTOMER_SUPPORT_FAULTS is "${given}", which is neither "off" nor like "timeouts=0.1,failures=0.02,seed=7": ${faults.join("; ")}`,
  );
}

/** What the call meets, by the conversation and by which of its calls of the tool it is, from 1. */
export function faultAt(
  { seed, timeouts, failures, lasting }: Rates,
  { conversation, tool, call }: { readonly conversation: number; readonly tool: ToolName; readonly call: number },
): ToolFault | undefined {
  if (chance(seed, conversation, tool, "lasting") < failures * lasting) return "failure";
  const drawn = chance(seed, conversation, tool, call);
  if (drawn < timeouts) return chance(seed, conversation, tool, call, "done") < 0.5 ? "lost-reply" : "timeout";
  return drawn < timeouts + failures * (1 - lasting) ? "failure" : undefined;
}

import type { VersionedStore } from "../../core/store-ports.js";
import { ConfigError } from "../../errors/own-errors.js";
import type { BreakerState, OpenReason } from "../../policies/breaker/breaker-state.js";
import type { Override } from "../../policies/breaker/breaker-transitions.js";
import { type BreakerListing, listBreakers, overrideBreaker } from "../../policies/breaker/stored-breaker.js";
import { type CommandScope, type GlobalOptions, withScope } from "../command-scope.js";
import { table } from "../table.js";

export interface BreakersFlags {
  readonly open?: boolean;
  readonly close?: boolean;
  readonly isolate?: boolean;
}

export async function breakers(
  service: string | undefined,
  flags: BreakersFlags,
  global: GlobalOptions,
): Promise<void> {
  const to = (["open", "close", "isolate"] as const).find((override) => flags[override] === true);
  if (to !== undefined && service === undefined)
    throw new ConfigError(`lgr breakers --${to}: say of which service, e.g. lgr breakers openai --${to}`);
  await withScope(global, async (scope) => {
    const store = scope.persistence.breakers;
    if (store === undefined)
      throw new ConfigError(`The ${scope.persistence.description} keeps no shared breakers; each process has its own`);
    if (to !== undefined && service !== undefined) await change(scope, store, service, to);
    else await list(scope, store, service);
  });
}

async function change({ output }: CommandScope, store: VersionedStore, service: string, to: Override): Promise<void> {
  const changed = await overrideBreaker(store, service, to);
  output.object({ type: "breaker", service, from: changed.from ?? null, to: changed.to });
  output.line(`Circuit "${service}": ${changed.from?.kind ?? "not used yet"} → ${changed.to.kind}`);
}

async function list({ output, persistence }: CommandScope, store: VersionedStore, only: string | undefined) {
  const found = (await listBreakers(store)).filter(({ service }) => only === undefined || service === only);
  for (const one of found) output.object({ type: "breaker", ...one });
  if (found.length === 0) {
    const which = only === undefined ? "No circuit breaker is" : `No circuit breaker of "${only}" is`;
    output.line(`${which} stored in ${persistence.description}; one is from the first failure of its service on.`);
    return;
  }
  for (const line of table(["SERVICE", "STATE", "SINCE", "WHY"], found.map(row))) output.line(line);
}

function row(listing: BreakerListing): string[] {
  if (listing.kind === "unreadable") return [listing.service, "unreadable", "", listing.problem];
  const { service, state } = listing;
  return [service, state.kind, since(state), why(state)];
}

function since(state: BreakerState): string {
  switch (state.kind) {
    case "closed":
      return state.closedAtMs === 0 ? "" : iso(state.closedAtMs);
    case "open":
    case "half_open":
      return iso(state.openedAtMs);
    case "isolated":
      return iso(state.isolatedAtMs);
  }
}

function why(state: BreakerState): string {
  switch (state.kind) {
    case "closed":
      return "";
    case "open":
      return reason(state.why);
    case "half_open":
      return `${reason(state.why)}; ${state.successes} good probes since`;
    case "isolated":
      return "by hand";
  }
}

function reason(why: OpenReason): string {
  switch (why.kind) {
    case "consecutive":
      return `${why.failures} failures in a row${last(why.last?.message)}`;
    case "ratio":
      return `${why.failures} of ${why.calls} calls failed${last(why.last?.message)}`;
    case "slow":
      return `${why.slow} of ${why.calls} calls took longer than ${why.slowCallMs} ms`;
    case "probe":
      return `a probe found it ${why.found === "slow" ? "slow" : "failing"}${last(why.last?.message)}`;
    case "operator":
      return "by hand";
  }
}

function last(message: string | undefined): string {
  return message === undefined ? "" : `, the last: ${message.replace(/\s+/g, " ").slice(0, 80)}`;
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

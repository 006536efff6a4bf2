/**
 * What happens to questions as time goes by: people are told, reminded, and others are asked; in the end the default
 * action is done. Any number of processes may sweep: each change is made by one of them.
 */
import { systemClock } from "../../core/clock.js";
import type { Persistence } from "../../core/ports.js";
import { ConfigError } from "../../errors/own-errors.js";
import { inboxOf } from "../../recovery/inbox-change.js";
import { doDefaultAction, turned } from "./due-item.js";
import { eachPage } from "./each-page.js";
import { createExpiries } from "./expiries.js";
import { graphsAtHand } from "./graphs-at-hand.js";
import { createSweepLeftovers } from "./sweep-leftovers.js";
import { emptyReport, type Sweep, type SweepOptions, type SweepReport } from "./sweep-state.js";
import { tellPeople } from "./tell.js";

export type { SweepOptions, SweepReport } from "./sweep-state.js";

/**
 * Does once what is due by now: also all default actions whose graphs it has, and it waits for their runs. What goes wrong
 * with one question is warned of, and ends nothing.
 *
 * @throws ConfigError where the persistence has no inbox, and for channels with the same name
 */
export async function sweepInbox(persistence: Persistence, options: SweepOptions = {}): Promise<SweepReport> {
  const sweep = sweepOf(persistence, options, "sweepInbox()");
  try {
    await sweepOnce(sweep);
    await tell(sweep);
  } finally {
    await sweep.expiries.settled();
  }
  await tell(sweep);
  return sweep.report;
}

/**
 * @param onExpiry called when a default action was done, or could not be
 * @throws ConfigError where the persistence has no inbox, and for channels with the same name
 */
export function sweepOf(
  persistence: Persistence,
  options: SweepOptions,
  caller: string,
  onExpiry: () => void = () => {},
): Sweep {
  const { clock = systemClock, signal = new AbortController().signal, channels = [], graphs } = options;
  const twice = channels.find(({ name }, at) => channels.findIndex((one) => one.name === name) !== at);
  if (twice !== undefined)
    throw new ConfigError(`${caller}: two channels are called "${twice.name}"; give one of them another name`);
  const sweep: Sweep = {
    persistence,
    inbox: inboxOf(persistence, caller),
    options,
    clock,
    signal,
    graphs: graphsAtHand(graphs),
    leftovers: createSweepLeftovers(),
    expiries: createExpiries(async (id, taken) => {
      await doDefaultAction(sweep, id, taken);
      onExpiry();
    }, signal),
    untellable: new Map(),
    report: emptyReport(),
  };
  return sweep;
}

/** Goes through what is due; default actions it only has done. */
export async function sweepOnce(sweep: Sweep): Promise<void> {
  const { inbox, clock, signal, graphs, leftovers, expiries, untellable } = sweep;
  const startedAt = clock.now();
  const { isThorough, ...paging } = leftovers.begin(startedAt);
  if (isThorough) {
    graphs.forget();
    untellable.clear();
  }
  const read = (limit: number) => inbox.due(clock.now(), limit);
  await eachPage(read, paging, signal, async (page) => {
    let staying = 0;
    for (const item of page) {
      if (signal.aborted) break;
      if (expiries.has(item.id) || leftovers.has(item)) staying += 1;
      else if (!(await turned(sweep, item))) {
        leftovers.add(item);
        staying += 1;
      }
    }
    return staying;
  });
  if (isThorough) leftovers.lookedThrough(startedAt);
}

/** Tells people of what is new. */
export async function tell(sweep: Sweep): Promise<void> {
  const { persistence, inbox, options, clock, signal, untellable } = sweep;
  const { channels = [], consoleUrl } = options;
  await tellPeople({ persistence, inbox, channels, consoleUrl, clock, signal, untellable }, (isSent) => {
    sweep.report[isSent ? "told" : "untold"] += 1;
  });
}

import { systemClock } from "../../../core/clock.js";
import type { ResilienceEvent } from "../../../core/events.js";
import type { InboxStore } from "../../../core/inbox-ports.js";
import type { Channel } from "../../../core/notice-ports.js";
import { redactText } from "../../../core/redact.js";
import { ConfigError } from "../../../errors/own-errors.js";
import { startInboxSweep } from "../../../langgraph/inbox/start-sweep.js";
import { type SweepReport, sweepInbox } from "../../../langgraph/inbox/sweep.js";
import type { GraphLike } from "../../../langgraph/threads/graph.js";
import { channelsFromEnvironment } from "../../../notifications/environment.js";
import { inboxOf } from "../../../recovery/inbox-change.js";
import { type CommandScope, type GlobalOptions, withScope } from "../../command-scope.js";
import { EXIT } from "../../exit-codes.js";
import { durationMs } from "../../option-values.js";
import { pause, stopRequest } from "../../until-stopped.js";
import { leftText, NO_CHANNELS, summaryText, sweptText, untoldText } from "./sweep-text.js";

export interface SweepFlags {
  readonly watch?: true;
  readonly every?: string;
}

const defaultEveryMs = 5000;
/** Of what is left over, as many are looked at. */
const maxLeft = 1000;

/** @returns the exit code: of one sweep 1 where something could not be done, 130 where it was stopped */
export async function sweepQuestions({ watch, every }: SweepFlags, global: GlobalOptions): Promise<number> {
  if (every !== undefined && watch === undefined) throw new ConfigError("--every goes with --watch");
  const everyMs = every === undefined ? defaultEveryMs : durationMs("--every", every);
  return await withScope(global, async (scope) => {
    const inbox = inboxOf(scope.persistence, "lgr inbox sweep");
    const channels = channelsFromEnvironment();
    const consoleUrl = consoleUrlOf(process.env.LGR_CONSOLE_URL);
    const told = narrated(scope, inbox);
    const stop = stopRequest();
    const options = {
      graphs: graphsOf(scope),
      channels,
      ...(consoleUrl === undefined ? {} : { consoleUrl }),
    };
    try {
      if (watch === true) {
        const all: Partial<SweepReport> = {};
        const sweep = startInboxSweep(scope.persistence, {
          ...options,
          everyMs,
          onSwept: (report) => add(all, report),
        });
        scope.output.line(`Sweeping the inbox on ${scope.persistence.description}; Ctrl-C ends it.`);
        if (channels.length === 0) scope.output.line(NO_CHANNELS);
        await pause(Number.POSITIVE_INFINITY, stop.signal);
        await sweep.stop();
        await told.settled();
        report(scope, all);
        return EXIT.ok;
      }
      const done = await sweepInbox(scope.persistence, { ...options, signal: stop.signal });
      await told.settled();
      report(scope, done);
      await sayWhatIsLeft(scope, inbox, channels);
      if (stop.signal.aborted) return EXIT.stopped;
      return done.failed + done.untold > 0 ? EXIT.failed : EXIT.ok;
    } finally {
      stop.dispose();
      await told.end();
      for (const channel of channels) await channel.close?.();
    }
  });
}

function report({ output }: CommandScope, done: Partial<SweepReport>): void {
  output.object({ type: "sweep", ...done });
  output.line(summaryText(done));
}

function add(all: { -readonly [K in keyof SweepReport]?: number }, more: SweepReport): void {
  for (const [name, count] of Object.entries(more) as [keyof SweepReport, number][])
    all[name] = (all[name] ?? 0) + count;
}

/** Those of langgraph.json; of others another process has to do the default actions. */
function graphsOf({ project, graph }: CommandScope): (name: string) => Promise<GraphLike | undefined> {
  const broken = new Set<string>();
  return async (name) => {
    if (!Object.hasOwn(project.graphs, name) || broken.has(name)) return undefined;
    try {
      return await graph(name);
    } catch (error) {
      // One graph that cannot be loaded must not keep the others' questions waiting.
      broken.add(name);
      process.stderr.write(`lgr: ${redactText((error as Error).message)}\n`);
      return undefined;
    }
  };
}

/** Each event in a line as it comes, with the words of the question that it is about. */
function narrated({ output, persistence }: CommandScope, inbox: InboxStore) {
  let lines = Promise.resolve();
  const say = async (event: ResilienceEvent): Promise<void> => {
    if (!("item" in event)) return;
    const text = sweptText(event, await inbox.get(event.item));
    if (text !== undefined) output.line(`${new Date(event.at).toISOString()}  ${text}`);
  };
  const unsubscribe = persistence.events.subscribe((event) => {
    if (!event.type.startsWith("inbox.")) return;
    if (output.json) output.onEvent(event);
    else lines = lines.then(() => say(event)).catch(() => {});
  });
  return {
    settled: () => lines,
    end: async () => {
      unsubscribe();
      await lines;
    },
  };
}

async function sayWhatIsLeft(
  { output, project }: CommandScope,
  inbox: InboxStore,
  channels: readonly Channel[],
): Promise<void> {
  const nowMs = systemClock.now();
  const due = await inbox.due(nowMs, maxLeft);
  for (const line of leftText(due, new Set(Object.keys(project.graphs)))) output.line(line);
  if (channels.length > 0) return;
  const untold = await inbox.unsent(nowMs, maxLeft);
  if (untold.length > 0) output.line(untoldText(untold.length, maxLeft));
}

/** @throws ConfigError for what is no address */
function consoleUrlOf(given: string | undefined): string | undefined {
  if (given === undefined || given.trim() === "") return undefined;
  const url = URL.canParse(given) ? new URL(given) : undefined;
  if (url?.protocol === "http:" || url?.protocol === "https:") return given;
  throw new ConfigError(`LGR_CONSOLE_URL: expected the address of the console, such as https://console.example.com`);
}

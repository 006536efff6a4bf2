/** One world: a process that is killed, those that take over from it, and what comes of it. */
import { join } from "node:path";
import { inspect, isDeepStrictEqual } from "node:util";
import { type ChildEnd, runChild } from "./crash-child.js";
import type {
  CompiledCrashOptions,
  CrashPassage,
  CrashPointResult,
  CrashScenario,
  CrashWorld,
} from "./crash-scenario.js";
import { CrashScenarioError } from "./crash-scenario.js";

/** What all worlds of an enumeration share. */
export interface Trials<Observation> {
  readonly scenario: CrashScenario<Observation>;
  readonly options: CompiledCrashOptions;
  /** For traces. */
  readonly folder: string;
  readonly signal: AbortSignal;
  /** Numbers the processes. */
  processes: number;
}

export interface Undisturbed<Observation> {
  readonly passages: readonly string[];
  readonly observation: Observation;
}

/** @throws CrashScenarioError where the process fails, hangs, or passes no crash point */
export async function runUndisturbed<O>(trials: Trials<O>): Promise<Undisturbed<O>> {
  return await inWorld(trials, async (world) => {
    const end = await start(trials, world);
    if (end.kind !== "done")
      throw new CrashScenarioError(`The scenario fails without any crash: its process ${end.told}`);
    if (end.passed.length === 0)
      throw new CrashScenarioError(
        "The scenario passed no crash point: it has to call armCrashPoints() first, and to get it from the same copy of this package as all else",
      );
    return { passages: end.passed, observation: await world.observe() };
  });
}

export interface Trial {
  readonly result: CrashPointResult;
  /** How many passages the first process had that took over, up to where it ended. */
  readonly takeoverPassages: number;
}

/** Kills a process at its passage `first`, the next one at its passage `second` if there is one, and looks at the end. */
export async function runTrial<O>(
  trials: Trials<O>,
  undisturbed: Undisturbed<O>,
  first: number,
  second?: number,
): Promise<Trial> {
  return await inWorld(trials, async (world) => {
    const killed = await start(trials, world, first);
    const violations: string[] = [];
    const over = (takeovers: readonly ChildEnd[]): Trial => ({
      result: {
        n: first,
        point: pointOf(killed, first) ?? undisturbed.passages[first - 1] ?? "not reached",
        reached: killed.kind === "crashed",
        ...secondOf(takeovers[0], second),
        violations,
      },
      takeoverPassages: takeovers[0]?.passed.length ?? 0,
    });
    if (killed.kind === "hung" || killed.kind === "failed")
      violations.push(`The process did not come as far as passage ${first}: it ${killed.told}`);
    if (killed.kind === "hung") return over([]);
    const takeovers = killed.kind === "done" ? [] : await takeOver(trials, world, second);
    const last = takeovers.at(-1) ?? killed;
    if (last.kind === "done") violations.push(...(await violationsIn(trials.scenario, world, undisturbed.observation)));
    else violations.push(notFinished(takeovers));
    return over(takeovers);
  });
}

async function inWorld<O, T>({ scenario }: Trials<O>, work: (world: CrashWorld<O>) => Promise<T>): Promise<T> {
  const world = await scenario.prepare();
  try {
    return await work(world);
  } finally {
    await world.close?.();
  }
}

function start<O>(trials: Trials<O>, world: CrashWorld<O>, crashAt?: number): Promise<ChildEnd> {
  const { scenario, options, folder, signal } = trials;
  trials.processes += 1;
  return runChild({
    command: scenario.command,
    cwd: scenario.cwd,
    env: { ...process.env, ...scenario.env, ...world.env },
    trace: join(folder, `${trials.processes}.trace`),
    crashAt,
    timeoutMs: options.timeoutMs,
    signal,
  });
}

/** One process after the other until one is done or hangs. The one that is killed on purpose does not count as a try. */
async function takeOver<O>(trials: Trials<O>, world: CrashWorld<O>, second: number | undefined): Promise<ChildEnd[]> {
  const ends: ChildEnd[] = [];
  const isOver = () => ends.at(-1)?.kind === "done" || ends.at(-1)?.kind === "hung";
  if (second !== undefined) ends.push(await start(trials, world, second));
  for (let tries = 0; tries < trials.options.restarts && !isOver(); tries += 1) ends.push(await start(trials, world));
  return ends;
}

function pointOf(end: ChildEnd, passage: number): string | undefined {
  return end.kind === "crashed" ? end.passed[passage - 1] : undefined;
}

function secondOf(end: ChildEnd | undefined, passage: number | undefined): { readonly second?: CrashPassage } {
  const point = end === undefined || passage === undefined ? undefined : pointOf(end, passage);
  return point === undefined || passage === undefined ? {} : { second: { n: passage, point } };
}

function notFinished(takeovers: readonly ChildEnd[]): string {
  const tries = takeovers.filter(({ kind }) => kind !== "crashed").length;
  const after = tries === 1 ? "with the process that took over" : `with ${tries} processes that took over`;
  return `The work did not come to its end ${after}: the last one ${takeovers.at(-1)?.told}`;
}

async function violationsIn<O>(
  { invariants }: CrashScenario<O>,
  world: CrashWorld<O>,
  undisturbed: O,
): Promise<readonly string[]> {
  let observation: O;
  try {
    observation = await world.observe();
  } catch (error) {
    return [`What came of it cannot be observed: ${messageOf(error)}`];
  }
  if (invariants === undefined) return differences(observation, undisturbed);
  try {
    return (await invariants(observation, undisturbed)) ?? [];
  } catch (error) {
    return [messageOf(error)];
  }
}

function differences(observation: unknown, undisturbed: unknown): readonly string[] {
  if (isDeepStrictEqual(observation, undisturbed)) return [];
  return [`It led to ${printed(observation)} instead of ${printed(undisturbed)}`];
}

const MAX_PRINTED_CHARACTERS = 1_000;

function printed(observation: unknown): string {
  const text = inspect(observation, { depth: 6, breakLength: Number.POSITIVE_INFINITY });
  return text.length > MAX_PRINTED_CHARACTERS ? `${text.slice(0, MAX_PRINTED_CHARACTERS)}…` : text;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../core/clock.js";
import { parseOptions } from "../core/options.js";
import { choosePairs, choosePassages } from "./crash-sample.js";
import {
  type CrashOptions,
  CrashOptionsSchema,
  type CrashPointResult,
  type CrashReport,
  type CrashScenario,
  ScenarioSchema,
} from "./crash-scenario.js";
import { runTrial, runUndisturbed, type Trial, type Trials } from "./crash-trial.js";

/**
 * Finds what a crash breaks. It runs the scenario's process once undisturbed and notes each crash point that it passes:
 * around every durable write and every attempt, and those of your own (`passCrashPoint`). Then, for each passage and in
 * a new world each time, a process is killed there with SIGKILL, the command is started again until it exits with 0, and
 * what came of it is compared with what the undisturbed run has led to.
 *
 * What is wrong after a crash is in the report and not thrown: expect `violations` to be empty.
 *
 * @throws ConfigError naming the option at fault
 * @throws CrashScenarioError where the undisturbed run fails, hangs or passes no crash point, and where a process cannot
 * be started or does not die where it should
 * @throws whatever `prepare`, `close`, `onPoint` and, of the undisturbed world, `observe` throw; and the signal's reason
 */
export async function enumerateCrashPoints<Observation>(
  scenario: CrashScenario<Observation>,
  given: CrashOptions = {},
): Promise<CrashReport<Observation>> {
  const options = parseOptions("enumerateCrashPoints", CrashOptionsSchema, given);
  parseOptions("enumerateCrashPoints: the scenario", ScenarioSchema, scenario);
  const startedAt = systemClock.now();
  const failed = new AbortController();
  const signal = AbortSignal.any(options.signal === undefined ? [failed.signal] : [failed.signal, options.signal]);
  signal.throwIfAborted();
  const folder = mkdtempSync(join(tmpdir(), "lgr-crash-points-"));
  try {
    const trials: Trials<Observation> = { scenario, options, folder, signal, processes: 0 };
    const undisturbed = await runUndisturbed(trials);
    let done = 0;
    let total = 0;
    const inTurn = async <T>(planned: readonly T[], run: (plan: T) => Promise<Trial>): Promise<Trial[]> => {
      total += planned.length;
      return await inLanes(options.parallel, failed, planned, async (plan) => {
        const trial = await run(plan);
        done += 1;
        options.onPoint(trial.result, { done, total });
        return trial;
      });
    };
    const passages = choosePassages(undisturbed.passages.length, options);
    const singles = await inTurn(passages, (first) => runTrial(trials, undisturbed, first));
    const takeovers = singles.map(({ result, takeoverPassages }) => ({ n: result.n, passages: takeoverPassages }));
    const pairs = choosePairs(takeovers, options);
    const doubles = await inTurn(pairs, ({ first, second }) => runTrial(trials, undisturbed, first, second));
    const points = [...singles, ...doubles].map(({ result }) => result);
    return {
      points,
      passages: undisturbed.passages,
      undisturbed: undisturbed.observation,
      violations: points.flatMap((result) => result.violations.map((violation) => `${where(result)}: ${violation}`)),
      durationMs: systemClock.now() - startedAt,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function where({ n, point, second }: CrashPointResult): string {
  const first = `${n} (${point})`;
  return second === undefined ? first : `${first}, then ${second.n} (${second.point})`;
}

/**
 * At most `width` at a time. The first failure ends the others by `failed`, and is thrown when all have ended.
 *
 * @returns the results in the order of what was planned
 */
async function inLanes<T, R>(
  width: number,
  failed: AbortController,
  planned: readonly T[],
  run: (plan: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const left = [...planned.entries()].reverse();
  const lane = async () => {
    for (let next = left.pop(); next !== undefined && !failed.signal.aborted; next = left.pop()) {
      const [index, plan] = next;
      results[index] = await run(plan);
    }
  };
  const lanes = Array.from({ length: width }, () => lane());
  for (const running of lanes) running.catch((error: unknown) => failed.abort(error));
  await Promise.allSettled(lanes);
  failed.signal.throwIfAborted();
  return results;
}

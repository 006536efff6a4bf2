/** What is given to `enumerateCrashPoints`, and what it gives back. */
import { z } from "zod";
import { ResilienceError } from "../errors/own-errors.js";

/** What one process, and those that take over from it, work on: a database of its own, a server, a folder. */
export interface CrashWorld<Observation> {
  /** Tells the process where its world is; goes before the scenario's `env`. */
  readonly env?: Readonly<Record<string, string>>;
  /** What has come of the work, once it is at its end. Where a crash was before, a throw counts as a violation. */
  observe(): Observation | Promise<Observation>;
  /** Takes the world down. Is called once, whatever happened. */
  close?(): unknown;
}

/** One unit of work that a process does, or goes on with, from its start to its end. */
export interface CrashScenario<Observation> {
  /**
   * Program and arguments, such as `[process.execPath, "scenario.js"]`. It calls `armCrashPoints()`, begins the work or
   * goes on with what is there, and exits with 0 at the end of it. It has to be the process itself and not one that starts
   * another: for TypeScript `[process.execPath, "--import", "tsx", "scenario.ts"]`, not `npx tsx`.
   */
  readonly command: readonly string[];
  /** Added to the environment of this process. Default: nothing. */
  readonly env?: Readonly<Record<string, string>>;
  /** Folder that the process runs in. Default: that of this process. */
  readonly cwd?: string;
  /** A new world, which no other run has touched. */
  prepare(): CrashWorld<Observation> | Promise<CrashWorld<Observation>>;
  /**
   * What is wrong with what a crash has led to, one sentence each; to throw counts as one.
   * Default: it must be deeply equal to what the undisturbed run has led to.
   */
  invariants?(
    observation: Observation,
    undisturbed: Observation,
  ): readonly string[] | undefined | Promise<readonly string[] | undefined>;
}

export interface CrashOptions {
  /** Share of the passages to crash at, above 0 to 1: drawn by `seed`, spread over the run. Default 1: each. */
  readonly sample?: number;
  /** No more passages than these, drawn and spread in the same way. Default: no limit. */
  readonly atMost?: number;
  /** These passages alone, from 1: to look at one again. In place of `sample` and `atMost`. */
  readonly only?: readonly number[];
  /**
   * In how many further trials the process that takes over is killed as well, at a passage of its own; pairs of passages
   * are drawn by `seed`. Default 0.
   */
  readonly twice?: number;
  /** Whole number behind everything that is drawn. Default 1. */
  readonly seed?: number;
  /** How many processes may take over, one after the other, until one exits with 0. Default 3. */
  readonly restarts?: number;
  /** Limit for each process in milliseconds; then it is killed and counts as hanging. Default 60,000. */
  readonly timeoutMs?: number;
  /** How many trials run side by side, each in a world of its own. Default 1. */
  readonly parallel?: number;
  /** Is called when a trial is over. */
  readonly onPoint?: (result: CrashPointResult, progress: CrashProgress) => void;
  /** Ends the processes that run, takes their worlds down, and rejects with its reason. */
  readonly signal?: AbortSignal;
}

export interface CrashProgress {
  /** Trials that are over, this one included. */
  readonly done: number;
  /** Trials there are, as far as that is known: those of `twice` are added when all others are over. */
  readonly total: number;
}

/** One passage through a crash point. */
export interface CrashPassage {
  /** Which passage of the process it was, from 1. */
  readonly n: number;
  /** Name of the crash point, such as "checkpoint.put.before". */
  readonly point: string;
}

/** One trial: a world in which the process was killed at one passage. */
export interface CrashPointResult extends CrashPassage {
  /**
   * False where the process came to its end with fewer passages, as work side by side may. Then `point` is what the
   * undisturbed run passed.
   */
  readonly reached: boolean;
  /** Where the process that took over was killed in turn. */
  readonly second?: CrashPassage;
  /** What is wrong, one sentence each; none is what one hopes for. */
  readonly violations: readonly string[];
}

export interface CrashReport<Observation> {
  /** One entry a trial, in the order of their passages; those of `twice` come last. */
  readonly points: readonly CrashPointResult[];
  /** Names of the crash points that the undisturbed run passed, in order. */
  readonly passages: readonly string[];
  /** What the undisturbed run has led to. */
  readonly undisturbed: Observation;
  /** All of them, each with its passage: `12 (checkpoint.put.after): …`. */
  readonly violations: readonly string[];
  readonly durationMs: number;
}

/** The scenario itself does not do: nothing can be said about crashes. */
export class CrashScenarioError extends ResilienceError {
  constructor(message: string, cause?: unknown) {
    super("CRASH_SCENARIO", message, { cause });
  }
}

const isFunction = (value: unknown) => typeof value === "function";

/** What is checked of a scenario; it is used as given. */
export const ScenarioSchema = z.looseObject({
  command: z.array(z.string()).min(1, "expected a program and its arguments"),
  env: z.record(z.string(), z.string()).optional(),
  cwd: z.string().optional(),
  prepare: z.custom<CrashScenario<unknown>["prepare"]>(isFunction, "expected a function"),
  invariants: z.custom<CrashScenario<unknown>["invariants"]>(isFunction, "expected a function").optional(),
});

export const CrashOptionsSchema = z.strictObject({
  sample: z.number().positive().max(1).default(1),
  atMost: z.int().min(1).default(Number.MAX_SAFE_INTEGER),
  only: z.array(z.int().min(1)).min(1).optional(),
  twice: z.int().min(0).default(0),
  seed: z.int().default(1),
  restarts: z.int().min(1).default(3),
  timeoutMs: z.number().positive().default(60_000),
  parallel: z.int().min(1).default(1),
  onPoint: z.custom<NonNullable<CrashOptions["onPoint"]>>(isFunction, "expected a function").default(() => () => {}),
  signal: z.instanceof(AbortSignal).optional(),
});

export type CompiledCrashOptions = z.output<typeof CrashOptionsSchema>;

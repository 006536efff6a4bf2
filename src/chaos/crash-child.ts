/** One process of a scenario, from its start to its end. */
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import type { Readable } from "node:stream";
import { systemClock } from "../core/clock.js";
import { redactText } from "../core/redact.js";
import { CRASH_AT, CRASH_TRACE } from "./crash-at.js";
import { CrashScenarioError } from "./crash-scenario.js";

export interface ChildStart {
  readonly command: readonly string[];
  readonly cwd?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where it writes what it passes; does not exist yet. */
  readonly trace: string;
  /** Passage to die at; none: it is left alone. */
  readonly crashAt?: number | undefined;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface ChildEnd {
  /** `crashed`: at the passage it was armed for. `failed`: in any other way than with exit code 0. */
  readonly kind: "done" | "crashed" | "failed" | "hung";
  /** Names of the crash points it passed. */
  readonly passed: readonly string[];
  /** How it ended, to go on after "it": "ended with exit code 1; its last output: …". */
  readonly told: string;
}

/** As much of what a process has printed as helps to see why it failed. */
const MAX_TAIL_CHARACTERS = 2_000;
/** What a process has printed last comes after its end; a process that it left behind holds the pipe open. */
const OUTPUT_GRACE_MS = 1_000;

/**
 * @throws CrashScenarioError where it cannot be started, or outlives the passage it should die at
 * @throws the signal's reason, once the process has ended
 */
export async function runChild(start: ChildStart): Promise<ChildEnd> {
  const { command, cwd, trace, crashAt, timeoutMs, signal } = start;
  signal.throwIfAborted();
  const env = { ...start.env, [CRASH_TRACE]: trace, [CRASH_AT]: crashAt === undefined ? undefined : String(crashAt) };
  const [program = "", ...parameters] = command;
  const child = spawn(program, parameters, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  let hung = false;
  const kill = () => void child.kill("SIGKILL");
  const callOff = systemClock.after(timeoutMs, () => {
    hung = true;
    kill();
  });
  signal.addEventListener("abort", kill, { once: true });
  try {
    const output = tailOf(child.stdout, child.stderr);
    const closed = new Promise<void>((resolve) => child.once("close", () => resolve()));
    const { code, by } = await new Promise<{ code: number | null; by: NodeJS.Signals | null }>((resolve, reject) => {
      child.once("error", (error) =>
        reject(new CrashScenarioError(`"${program}" cannot be started: ${error.message}`, error)),
      );
      child.once("exit", (code, by) => resolve({ code, by }));
    });
    await within(OUTPUT_GRACE_MS, closed);
    signal.throwIfAborted();
    const passed = passedIn(trace);
    const how = by === null ? `ended with exit code ${code}` : `was ended by ${by}`;
    if (crashAt !== undefined && passed.length >= crashAt) {
      // A shell around it has the signal as 128 + 9.
      if (passed.length === crashAt && (by === "SIGKILL" || code === 137))
        return { kind: "crashed", passed, told: how };
      throw new CrashScenarioError(
        `The process passed point ${crashAt} (${passed[crashAt - 1]}) and was not killed there; it ${how}. After armCrashPoints() nothing else may listen to crash points, and a trace belongs to one process`,
      );
    }
    if (hung) return { kind: "hung", passed, told: `was still at work after ${timeoutMs} ms${lastSaid(output())}` };
    return { kind: code === 0 ? "done" : "failed", passed, told: `${how}${lastSaid(output())}` };
  } finally {
    callOff();
    signal.removeEventListener("abort", kill);
  }
}

function passedIn(trace: string): readonly string[] {
  return existsSync(trace) ? readFileSync(trace, "utf8").split("\n").slice(0, -1) : [];
}

/** Reads to the end, so that no process waits for its reader; keeps what came last. */
function tailOf(...streams: readonly Readable[]): () => string {
  let tail = "";
  for (const stream of streams) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      tail = (tail + text).slice(-MAX_TAIL_CHARACTERS);
    });
  }
  return () => tail.trim();
}

function lastSaid(output: string): string {
  return output === "" ? "" : `; its last output: ${redactText(output)}`;
}

async function within(ms: number, work: Promise<void>): Promise<void> {
  const over = new AbortController();
  // Whoever loses is called off: no timer outlives the process.
  await Promise.race([work, systemClock.sleep(ms, over.signal).catch(() => undefined)]);
  over.abort();
}

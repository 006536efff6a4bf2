/**
 * `lgr` as a user runs it: a process of its own, in the project's folder. Where nothing else is said it is the command as
 * it is published, compiled, which starts in a third of the time; in full depth it is the one of a clone.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { inject } from "vitest";

/** Where `bin/lgr.js` is, and where the projects are that it is given. */
interface Installation {
  readonly home: string;
  readonly projects: string;
}

const root = fileURLToPath(new URL("../..", import.meta.url));
/** TypeScript as it is, through tsx. */
export const CLONE: Installation = { home: root, projects: root };
const compiled = inject("compiledFolder");
const PUBLISHED: Installation =
  !compiled || process.env.LGR_TEST_DEPTH === "full" ? CLONE : { home: compiled, projects: join(compiled, "dist") };

const projectIn = ({ projects }: Installation, name: string) =>
  join(projects, `test/support/projects/${name}/langgraph.json`);
/** A project of three quick steps, for what does not need the real one. */
export const TINY = projectIn(PUBLISHED, "tiny");
export const TINY_IN_CLONE = projectIn(CLONE, "tiny");

/** A project whose steps change the outside world. */
export const SHOP = projectIn(PUBLISHED, "shop");

export interface LgrResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** The lines of `--json`, parsed. */
  objects(): Record<string, unknown>[];
}

/** The environment of this machine with nothing that would make the project behave otherwise. */
export function cleanEnvironment(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const { OPENAI_API_KEY, OPENAI_BASE_URL, SMTP_URL, MAIL_TO, DATABASE_URL, OFFLINE_PROVIDER, ...rest } = process.env;
  return { ...rest, NO_COLOR: "1", ...extra };
}

/** The same through `npm run`, as the README says it: npm, a shell, and `lgr` beneath. */
export function startNpmRun(script: string, parameters: readonly string[]): ChildProcess {
  return spawn("npm", ["run", script, "--", ...parameters], {
    cwd: root,
    env: cleanEnvironment(),
    stdio: ["ignore", "pipe", "pipe"],
  });
}

export function startLgr(parameters: readonly string[], { home, projects } = PUBLISHED): ChildProcess {
  return spawn(process.execPath, [join(home, "bin/lgr.js"), ...parameters], {
    cwd: projects,
    env: cleanEnvironment(),
    stdio: ["ignore", "pipe", "pipe"],
  });
}

export async function runLgr(parameters: readonly string[], installation = PUBLISHED): Promise<LgrResult> {
  const child = startLgr(parameters, installation);
  if (child.stdout === null || child.stderr === null) throw new Error("lgr was started without pipes");
  const [stdout, stderr, [code, signal]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "exit"),
  ]);
  const objects = () =>
    stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { code, signal, stdout, stderr, objects };
}

/** Reads what a child prints on either stream until `pattern` is there; all of it is in the error if the child ends first. */
export async function untilPrinted(child: ChildProcess, pattern: RegExp): Promise<string> {
  let seen = "";
  return await new Promise((resolve, reject) => {
    const onData = (chunk: Buffer) => {
      seen += chunk.toString();
      if (!pattern.test(seen)) return;
      for (const stream of [child.stdout, child.stderr]) stream?.off("data", onData).resume();
      resolve(seen);
    };
    for (const stream of [child.stdout, child.stderr]) stream?.on("data", onData);
    child.once("exit", (code) => reject(new Error(`ended with ${code} before it printed ${pattern}:\n${seen}`)));
  });
}

/** Names of the nodes that a `--json` run started, in order. */
export function started(events: readonly Record<string, unknown>[]): unknown[] {
  return events.filter((event) => event.type === "node.started").map((event) => event.node);
}

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { systemClock } from "../../core/clock.js";
import { ConfigError } from "../../errors/own-errors.js";
import { openPersistence } from "../../persistence/open.js";
import type { GlobalOptions } from "../command-scope.js";
import { databaseOf } from "../database.js";
import { EXIT } from "../exit-codes.js";
import { positiveInteger } from "../option-values.js";
import { openProject } from "../project.js";

export interface DevFlags {
  readonly port: string;
  readonly browser: boolean;
}

export async function dev(flags: DevFlags, global: GlobalOptions): Promise<number> {
  const config = global.config ?? "langgraph.json";
  const project = openProject(config);
  const url = databaseOf(project, global);
  // Said here and now, rather than as a failed request once somebody opens Studio.
  const persistence = openPersistence(url);
  await persistence.ready();
  await persistence.close();
  process.stdout.write(`Graphs: ${Object.keys(project.graphs).join(", ")}; threads in ${persistence.description}\n`);
  const port = positiveInteger("--port", flags.port);
  await refuseTakenPort(port);
  const server = spawn(
    process.execPath,
    [
      serverCommand(project.directory),
      "dev",
      "--config",
      resolve(config),
      "--host",
      "127.0.0.1",
      "--port",
      String(port),
      ...(flags.browser ? [] : ["--no-browser"]),
    ],
    {
      cwd: project.directory,
      stdio: "inherit",
      // A group of its own: the server starts further processes, and a signal to it alone leaves them listening.
      detached: true,
      env: {
        ...process.env,
        LANGGRAPH_CLI_NO_ANALYTICS: "1",
        LANGSMITH_TRACING: "false",
        DATABASE_URL: url,
      },
    },
  );
  return await untilStopped(server);
}

async function refuseTakenPort(port: number): Promise<void> {
  const probe = createServer();
  try {
    await once(probe.listen(port, "127.0.0.1"), "listening");
  } catch (error) {
    throw new ConfigError(
      `Port ${port} cannot be used (${(error as NodeJS.ErrnoException).code}); choose another with --port`,
      { cause: error },
    );
  } finally {
    probe.close();
  }
}

function serverCommand(directory: string): string {
  const requires = [createRequire(pathToFileURL(join(directory, "package.json"))), createRequire(import.meta.url)];
  for (const require of requires) {
    try {
      const manifest = require.resolve("@langchain/langgraph-cli/package.json");
      const command = join(dirname(manifest), "dist", "cli", "cli.mjs");
      if (existsSync(command)) return command;
    } catch (error) {
      if ((error as { code?: unknown }).code !== "MODULE_NOT_FOUND") throw error;
    }
  }
  throw new ConfigError(
    "The development server is not installed: npm install --save-dev @langchain/langgraph-cli@1.5.1 @langchain/langgraph-api@1.5.1",
  );
}

async function untilStopped(server: ChildProcess): Promise<number> {
  let stopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    const again = stopping;
    stopping = true;
    endGroup(server, again ? "SIGKILL" : signal);
  };
  // SIGHUP: the terminal was closed; the server is in a group of its own and would not hear of it.
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, stop);
  const over = new AbortController();
  onWrapperGone(() => stop("SIGTERM"), over.signal);
  try {
    const code = await new Promise<number | null>((settle, fail) => {
      server.once("error", fail);
      server.once("exit", (exitCode) => settle(exitCode));
    });
    return stopping ? EXIT.ok : (code ?? EXIT.failed);
  } finally {
    over.abort();
    // Whatever the server left behind in its group goes with it.
    endGroup(server, "SIGKILL");
    for (const signal of signals) process.off(signal, stop);
  }
}

/** How often to look whether npm is still there; it gives no sign when it goes. */
const WRAPPER_POLL_MS = 250;

/**
 * npm and npx end at a signal without handing it on to what their shell has started, which would then serve on, unseen.
 * Called from a shell of a person's own, as with nohup, the command may well outlive its parent.
 */
function onWrapperGone(stop: () => void, over: AbortSignal): void {
  if (process.env.npm_command === undefined) return;
  const parent = process.ppid;
  const watch = async (): Promise<void> => {
    while (process.ppid === parent) await systemClock.sleep(WRAPPER_POLL_MS, over);
    stop();
  };
  // The only rejection is the end of the watch.
  watch().catch(() => undefined);
}

function endGroup(server: ChildProcess, signal: NodeJS.Signals): void {
  if (server.pid === undefined) return;
  try {
    process.kill(-server.pid, signal);
  } catch (error) {
    // ESRCH: nobody of the group is left, which is what was wanted.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** The processes of the contenders, as their parent sees them. */
import { fork } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onServer } from "../on-server.mjs";

/** @typedef {import("./scenarios.mjs").Sample} Sample */

/** Longer than the slowest contender's slowest round; whoever hangs must not keep the others waiting for ever. */
const PATIENCE_MS = 20 * 60_000;

/**
 * @typedef {object} Child
 * @property {(round: number) => Promise<Sample>} round
 * @property {() => Promise<void>} stop gently, else by force; what it kept is removed
 */

/** @type {Set<Child>} */
const running = new Set();

export async function stopChildren() {
  await Promise.all([...running].map((child) => child.stop()));
}

/**
 * Resolves when the contender is ready for its first round.
 *
 * @param {import("./contenders.mjs").Contender} contender
 * @param {string} scenario
 * @param {{ serverUrl: string, pgliteTemplate: string, quick: boolean, signal: AbortSignal }} settings
 * @returns {Promise<Child>}
 */
export async function startChild(
  { name: contender, database },
  scenario,
  { serverUrl, pgliteTemplate, quick, signal },
) {
  const folder = mkdtempSync(join(tmpdir(), "lgr-bench-"));
  const name = database === "postgres" ? `lgr_bench_${randomUUID().replaceAll("-", "")}` : undefined;
  if (name !== undefined) await onServer(serverUrl, `create database ${name}`);
  const url = new URL(serverUrl);
  if (name !== undefined) url.pathname = `/${name}`;

  const path = fileURLToPath(new URL("child.mjs", import.meta.url));
  const child = fork(path, { execArgv: ["--expose-gc"], stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const gone = once(child, "exit");

  const ask = async (/** @type {object} */ message) => {
    signal.throwIfAborted();
    if (!child.connected) throw new Error("The process has ended");
    const over = new AbortController();
    const late = AbortSignal.timeout(PATIENCE_MS);
    const until = { signal: AbortSignal.any([over.signal, late, signal]) };
    const answer = once(child, "message", until).then(([said]) => said);
    const ended = once(child, "exit", until).then(([code, by]) => {
      throw new Error(`The process ended by ${by ?? `code ${code}`}`);
    });
    // Whichever of the two comes second has nobody to tell.
    for (const outcome of [answer, ended]) outcome.catch(() => {});
    try {
      child.send(message);
      const { done, failed } = await Promise.race([answer, ended]);
      if (failed !== undefined) throw new Error(failed);
      return done;
    } catch (error) {
      if (late.aborted) throw new Error(`No answer within ${PATIENCE_MS / 60_000} minutes`);
      throw error;
    } finally {
      over.abort();
    }
  };

  /** @type {Promise<void> | undefined} */
  let stopping;
  const stop = async () => {
    const isBusy = signal.aborted;
    if (!isBusy) await ask({ stop: true }).catch(() => {});
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await gone;
    running.delete(self);
    rmSync(folder, { recursive: true, force: true });
    if (name !== undefined) await onServer(serverUrl, `drop database if exists ${name} with (force)`).catch(() => {});
  };
  /** @type {Child} */
  const self = {
    round: (round) => ask({ round }),
    stop: () => {
      stopping ??= stop();
      return stopping;
    },
  };
  running.add(self);
  try {
    const where = { url: url.href, folder: join(folder, "pglite"), pgliteTemplate };
    await ask({ start: { scenario, contender, quick, ...where } });
    return self;
  } catch (error) {
    await self.stop();
    throw error;
  }
}

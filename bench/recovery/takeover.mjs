/** How long it takes until a killed thread goes on: from the start of the next process to its first step, and to its end. */
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { compiled, DATABASES, median, startPayments } from "./world.mjs";

const ROUNDS = 7;
/** The order was made and is not charged for yet as far as its thread knows: two of six steps are done. */
const DIES_AT = "effect.call.after 2";

/**
 * @typedef {object} Takeover Medians over the rounds, in milliseconds from the start of the process.
 * @property {string} title of the database
 * @property {number} lockMs until it has asked for the thread: Node is up and the program loaded, the database open
 * @property {number} stepMs until its first step begins
 * @property {number} endMs
 * @property {number} freshStepMs the same of a process that begins a thread
 * @property {number} freshEndMs
 */

/**
 * @param {import("./world.mjs").World} world
 * @returns {Promise<Takeover[]>}
 */
export async function measureTakeover(world) {
  const child = await compiled(new URL("takeover.child.ts", import.meta.url), world.folder, "installed");
  const payments = await startPayments(world, true);
  try {
    const found = [];
    for (const database of DATABASES) {
      world.progress(`takeover: ${database.title}`);
      const { url, drop } = await database.url(world);
      try {
        const rounds = [];
        for (let round = 0; round <= ROUNDS; round += 1) {
          world.signal.throwIfAborted();
          const run = (/** @type {string} */ thread, /** @type {string} */ diesAt) =>
            inProcess([child, url, thread, payments.url, join(world.folder, thread), diesAt], diesAt);
          const [fresh, killed] = [randomUUID(), randomUUID()];
          const undisturbed = await run(fresh, "");
          await run(killed, DIES_AT);
          // The first round makes the tables.
          if (round > 0) rounds.push({ undisturbed, takeover: await run(killed, "") });
        }
        found.push({
          title: database.title,
          lockMs: median(rounds.map(({ takeover }) => takeover.lock)),
          stepMs: median(rounds.map(({ takeover }) => takeover.step)),
          endMs: median(rounds.map(({ takeover }) => takeover.end)),
          freshStepMs: median(rounds.map(({ undisturbed }) => undisturbed.step)),
          freshEndMs: median(rounds.map(({ undisturbed }) => undisturbed.end)),
        });
      } finally {
        await drop();
      }
    }
    return found;
  } finally {
    await payments.close();
  }
}

/** @param {readonly string[]} command @param {string} diesAt */
async function inProcess(command, diesAt) {
  const began = performance.timeOrigin + performance.now();
  const child = spawn(process.execPath, command, { stdio: ["ignore", "pipe", "inherit"] });
  const [output, [code, signal]] = await Promise.all([text(child.stdout), once(child, "exit")]);
  if (diesAt === "" ? code !== 0 : signal !== "SIGKILL")
    throw new Error(`The process ended by ${signal ?? `code ${code}`}, to die at "${diesAt}"`);
  const lines = output.trim().split("\n");
  const first = (/** @type {string} */ point) =>
    Number(lines.find((line) => line.startsWith(`${point} `))?.slice(point.length + 1)) - began;
  return { lock: first("locks.acquire.before"), step: first("node.attempt.before"), end: first("end") };
}

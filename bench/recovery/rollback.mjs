/** How long a rollback takes, the effects' own time aside: their undoing does nothing. */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { defineEffect, openPersistence, resilient, rollback, runThread } from "langgraph-resilience";
import pg from "pg";
import { z } from "zod";
import { DATABASES, median, percentile } from "./world.mjs";

export const STEPS = 100;
export const EFFECTS = 20;
export const ROUNDS = 20;
/** Threads that are made side by side. */
const LANES = 4;

const State = Annotation.Root({ count: /** @type {typeof Annotation<number>} */ (Annotation)() });

/**
 * @typedef {object} RollbackTimes In milliseconds.
 * @property {string} title of the database
 * @property {number} p50Ms
 * @property {number} p95Ms
 * @property {number} bareMs the same undoings called bare, each with one SQL write after it; the median
 * @property {number} bareRatio of the rollback to that, round by round; the median
 * @property {number} forkMs LangGraph's `updateState` at the target alone: the new head without any undoing; the median
 * @property {number} forkRatio
 */

/**
 * @param {import("./world.mjs").World} world
 * @returns {Promise<RollbackTimes[]>}
 */
export async function measureRollback(world) {
  const found = [];
  for (const database of DATABASES) {
    world.progress(`rollback: ${database.title}`);
    const { url, drop } = await database.url(world);
    try {
      const bare = await bareWrites(database.name, url, world.folder);
      try {
        found.push({ title: database.title, ...(await onDatabase(url, bare.write, world.signal)) });
      } finally {
        await bare.close();
      }
    } finally {
      await drop();
    }
  }
  return found;
}

/** @param {string} url @param {(id: number) => Promise<unknown>} write @param {AbortSignal} signal */
async function onDatabase(url, write, signal) {
  const persistence = openPersistence(url);
  try {
    await persistence.ready();
    const graph = chain().compile({ checkpointer: persistence.checkpointer, name: "chain" });
    const threads = Array.from({ length: ROUNDS + 1 }, () => randomUUID());
    const left = [...threads];
    const make = async () => {
      for (let thread = left.pop(); thread !== undefined; thread = left.pop()) {
        signal.throwIfAborted();
        const { status, error } = await runThread(graph, { count: 0 }, { threadId: thread, recursionLimit: STEPS + 5 });
        if (status !== "succeeded") throw new Error(`It ended ${status}`, { cause: error });
      }
    };
    await Promise.all(Array.from({ length: LANES }, make));
    /** @type {{ rollback: number, bare: number, fork: number }[]} */
    const rounds = [];
    for (const [round, thread] of threads.entries()) {
      signal.throwIfAborted();
      let target = "";
      const times = { rollback: 0, bare: 0, fork: 0 };
      const measures = {
        async rollback() {
          const report = await rollback(graph, thread, { to: { before: nodeOf(1) } });
          if (report.outcome !== "done" || report.undone.length !== EFFECTS || report.leaves !== STEPS)
            throw new Error(`It undid ${report.undone.length} effects of ${report.leaves} steps: ${report.outcome}`);
          target = report.target.checkpointId;
        },
        async bare() {
          for (let id = 1; id <= EFFECTS; id += 1) {
            await undoNothing();
            await write(id);
          }
        },
        async fork() {
          await graph.updateState(
            { configurable: { thread_id: thread, checkpoint_ns: "", checkpoint_id: target } },
            null,
          );
        },
      };
      for (const name of /** @type {(keyof typeof measures)[]} */ (
        round % 2 === 0 ? ["rollback", "fork", "bare"] : ["bare", "rollback", "fork"]
      )) {
        const began = performance.now();
        await measures[name]();
        times[name] = performance.now() - began;
      }
      // The first round warms up.
      if (round > 0) rounds.push(times);
    }
    const all = rounds.map((times) => times.rollback);
    return {
      p50Ms: percentile(all, 50),
      p95Ms: percentile(all, 95),
      bareMs: median(rounds.map(({ bare }) => bare)),
      bareRatio: median(rounds.map(({ rollback: whole, bare }) => whole / bare)),
      forkMs: median(rounds.map(({ fork }) => fork)),
      forkRatio: median(rounds.map(({ rollback: whole, fork }) => whole / fork)),
    };
  } finally {
    await persistence.close();
  }
}

/** @param {number} step */
const nodeOf = (step) => `step ${step}`;

async function undoNothing() {}

function chain() {
  const touch = defineEffect({
    name: "touch",
    kind: "reversible",
    input: z.object({ count: z.number() }),
    output: z.object({ count: z.number() }),
    run: (input) => input,
    compensate: undoNothing,
  });
  /** @type {any} */
  const builder = new StateGraph(State);
  for (let step = 1; step <= STEPS; step += 1) {
    const hasEffect = step % (STEPS / EFFECTS) === 0;
    const work = async (/** @type {{ count: number }} */ { count }, /** @type {any} */ config) => {
      if (hasEffect) await touch({ count }, config);
      return { count: count + 1 };
    };
    const name = nodeOf(step);
    builder.addNode(name, resilient(work, { name })).addEdge(step === 1 ? START : nodeOf(step - 1), name);
  }
  return builder.addEdge(nodeOf(STEPS), END);
}

/** One small durable write after the other, on a database of the same kind. */
async function bareWrites(/** @type {string} */ name, /** @type {string} */ url, /** @type {string} */ folder) {
  const create = "create table bare_undone (id integer, at timestamptz)";
  const insert = "insert into bare_undone values ($1, now())";
  if (name === "pglite") {
    const database = await PGlite.create(join(folder, randomUUID()));
    await database.query(create);
    return { write: (/** @type {number} */ id) => database.query(insert, [id]), close: () => database.close() };
  }
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(create);
  return { write: (/** @type {number} */ id) => client.query(insert, [id]), close: () => client.end() };
}

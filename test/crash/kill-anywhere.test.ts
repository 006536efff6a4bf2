/** A process killed at any durable write or attempt: what was acknowledged is there, and the thread goes on to the same end. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { inspectThread, openPersistence, type Persistence, resumeThread, runThread } from "langgraph-resilience";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  createDatabase,
  createFolder,
  describeOnPostgres,
  type TestDatabase,
  type TestFolder,
} from "../support/databases.js";
import { toRun } from "../support/start-script.js";
import { builder, FINAL, timesRun } from "./scenario.js";

/** Every crash point, or, while one works, a sample of them. */
const full = process.env.LGR_TEST_DEPTH === "full";
const child = toRun(new URL("scenario.child.ts", import.meta.url));

async function runChild(
  ...parameters: readonly string[]
): Promise<{ code: number | null; signal: NodeJS.Signals | null; output: string }> {
  const process_ = spawn(process.execPath, [...child, ...parameters], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [output, [code, signal]] = await Promise.all([text(process_.stdout), once(process_, "exit")]);
  return { code, signal, output };
}

/** Brings the thread to its end in this process, as an operator would. */
async function goOn(persistence: Persistence, thread: string, journal: string) {
  const graph = builder.compile({ checkpointer: persistence.checkpointer, name: "scenario" });
  const before = await inspectThread(graph, thread);
  if (!before.stored)
    await expect(resumeThread(graph, thread)).rejects.toThrow(/Nothing is stored.*lgr run <graph> --thread/);
  const result = before.stored
    ? await resumeThread(graph, thread)
    : await runThread(graph, { journal }, { threadId: thread });
  return { before, result };
}

function killEverywhere(urlOf: () => string, every: { sync: number; async: number }) {
  let folder: TestFolder;
  let points: string[];

  beforeAll(async () => {
    folder = createFolder();
    const traced = await runChild(urlOf(), "traced", join(folder.path, "traced"), "0", "sync");
    expect(traced.code).toBe(0);
    points = traced.output.trim().split("\n");
  });
  afterAll(() => folder.remove());

  it("passes a crash point around each checkpoint, each write of a task, each attempt and each thread record", () => {
    for (const kind of ["checkpoint.put", "checkpoint.writes", "node.attempt", "thread.record"]) {
      expect(points).toContain(`${kind}.before`);
      expect(points).toContain(`${kind}.after`);
    }
  });

  it.each(["sync", "async"] as const)(
    "comes to the same end after a kill at any of them, durability %s",
    async (durability) => {
      for (let passage = 1; passage <= points.length; passage += every[durability]) {
        const thread = `${durability}-${passage}`;
        const journal = join(folder.path, thread);
        const killed = await runChild(urlOf(), thread, journal, String(passage), durability);
        // Writes that wait for each other in another order may pass one point fewer than the traced run did.
        if (killed.code === 0) continue;
        expect(killed.signal, thread).toBe("SIGKILL");
        const persistence = openPersistence(urlOf());
        try {
          const { before, result } = await goOn(persistence, thread, journal);
          const where = `${thread} (${points[passage - 1]}), found ${before.status}`;
          expect(result.error, where).toBeUndefined();
          expect(result.status, where).toBe("succeeded");
          expect({ sum: result.values.sum, steps: [...(result.values.steps as string[])].sort() }, where).toEqual(
            FINAL,
          );
          if (durability === "sync") expectOneSuperstepRepeated(timesRun(journal), where);
        } finally {
          await persistence.close();
        }
      }
    },
  );
}

/** "right" fails once by design, in each process. */
function expectOneSuperstepRepeated(times: Record<string, number>, where: string): void {
  const repeated = Object.entries(times).filter(([name, count]) => count > (name === "right" ? 2 : 1));
  const supersteps = new Set(repeated.map(([name]) => (name === "left" || name === "right" ? "branches" : name)));
  expect(supersteps.size, `${where}: ${JSON.stringify(times)}`).toBeLessThanOrEqual(1);
  for (const [name, count] of Object.entries(times))
    expect(count, `${where}: ${name}`).toBeLessThanOrEqual(name === "right" ? 4 : 2);
}

describe("embedded Postgres", () => {
  const embedded = createFolder();
  afterAll(() => embedded.remove());
  killEverywhere(
    () => `pglite:${join(embedded.path, "data")}`,
    full ? { sync: 3, async: 5 } : { sync: 41, async: 997 },
  );
});

describeOnPostgres("PostgreSQL", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase();
  });
  afterAll(() => database.drop());
  killEverywhere(() => database.url, full ? { sync: 1, async: 2 } : { sync: 11, async: 31 });
});

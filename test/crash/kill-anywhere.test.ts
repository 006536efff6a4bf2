/** A process killed at any durable write or attempt: what was acknowledged is there, and the thread goes on to the same end. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type CrashScenario, enumerateCrashPoints } from "langgraph-resilience/chaos";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  createDatabase,
  createFolder,
  describeOnPostgres,
  embeddedAt,
  hasPostgres,
  type TestDatabase,
  type TestFolder,
} from "../support/databases.js";
import { every as atEvery, full, thorough } from "../support/depth.js";
import { bundle } from "./bundle.mjs";
import { FINAL, timesRun } from "./scenario.js";

/** Every crash point, or, while one works, a sample of them. */

interface End {
  readonly sum: number;
  readonly steps: readonly string[];
  /** How often each step ran, in all processes together. */
  readonly times: Record<string, number>;
}

/** @param every one passage out of how many, drawn; none where it is left out */
function killEverywhere(urlOf: () => string, every: { readonly sync: number; readonly async?: number }) {
  let folder: TestFolder;
  let child: string;
  beforeAll(async () => {
    folder = createFolder();
    child = await bundle(fileURLToPath(new URL("scenario.child.ts", import.meta.url)), folder.path);
  });
  afterAll(() => folder.remove());

  let threads = 0;
  const scenarioOf = (durability: "sync" | "async"): CrashScenario<End> => ({
    command: [process.execPath, child],
    // One database for all, with a thread for each: an embedded one takes seconds to make.
    prepare() {
      threads += 1;
      const thread = `${durability}-${threads}`;
      const journal = join(folder.path, thread);
      return {
        env: { DATABASE: urlOf(), THREAD: thread, JOURNAL: journal, DURABILITY: durability },
        observe() {
          const { sum, steps } = JSON.parse(readFileSync(`${journal}.end`, "utf8")) as End;
          return { sum, steps: [...steps].sort(), times: timesRun(journal) };
        },
      };
    },
    invariants({ sum, steps, times }) {
      expect({ sum, steps }).toEqual(FINAL);
      if (durability === "sync") expectOneSuperstepRepeated(times);
    },
  });

  it.each(Object.keys(every) as (keyof typeof every)[])(
    "comes to the same end after a kill at any of them, durability %s",
    // Of two processes for each passage.
    { timeout: full ? 900_000 : 240_000 },
    async (durability) => {
      const { passages, points, violations } = await enumerateCrashPoints(scenarioOf(durability), {
        sample: 1 / (every[durability] ?? 1),
        restarts: 1,
      });
      for (const kind of ["checkpoint.put", "checkpoint.writes", "node.attempt", "thread.record"]) {
        expect(passages).toContain(`${kind}.before`);
        expect(passages).toContain(`${kind}.after`);
      }
      expect(violations).toEqual([]);
      // Writes that wait for each other in another order may pass fewer points than the undisturbed run did.
      expect(points.some(({ reached }) => reached)).toBe(true);
    },
  );
}

/** "right" fails once by design, in each process. */
function expectOneSuperstepRepeated(times: Record<string, number>): void {
  const repeated = Object.entries(times).filter(([name, count]) => count > (name === "right" ? 2 : 1));
  const supersteps = new Set(repeated.map(([name]) => (name === "left" || name === "right" ? "branches" : name)));
  expect(supersteps.size, JSON.stringify(times)).toBeLessThanOrEqual(1);
  for (const [name, count] of Object.entries(times)) expect(count, name).toBeLessThanOrEqual(name === "right" ? 4 : 2);
}

describe.runIf(thorough || !hasPostgres)("embedded Postgres", () => {
  const embedded = createFolder();
  beforeAll(() => void embeddedAt(join(embedded.path, "data")));
  afterAll(() => embedded.remove());
  killEverywhere(() => `pglite:${join(embedded.path, "data")}`, full ? { sync: 29, async: 47 } : { sync: 997 });
});

describeOnPostgres("PostgreSQL", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase();
  });
  afterAll(() => database.drop());
  killEverywhere(
    () => database.url,
    full ? { sync: atEvery ? 1 : 2, async: atEvery ? 1 : 4 } : { sync: 12, async: 997 },
  );
});

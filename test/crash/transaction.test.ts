/** A transaction is killed anywhere in its work and in its undoing: all of it stands at the end, or nothing. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type CrashOptions, type CrashScenario, enumerateCrashPoints } from "langgraph-resilience/chaos";
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
import { every, full } from "../support/depth.js";
import { type PaymentProcess, startPaymentProcess } from "../support/payment-process.js";
import { bundle } from "./bundle.mjs";
import { orderLog } from "./payment-effects.js";
import type { TripEnd, TripFailed } from "./transaction.js";

interface Outcome {
  /** What took effect, in order. */
  readonly lines: readonly string[];
  readonly standing: readonly string[];
  /** What the receipts in the final state are of. */
  readonly receipts: readonly (string | undefined)[];
  readonly failed: readonly TripFailed[];
}

let folder: TestFolder;
let child: string;
let server: PaymentProcess;
beforeAll(async () => {
  folder = createFolder();
  child = await bundle(fileURLToPath(new URL("transaction.child.ts", import.meta.url)), folder.path);
  server = await startPaymentProcess({ honoursKeys: true, logFile: join(folder.path, "server.log") });
});
afterAll(async () => {
  await server.close();
  folder.remove();
});

let trips = 0;
function scenarioOf(database: string, kills: number): CrashScenario<Outcome> {
  return {
    command: [process.execPath, child],
    prepare() {
      trips += 1;
      const thread = `trip-${String(trips).padStart(5, "0")}`;
      const journal = join(folder.path, thread);
      return {
        // What follows is a step like any other, see effects.test.ts.
        env: { DATABASE: database, THREAD: thread, SERVER: server.url, JOURNAL: journal, DIES_UNTIL: "failed" },
        observe: () => outcomeOf(thread, journal),
      };
    },
    invariants({ lines, standing, receipts, failed }) {
      // A process that dies within the undoing leaves a group to begin anew: it is refused and undone once more.
      const logs = Array.from({ length: kills + 1 }, (_, index) => properLog(index + 1));
      expect(logs).toContainEqual(lines);
      expect(receipts).toEqual(standing);
      expect(failed.length).toBeGreaterThan(0);
      for (const { standing: stood } of failed) expect(stood).toEqual(["insurance 1"]);
      return [];
    },
  };
}

async function outcomeOf(thread: string, journal: string): Promise<Outcome> {
  const { receipts } = JSON.parse(readFileSync(`${journal}.end`, "utf8")) as TripEnd;
  const { lines, standing, lineOf } = await orderLog(server.url, thread);
  const asked = existsSync(`${journal}.failed`) ? readFileSync(`${journal}.failed`, "utf8").split("\n") : [];
  return {
    lines,
    standing,
    receipts: Object.values(receipts).map(lineOf),
    failed: asked.filter(Boolean).map((line) => JSON.parse(line) as TripFailed),
  };
}

/** What the server does when the group fails so many times, and then is whole. */
function properLog(failures: number): readonly string[] {
  const undone = Array.from({ length: failures }, (_, index) => index + 1).flatMap((time) => [
    `flight ${time}`,
    `hotel ${time}`,
    `undo hotel ${time}`,
    `undo flight ${time}`,
  ]);
  return ["insurance 1", ...undone, `flight ${failures + 1}`, `hotel ${failures + 1}`, "car 1"];
}

function isAllOrNothing(urlOf: () => string, options: CrashOptions) {
  it("is all or nothing after a kill anywhere", { timeout: full ? 600_000 : 240_000 }, async () => {
    const { undisturbed, passages, points, violations } = await enumerateCrashPoints(
      scenarioOf(urlOf(), options.twice === undefined ? 1 : 2),
      { restarts: 1, timeoutMs: 30_000, ...options },
    );
    expect(undisturbed.lines).toEqual(properLog(1));
    expect(undisturbed.failed).toMatchObject([{ standing: ["insurance 1"] }]);
    expect(passages.filter((passage) => passage === "effect.undo.after")).toHaveLength(2);
    expect(violations).toEqual([]);
    expect(points.filter(({ reached }) => reached).length).toBeGreaterThan(points.length / 2);
  });
}

describeOnPostgres("a transaction on PostgreSQL", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase();
  });
  afterAll(() => database.drop());
  isAllOrNothing(() => database.url, { parallel: 2, ...(every ? { twice: 2 } : { atMost: full ? 8 : 2 }) });
});

// Its folder is one process's at a time.
describe.runIf(full || !hasPostgres)("a transaction on the embedded Postgres", () => {
  beforeAll(() => void embeddedAt(join(folder.path, "data")));
  isAllOrNothing(() => `pglite:${join(folder.path, "data")}`, { atMost: 3 });
});

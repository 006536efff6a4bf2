/** Whoever sweeps is killed anywhere: nothing of a question is lost, and nothing is done twice. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type CrashScenario, enumerateCrashPoints } from "langgraph-resilience/chaos";
import { afterAll, beforeAll, expect, it } from "vitest";
import {
  createDatabase,
  createFolder,
  describeOnPostgres,
  type TestDatabase,
  type TestFolder,
} from "../support/databases.js";
import { every, full } from "../support/depth.js";
import { type PaymentProcess, startPaymentProcess } from "../support/payment-process.js";
import { bundle } from "./bundle.mjs";
import type { InboxEnd, Told } from "./inbox.js";
import { orderLog } from "./payment-effects.js";

interface Outcome extends InboxEnd {
  readonly lines: readonly string[];
  readonly told: readonly Told[];
  readonly charged: string | undefined;
}

let folder: TestFolder;
let child: string;
let server: PaymentProcess;
beforeAll(async () => {
  folder = createFolder();
  child = await bundle(fileURLToPath(new URL("inbox.child.ts", import.meta.url)), folder.path);
  server = await startPaymentProcess({ honoursKeys: true, logFile: join(folder.path, "server.log") });
});
afterAll(async () => {
  await server.close();
  folder.remove();
});

let questions = 0;
const scenarioOf = (database: string): CrashScenario<Outcome> => ({
  command: [process.execPath, child],
  prepare() {
    questions += 1;
    const thread = `question_${String(questions).padStart(5, "0")}`;
    const journal = join(folder.path, thread);
    return {
      env: { DATABASE: database, THREAD: thread, SERVER: server.url, JOURNAL: journal },
      observe: () => outcomeOf(thread, journal),
    };
  },
  invariants({ lines, told, charged, items, audited, receipt }) {
    expect(items).toEqual([{ state: "expired", level: 1 }]);
    expect(lines).toEqual(["charge 1"]);
    expect(receipt).toBe(charged);
    const count = (what: string) => audited.filter((one) => one === what).length;
    expect(["inbox.opened", "inbox.escalated", "inbox.expired"].map(count)).toEqual([1, 1, 1]);
    // An answer that was lost with its process: people are asked again.
    const again = count("inbox.reopened");
    expect(again).toBeLessThanOrEqual(1);
    expect([...new Set(told.map(({ event }) => event))]).toEqual(["opened", "escalated", "expired"]);
    expect(new Set(told.map(({ id }) => id)).size).toBe(3 + again);
    // One process was killed: between sending and writing that down, at most.
    expect(told.length).toBeLessThanOrEqual(4 + again);
    return [];
  },
});

async function outcomeOf(thread: string, journal: string): Promise<Outcome> {
  const end = JSON.parse(readFileSync(`${journal}.end`, "utf8")) as InboxEnd;
  const told = readFileSync(`${journal}.told`, "utf8").trim().split("\n");
  const { lines, lineOf } = await orderLog(server.url, thread);
  return {
    ...end,
    lines,
    told: told.map((line) => JSON.parse(line) as Told),
    charged: lineOf(end.receipt) === undefined ? undefined : end.receipt,
  };
}

describeOnPostgres("a sweep on PostgreSQL", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase();
  });
  afterAll(() => database.drop());

  it("that is killed anywhere is finished by the next", { timeout: full ? 600_000 : 240_000 }, async () => {
    const { undisturbed, passages, points, violations } = await enumerateCrashPoints(scenarioOf(database.url), {
      restarts: 1,
      timeoutMs: 30_000,
      parallel: 2,
      ...(every ? {} : { atMost: full ? 12 : 2 }),
    });
    expect(undisturbed.told.map(({ to }) => to)).toEqual([["ada"], ["bob"], ["bob"]]);
    expect(passages.filter((passage) => passage === "inbox.change.before").length).toBeGreaterThan(6);
    expect(violations).toEqual([]);
    expect(points.filter(({ reached }) => reached).length).toBeGreaterThan(points.length / 2);
  });
});

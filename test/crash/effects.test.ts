/** Effects happen once: a process killed at any durable write, call or probe, and whoever goes on repeats nothing. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  type CrashOptions,
  type CrashReport,
  type CrashScenario,
  enumerateCrashPoints,
} from "langgraph-resilience/chaos";
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
import { full } from "../support/depth.js";
import { type PaymentProcess, startPaymentProcess } from "../support/payment-process.js";
import { bundle } from "./bundle.mjs";
import { type ClearedBy, type Doubt, EFFECTS, type OrderEnd, STEPS } from "./effects.js";

/** A sample of the crash points, or, while one works, a small one. `npm run bench:recovery -- --kills 1000` takes more. */

interface Outcome {
  /** What the server did for this order, in order. */
  readonly done: readonly string[];
  /** Effect → which effect of the server's log the receipt in the final state is of. */
  readonly receipts: Record<string, string | undefined>;
  readonly steps: readonly string[];
  readonly ledger: OrderEnd["ledger"];
  readonly doubts: readonly Doubt[];
}

type Case = readonly [clearedBy: ClearedBy, durability: "sync" | "async", options: CrashOptions];

let folder: TestFolder;
let child: string;
/** Whether it honours keys → the server. */
const servers = new Map<boolean, PaymentProcess>();
beforeAll(async () => {
  folder = createFolder();
  child = await bundle(fileURLToPath(new URL("effects.child.ts", import.meta.url)), folder.path);
  for (const honoursKeys of [true, false])
    servers.set(
      honoursKeys,
      await startPaymentProcess({ honoursKeys, logFile: join(folder.path, `${honoursKeys}.log`) }),
    );
});
afterAll(async () => {
  await Promise.all([...servers.values()].map((server) => server.close()));
  folder.remove();
});

let orders = 0;
/** How often a person was asked, in all orders that were disturbed. */
let doubtsSeen = 0;
/** One database and one server for all, with a thread for each: to make them takes longer than a trial. */
function scenarioOf(url: string, clearedBy: ClearedBy, durability: "sync" | "async"): CrashScenario<Outcome> {
  const server = servers.get(clearedBy === "keys");
  if (server === undefined) throw new Error("There is no server");
  return {
    command: [process.execPath, child],
    prepare() {
      orders += 1;
      const thread = `order-${String(orders).padStart(5, "0")}`;
      const journal = join(folder.path, thread);
      const place = { DATABASE: url, THREAD: thread, JOURNAL: journal };
      return {
        env: { ...place, SERVER: server.url, CLEARED_BY: clearedBy, DURABILITY: durability },
        observe: () => outcomeOf(server, thread, journal),
      };
    },
    invariants({ done, doubts, ...end }, { done: _, doubts: __, ...undisturbed }) {
      doubtsSeen += doubts.length;
      const wrong = [
        ...EFFECTS.map((effect) => ({ effect, times: done.filter((one) => one === effect).length }))
          .filter(({ times }) => times !== 1)
          .map(({ effect, times }) => `"${effect}" happened ${times} times`),
        ...doubts
          .filter(({ times }) => times > 1)
          .map(({ effect }) => `"${effect}" had happened twice when a person was asked`),
        ...doubts
          // The second, where the process that had found it out died as well.
          .filter(
            ({ effect, code, summary }) =>
              !["EFFECT_UNKNOWN", "ATTEMPTS_USED_UP"].includes(code ?? "") || !summary.includes(`effect "${effect}"`),
          )
          .map(
            ({ effect, code, summary }) =>
              `a person was asked about "${effect}" without the doubt: ${code}: ${summary}`,
          ),
      ];
      if (wrong.length === 0) expect(end).toEqual(undisturbed);
      return wrong;
    },
  };
}

async function outcomeOf(server: PaymentProcess, thread: string, journal: string): Promise<Outcome> {
  const { receipts, steps, ledger } = JSON.parse(readFileSync(`${journal}.end`, "utf8")) as OrderEnd;
  const log = (await server.entries()).filter(({ input }) => (input as { order: string }).order === thread);
  const nameOf = (id: string) => log.find((entry) => entry.id === id)?.name;
  const lines = existsSync(`${journal}.doubts`)
    ? readFileSync(`${journal}.doubts`, "utf8").split("\n").filter(Boolean)
    : [];
  return {
    done: log.map(({ name }) => name),
    receipts: Object.fromEntries(Object.entries(receipts).map(([effect, id]) => [effect, nameOf(id)])),
    steps,
    // Branches that run side by side begin in either order.
    ledger: ledger.toSorted(([a], [b]) => a.localeCompare(b)),
    doubts: lines.map((line) => JSON.parse(line) as Doubt),
  };
}

/** How the undisturbed run ends, which all others have to end like. */
function expectProperEnd({ undisturbed, passages }: CrashReport<Outcome>): void {
  expect(undisturbed).toMatchObject({
    receipts: Object.fromEntries(EFFECTS.map((effect) => [effect, effect])),
    steps: STEPS,
    ledger: [...EFFECTS].sort().map((effect) => [effect, "confirmed"]),
    doubts: [],
  });
  for (const kind of [
    "checkpoint.put",
    "checkpoint.writes",
    "node.attempt",
    "thread.record",
    "ledger.move.dispatched",
    "ledger.move.confirmed",
    "effect.call",
  ])
    for (const side of ["before", "after"]) expect(passages).toContain(`${kind}.${side}`);
}

/** @param cases what clears doubts, the durability, and which kills */
function happenOnce(urlOf: () => string, cases: readonly Case[]) {
  it.each(cases)(
    "happen once after a kill anywhere, doubts cleared by %s, durability %s",
    // Of two processes for each passage, and three where the second is killed as well.
    { timeout: full ? 600_000 : 240_000 },
    async (clearedBy, durability, options) => {
      const before = doubtsSeen;
      const report = await enumerateCrashPoints(scenarioOf(urlOf(), clearedBy, durability), {
        restarts: 1,
        timeoutMs: 30_000,
        ...options,
      });
      expectProperEnd(report);
      expect(report.violations).toEqual([]);
      // Branches side by side pass more points than the undisturbed run did, or fewer.
      expect(report.points.filter(({ reached }) => reached).length).toBeGreaterThan(report.points.length / 2);
      // Only a kill around a call leaves a doubt.
      const calls = report.points.filter(({ reached, point }) => reached && point.startsWith("effect.call."));
      if (clearedBy === "person" && calls.length > 0) expect(doubtsSeen).toBeGreaterThan(before);
      if (clearedBy !== "person") expect(doubtsSeen).toBe(before);
    },
  );
}

const lanes = { parallel: 2 };

describeOnPostgres("effects on PostgreSQL", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase();
  });
  afterAll(() => database.drop());
  happenOnce(
    () => database.url,
    full
      ? [
          ["keys", "sync", { ...lanes, atMost: 6 }],
          ["keys", "async", { ...lanes, sample: 1 / 5, twice: 2 }],
          ["probe", "sync", { ...lanes, sample: 1 / 3, twice: 2 }],
          ["probe", "async", { ...lanes, atMost: 6 }],
          ["person", "sync", { ...lanes, sample: 1 / 2, twice: 4 }],
          ["person", "async", { ...lanes, atMost: 6, twice: 2 }],
        ]
      : [
          ["keys", "async", { ...lanes, atMost: 4 }],
          ["probe", "sync", { ...lanes, atMost: 5 }],
          ["person", "sync", { ...lanes, atMost: 8 }],
        ],
  );

  it("that are called without defineEffect are found to happen twice", async () => {
    const scenario = scenarioOf(database.url, "nothing", "sync");
    const { passages, violations } = await enumerateCrashPoints(scenario, {
      ...lanes,
      restarts: 1,
      timeoutMs: 30_000,
      atMost: full ? 10 : 4,
    });
    expect(passages).not.toContain("effect.call.before");
    expect(violations.join("\n")).toMatch(/^\d+ \(.+\): "\w+" happened 2 times/m);
  });
});

// Its folder is one process's at a time.
describe.runIf(full || !hasPostgres)("effects on the embedded Postgres", () => {
  beforeAll(() => void embeddedAt(join(folder.path, "data")));
  happenOnce(
    () => `pglite:${join(folder.path, "data")}`,
    [
      ["probe", "async", { atMost: 3 }],
      ["person", "sync", { atMost: 5 }],
    ],
  );
});

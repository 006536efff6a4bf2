/** A rollback is killed anywhere: whoever finishes it undoes each effect once, the newest first, and nothing else. */
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
import { fulfilled, type Incomplete, type Met, type RollbackEnd, TAKEN_BACK, type UndoneBy } from "./rollback.js";

interface Outcome {
  /** What took effect, in order. */
  readonly lines: readonly string[];
  /** Effect → what of `lines` the receipt in the final state is of. */
  readonly receipts: Record<string, string | undefined>;
  readonly steps: readonly string[];
  readonly ledger: RollbackEnd["ledger"];
  readonly gone: readonly string[];
  readonly met: readonly Met[];
  readonly incomplete: readonly Incomplete[];
}

/** Up to where its processes are killed: rolled back, or run again to its end. */
type Until = "rolled back" | "run again";
type Case = readonly [undoneBy: UndoneBy, until: Until, options: CrashOptions];

let folder: TestFolder;
let child: string;
/** Whether it honours keys → the server. */
const servers = new Map<boolean, PaymentProcess>();
beforeAll(async () => {
  folder = createFolder();
  child = await bundle(fileURLToPath(new URL("rollback.child.ts", import.meta.url)), folder.path);
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
/** How the processes that took over found their threads. */
let met: Met[] = [];
function scenarioOf(database: string, undoneBy: UndoneBy, until: Until): CrashScenario<Outcome> {
  const server = servers.get(undoneBy === "keys" || undoneBy === "refused")?.url ?? "";
  return {
    command: [process.execPath, child],
    async prepare() {
      orders += 1;
      const thread = `order-${String(orders).padStart(5, "0")}`;
      const journal = join(folder.path, thread);
      // Without keys, what the last call came to is to be looked up besides.
      await fulfilled({ database, thread, server, undoneBy, journal }, undoneBy === "asking" ? "letter" : undefined);
      const place = { DATABASE: database, THREAD: thread, SERVER: server, UNDONE_BY: undoneBy, JOURNAL: journal };
      return {
        env: { ...place, DIES_UNTIL: until },
        observe: () => outcomeOf(server, thread, journal),
      };
    },
    invariants({ met: seen, incomplete, ...end }, { met: _, incomplete: undisturbed, ...expected }) {
      met.push(...seen);
      expect(end).toEqual(expected);
      // Refused as long as it was not mended, and nothing else is left standing by that.
      expect(incomplete.length > 0).toBe(undisturbed.length > 0);
      for (const line of incomplete) expect(line).toEqual(undisturbed[0]);
      return [];
    },
  };
}

async function outcomeOf(server: string, thread: string, journal: string): Promise<Outcome> {
  const { receipts, ...end } = JSON.parse(readFileSync(`${journal}.end`, "utf8")) as RollbackEnd;
  const { lines, lineOf } = await orderLog(server, thread);
  const linesOf = (file: string) => (existsSync(file) ? readFileSync(file, "utf8").split("\n").filter(Boolean) : []);
  return {
    ...end,
    lines,
    receipts: Object.fromEntries(Object.entries(receipts).map(([effect, id]) => [effect, lineOf(id)])),
    met: linesOf(`${journal}.met`) as Met[],
    incomplete: linesOf(`${journal}.refused`).map((line) => JSON.parse(line) as Incomplete),
  };
}

function properEnd(undoneBy: UndoneBy): Outcome {
  const undoing =
    undoneBy === "refused" ? ["letter", "reserve", "create", "charge"] : ["letter", "reserve", "charge", "create"];
  return {
    lines: [
      "quote 1",
      ...TAKEN_BACK.map((name) => `${name} 1`),
      ...undoing.map((name) => `undo ${name} 1`),
      ...TAKEN_BACK.map((name) => `${name} 2`),
    ],
    receipts: { quote: "quote 1", ...Object.fromEntries(TAKEN_BACK.map((name) => [name, `${name} 2`])) },
    steps: ["quote", "open", "pay", "send"],
    ledger: [
      ["quote", "confirmed"],
      ...TAKEN_BACK.map((name) => [name, "compensated"] as const),
      ...TAKEN_BACK.map((name) => [name, "confirmed"] as const),
    ],
    gone: [],
    met: ["not begun"],
    incomplete: undoneBy === "refused" ? [{ failed: ["charge"], standing: ["quote 1", "charge 1"] }] : [],
  };
}

function isFinished(urlOf: () => string, cases: readonly Case[]) {
  it.each(cases)(
    "is finished after a kill anywhere, its undoing made good by %s, until it is %s",
    { timeout: full ? 600_000 : 240_000 },
    async (undoneBy, until, options) => {
      met = [];
      const { undisturbed, points, passages, violations } = await enumerateCrashPoints(
        scenarioOf(urlOf(), undoneBy, until),
        { ...once, ...options },
      );
      expect(undisturbed).toEqual(properEnd(undoneBy));
      for (const kind of ["ledger.move.compensating", "effect.undo", "ledger.move.compensated"])
        for (const side of ["before", "after"]) expect(passages).toContain(`${kind}.${side}`);
      expect(violations).toEqual([]);
      // A slow run renews its lease in between, and so passes more points.
      expect(points.filter(({ reached }) => reached).length).toBeGreaterThan(points.length / 2);
      // Of those, each is known to be in the middle of it; of others, it depends.
      const inTheMiddle = points.filter(
        ({ reached, point }) => reached && /^effect\.undo|compensat/.test(point),
      ).length;
      expect(met.filter((how) => how === "in the middle").length).toBeGreaterThanOrEqual(inTheMiddle);
      if (full && until === "rolled back") expect(inTheMiddle).toBeGreaterThan(0);
    },
  );
}

const once: CrashOptions = { restarts: 1, timeoutMs: 30_000 };
const lanes = { parallel: 2 };

describeOnPostgres("a rollback on PostgreSQL", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase();
  });
  afterAll(() => database.drop());
  isFinished(
    () => database.url,
    full
      ? [
          ["keys", "rolled back", every ? lanes : { ...lanes, sample: 1 / 5 }],
          ["keys", "run again", { ...lanes, atMost: every ? 4 : 2, twice: every ? 2 : 1 }],
          ["asking", "rolled back", { ...lanes, ...(every ? {} : { atMost: 2 }) }],
          ["refused", "rolled back", { ...lanes, ...(every ? {} : { atMost: 2 }) }],
        ]
      : [["keys", "rolled back", { ...lanes, atMost: 4 }]],
  );

  it.runIf(every)("is found not to be finished where nothing makes an undoing good that died", async () => {
    const { violations } = await enumerateCrashPoints(scenarioOf(database.url, "nothing", "rolled back"), {
      ...once,
      ...lanes,
      sample: 1 / 3,
    });
    const [first = ""] = violations;
    expect(first).toMatch(/^\d+ \((effect.undo.after|ledger.move.compensated.before)\): /);
    expect(first).toContain("undone already");
  });
});

// Its folder is one process's at a time.
describe.runIf(full || !hasPostgres)("a rollback on the embedded Postgres", () => {
  beforeAll(() => void embeddedAt(join(folder.path, "data")));
  isFinished(() => `pglite:${join(folder.path, "data")}`, [["keys", "rolled back", { atMost: 3 }]]);
});

/** `lgr audit`, in this process. */
import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";
import { type AuditFlags, audit } from "../../../src/cli/actions/audit.js";
import { timeMs } from "../../../src/cli/option-values.js";
import type { AuditEntry } from "../../../src/core/audit-ports.js";
import type { Persistence } from "../../../src/core/ports.js";
import { threadIdOf } from "../../../src/core/thread-id.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { newAuditEntry } from "../../../src/testing/samples.js";
import { storesOf } from "../../contract/stores-contract.js";
import { createDatabase, describeOnPostgres, type TestDatabase } from "../../support/databases.js";
import { TINY_IN_CLONE } from "../../support/run-lgr.js";

const noon = Date.parse("2026-01-31T12:00:00Z");
const anHour = 3_600_000;
const order = threadIdOf("order-17");
const gone = threadIdOf("gone");
const nameless = "a thread of other means";
const entries: readonly AuditEntry[] = [
  newAuditEntry({ at: noon, by: "Ada", what: "rollback.begun", threadId: order, reason: "wrong\namount" }),
  newAuditEntry({ at: noon + anHour, by: "langgraph-resilience", what: "effect.compensated", threadId: order }),
  newAuditEntry({
    at: noon + 2 * anHour,
    by: "Bob",
    what: "effect.settled",
    threadId: gone,
    details: { effect: "charge", apiKey: "abc" },
  }),
  newAuditEntry({ at: noon + 3 * anHour, by: "Ada", what: "human.decided", threadId: nameless }),
];

describeOnPostgres("lgr audit", () => {
  let database: TestDatabase;
  let persistence: Persistence;
  beforeAll(async () => {
    database = await createDatabase();
    persistence = openPersistence(database.url);
    await persistence.threads.record({ threadId: order, name: "order-17" });
    await persistence.threads.record({ threadId: threadIdOf("quiet"), name: "quiet" });
    await persistence.threads.record({ threadId: gone, name: "gone" });
    for (const entry of entries) await storesOf(persistence).audit.append(entry);
    await persistence.checkpointer.deleteThread(gone);
  });
  afterEach(() => void vi.restoreAllMocks());
  afterAll(async () => {
    await persistence.close();
    await database.drop();
  });

  const lgr = async (thread?: string, flags: Partial<AuditFlags> = {}, json = false): Promise<string[]> => {
    let text = "";
    vi.spyOn(process.stdout, "write").mockImplementation((chunk) => {
      text += String(chunk);
      return true;
    });
    try {
      await audit(thread, { limit: "50", ...flags }, { config: TINY_IN_CLONE, db: database.url, json });
    } finally {
      vi.restoreAllMocks();
    }
    return text.trim().split("\n");
  };
  const cells = (line = "") => line.split(/ {2,}/);
  const whats = async (thread?: string, flags: Partial<AuditFlags> = {}) =>
    (await lgr(thread, flags)).slice(1).map((line) => cells(line)[2]);

  it("shows a log: the newest last, each thread by its name, without secrets", async () => {
    expect((await lgr()).map(cells)).toEqual([
      ["WHEN", "WHO", "WHAT", "THREAD", "WHY", "DETAILS"],
      ["2026-01-31T12:00:00.000Z", "Ada", "rollback.begun", "order-17", "wrong amount"],
      ["2026-01-31T13:00:00.000Z", "langgraph-resilience", "effect.compensated", "order-17"],
      ["2026-01-31T14:00:00.000Z", "Bob", "effect.settled", gone, '{"effect":"charge","apiKey":"[redacted]"}'],
      ["2026-01-31T15:00:00.000Z", "Ada", "human.decided", nameless],
    ]);
  });

  it("shows the entries of a thread by its name or its ID, also of a deleted one", async () => {
    expect((await lgr("order-17")).map(cells)[1]).toEqual([
      "2026-01-31T12:00:00.000Z",
      "Ada",
      "rollback.begun",
      "wrong amount",
    ]);
    expect(await whats("order-17")).toEqual(["rollback.begun", "effect.compensated"]);
    for (const thread of ["gone", gone, gone.toUpperCase()]) expect(await whats(thread)).toEqual(["effect.settled"]);
    expect(await whats(nameless)).toEqual(["human.decided"]);
  });

  it("shows what was asked for, and of that the newest", async () => {
    expect(await whats(undefined, { by: "Ada" })).toEqual(["rollback.begun", "human.decided"]);
    expect(await whats(undefined, { what: "effect" })).toEqual(["effect.compensated", "effect.settled"]);
    expect(await whats("order-17", { what: "rollback" })).toEqual(["rollback.begun"]);
    expect(await whats(undefined, { since: "2026-01-31T14:00:00Z" })).toEqual(["effect.settled", "human.decided"]);
    expect(await whats(undefined, { limit: "2" })).toEqual(["effect.settled", "human.decided"]);
  });

  it("gives machines each entry whole, one a line", async () => {
    const objects = (await lgr("order-17", {}, true)).map((line) => JSON.parse(line));
    expect(objects).toMatchObject(entries.slice(0, 2).map((entry) => ({ type: "audit", ...entry })));
    expect(objects[1].seq).toBeGreaterThan(objects[0].seq);
  });

  it("says of whom there is nothing", async () => {
    expect((await lgr("quiet")).join()).toMatch(/^Thread quiet has no entries in the audit log of PostgreSQL/);
    expect((await lgr("no such thread")).join()).toContain("Thread no such thread has no entries");
    expect((await lgr("order-17", { by: "Eve" })).join()).toContain("Thread order-17 has no entries like that");
    expect((await lgr(undefined, { by: "Eve" })).join()).toMatch(/^The audit log has no entries like that in Postgre/);
    expect(await lgr("quiet", {}, true)).toEqual([""]);
  });

  it("takes times and durations, and refuses what it cannot mean", async () => {
    expect(timeMs("--since", "2h", noon)).toBe(noon - 2 * anHour);
    expect(timeMs("--since", "2026-01-31", noon)).toBe(noon - 12 * anHour);
    for (const since of ["yesterday", "2", "2026-02-31T99:00", "12"])
      await expect(lgr(undefined, { since })).rejects.toThrow(`--since ${since}: expected a time such as`);
    await expect(lgr(undefined, { limit: "0" })).rejects.toThrow("--limit 0: expected a whole number from 1");
  });
});

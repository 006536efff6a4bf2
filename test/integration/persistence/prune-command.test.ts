/** `lgr prune`, in this process. */
import { START, StateGraph } from "@langchain/langgraph";
import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";
import { type PruneFlags, prune } from "../../../src/cli/actions/prune.js";
import { EXIT } from "../../../src/cli/exit-codes.js";
import { threadLease } from "../../../src/core/run-hold.js";
import { threadIdOf } from "../../../src/core/thread-id.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { createDatabase, describeOnPostgres, type TestDatabase } from "../../support/databases.js";
import { type Log, LogState } from "../../support/graphs.js";
import { TINY_IN_CLONE } from "../../support/run-lgr.js";

describeOnPostgres("lgr prune", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase();
  });
  afterAll(() => database.drop());
  afterEach(() => {
    process.exitCode = undefined;
    vi.restoreAllMocks();
  });

  const lgr = async (flags: Partial<PruneFlags>, json = false): Promise<string> => {
    let text = "";
    vi.spyOn(process.stdout, "write").mockImplementation((chunk) => {
      text += String(chunk);
      return true;
    });
    try {
      await prune({ keepLast: "100", ttl: "7d", ...flags }, { config: TINY_IN_CLONE, db: database.url, json });
    } finally {
      vi.restoreAllMocks();
    }
    return text;
  };

  it("says what would go, deletes it, and passes over what is in use", async () => {
    const persistence = openPersistence(database.url);
    const graph = new StateGraph(LogState)
      .addNode("one", (): Partial<Log> => ({ log: ["one"] }))
      .addEdge(START, "one")
      .compile({ checkpointer: persistence.checkpointer });
    await runThread(graph, {}, { threadId: "order-17" });
    const would = await lgr({ keepLast: "1", dryRun: true });
    expect(would).toMatch(
      /^order-17: (\d+) checkpoints, \d+ rows, [\d.]+ (bytes|KB) would go; 1 checkpoint left\nWould delete \1 checkpoints of 1 thread/,
    );
    const lease = await persistence.locks?.acquire(threadLease(threadIdOf("order-17")), "a run", 60_000);
    expect(await lgr({ keepLast: "1", thread: "order-17" })).toContain("order-17: skipped, in use");
    expect(process.exitCode).toBe(EXIT.threadBusy);
    await persistence.locks?.release(threadLease(threadIdOf("order-17")), lease?.token ?? 0);
    const [thread, summary] = (await lgr({ keepLast: "1" }, true))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(thread).toMatchObject({ type: "thread", name: "order-17", outcome: "pruned", left: 1, dryRun: false });
    expect(summary).toMatchObject({ type: "summary", checkpoints: thread.checkpoints, bytes: thread.bytes });
    expect(await lgr({ keepLast: "1" })).toBe("Nothing to delete.\n");
    await persistence.close();
  });

  it("refuses what it cannot mean", async () => {
    await expect(lgr({ thread: "no such thread" })).rejects.toMatchObject({ code: "THREAD_NOT_FOUND" });
    await expect(lgr({ ttl: "7" })).rejects.toThrow("--ttl 7: expected a time such as 7d, 12h, 30m or 90s");
    await expect(lgr({ keepLast: "0" })).rejects.toThrow("--keep-last 0: expected a whole number from 1");
  });
});

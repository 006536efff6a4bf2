/** What held against sweeps, alone and in a fleet. */
import { END, START, StateGraph } from "@langchain/langgraph";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Persistence } from "../../../src/core/ports.js";
import { resolveInboxItem } from "../../../src/langgraph/inbox/resolve-item.js";
import { startInboxSweep } from "../../../src/langgraph/inbox/start-sweep.js";
import { sweepInbox } from "../../../src/langgraph/inbox/sweep.js";
import { installRecovery } from "../../../src/langgraph/install-recovery.js";
import { resilient } from "../../../src/langgraph/resilient.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { claimInboxItem, releaseInboxItem } from "../../../src/recovery/inbox-change.js";
import { createDatabase, describeOnPostgres, type TestDatabase } from "../../support/databases.js";
import { FakeClock } from "../../support/fake-clock.js";
import { LogState, once, unavailable } from "../../support/graphs.js";
import { listener, minute, office } from "./world.js";

describe("a sweep of the inbox", () => {
  it("outlives a database that is away, and wakes when somebody is asked", async () => {
    const { graph, persistence } = office();
    const inbox = persistence.inbox as never as { due: (...p: unknown[]) => Promise<unknown[]> };
    const due = inbox.due.bind(inbox);
    let sweeps = 0;
    inbox.due = async (...p) => {
      sweeps += 1;
      if (sweeps < 3) throw new Error("away");
      return due(...p);
    };
    const { channel, events } = listener();
    const warned: string[] = [];
    const onWarning = (warning: Error) => void warned.push(warning.message);
    process.on("warning", onWarning);
    const sweep = startInboxSweep(persistence, { everyMs: 20, channels: [channel] });
    while (sweeps < 4) await new Promise((resolve) => setTimeout(resolve, 10));
    await sweep.stop();
    const rare = startInboxSweep(persistence, { everyMs: 3_600_000, channels: [channel] });
    await new Promise((resolve) => setTimeout(resolve, 20));
    await runThread(graph, { value: 1 }, { threadId: "wake" });
    for (let n = 0; n < 100 && events().length === 0; n += 1) await new Promise((resolve) => setTimeout(resolve, 10));
    const before = sweeps;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(sweeps - before).toBe(0);
    await persistence.close();
    await rare.stop();
    process.off("warning", onWarning);
    expect(events()).toEqual(["opened"]);
    expect(warned.some((one) => one.includes("away"))).toBe(true);
  });

  it("with a clock that jumps back changes nothing twice", async () => {
    const { graph, sweep, only } = office({
      levels: [{ to: "ada", deadlineMs: 10 * minute, remindEveryMs: minute }],
      onExpiry: { action: "abort" },
    });
    await runThread(graph, { value: 1 }, { threadId: "l" });
    const { channel, events } = listener();
    await sweep(5 * minute, [channel]);
    await sweep(-60 * minute, [channel]);
    await sweep(0, [channel]);
    await sweep(5 * minute, [channel]);
    await sweep(11 * minute, [channel]);
    expect([events(), (await only()).state]).toEqual([["opened", "reminder", "expired"], "expired"]);
  });

  it("that can do nothing is no busy loop", async () => {
    const made = office({ levels: [{ deadlineMs: 1000 }], onExpiry: { action: "abort" } });
    const { graph, persistence, only } = made;
    await runThread(graph, { value: 1 }, { threadId: "stay" });
    await persistence.inbox?.change({ ...(await only()), dueAt: 1, sweepAt: 1 }, 1);
    const inbox = persistence.inbox as never as { due: (...p: unknown[]) => Promise<unknown[]> };
    let swept = 0;
    const due = inbox.due.bind(inbox);
    inbox.due = async (...p) => {
      swept += 1;
      return due(...p);
    };
    const sweep = startInboxSweep(persistence, { everyMs: 50 });
    await new Promise((resolve) => setTimeout(resolve, 300));
    await sweep.stop();
    expect(swept).toBeLessThan(9);
  });

  it("tries a busy thread again", async () => {
    const { graph, persistence, sweep, only } = office({
      levels: [{ deadlineMs: minute }],
      onExpiry: { action: "abort" },
    });
    const { threadId } = await runThread(graph, { value: 1 }, { threadId: "busy" });
    const { threadLease } = (await import("../../../src/core/run-hold.js")) as never as {
      threadLease?: (id: string) => string;
    };
    void threadLease;
    const locks = persistence.locks as never as {
      acquire: (...p: unknown[]) => Promise<{ token: number }>;
      release(name: string, token: number): Promise<void>;
    };
    const acquire = locks.acquire.bind(locks);
    const names: string[] = [];
    locks.acquire = async (...p) => {
      names.push(String(p[0]));
      return { kind: "busy", holder: "other", token: 1, expiresInMs: 1000 } as never;
    };
    expect(await sweep(2 * minute)).toMatchObject({ putOff: 1, failed: 0 });
    locks.acquire = acquire;
    expect(names.length).toBeGreaterThan(0);
    expect(await sweep(2.5 * minute)).toMatchObject({ expired: 0 });
    expect(await sweep(4 * minute)).toMatchObject({ expired: 1 });
    void threadId;
    void only;
    void resumeThread;
  });
});

describeOnPostgres("a fleet on PostgreSQL", () => {
  let database: TestDatabase;
  const opened: Persistence[] = [];
  beforeAll(async () => {
    database = await createDatabase();
    for (let n = 0; n < 3; n += 1) opened.push(openPersistence(database.url));
  });
  afterAll(async () => {
    for (const one of opened) await one.close();
    await database.drop();
  });
  it("people and sweepers at once: one is acted upon", async () => {
    const world = { calls: 0 };
    const made = opened.map((persistence) => {
      const builder = new StateGraph(LogState)
        .addNode(
          "work",
          resilient(
            async () => {
              world.calls += 1;
              if (world.calls % 2 === 1) throw unavailable();
              return { log: ["work"] };
            },
            { ...once, name: "work" },
          ),
        )
        .addEdge(START, "work")
        .addEdge("work", END);
      const graph = installRecovery(builder, {
        levels: [{ deadlineMs: minute }],
        onExpiry: { action: "retry" },
      }).compile({ checkpointer: persistence.checkpointer, name: "g" });
      return { persistence, graph };
    });
    const [first] = made;
    if (first === undefined) throw new Error("none");
    for (let round = 0; round < 5; round += 1) {
      await runThread(first.graph, { value: 1 }, { threadId: `r ${round}` });
      const [item] = (await first.persistence.inbox?.list()) ?? [];
      const before = world.calls;
      const out = await Promise.allSettled(
        made.flatMap(({ persistence, graph }, n) => [
          resolveInboxItem(graph, item?.id ?? "", { action: "retry", by: `p${n}` }),
          sweepInbox(persistence, { graphs: { g: graph }, clock: new FakeClock(Date.now() + 2 * minute) }),
          resumeThread(graph, `r ${round}`, { action: "retry", by: `q${n}` }),
        ]),
      );
      void out;
      await resumeThread(first.graph, `r ${round}`).catch(() => {});
      for (let n = 3; n < 9; n += 2)
        await sweepInbox(first.persistence, {
          graphs: { g: first.graph },
          clock: new FakeClock(Date.now() + n * minute),
        });
      const state = (await first.persistence.inbox?.get(item?.id ?? ""))?.state;
      expect([world.calls - before, state === "resolved" || state === "expired"]).toEqual([1, true]);
      const ends = ((await first.persistence.audit?.list({ what: "inbox" })) ?? []).filter(
        ({ what, details }) => /resolved|expired/.test(what) && (details as { item?: string }).item === item?.id,
      );
      expect(ends.length).toBe(1);
    }
  });
  it("names that databases do not like", async () => {
    const [persistence] = opened;
    if (persistence === undefined) throw new Error("none");
    const { graph } = office({}, persistence);
    await runThread(graph, { value: 1 }, { threadId: "odd" });
    const item = ((await persistence.inbox?.list({ node: "work" })) ?? []).at(-1);
    for (const by of ["a\u0000b", "x\ud800", "password=hunter2222", "é".repeat(500)]) {
      await claimInboxItem(persistence, item?.id ?? "", { by });
      expect((await persistence.inbox?.list({ claimedBy: by }))?.length).toBe(1);
      await releaseInboxItem(persistence, item?.id ?? "", { by });
    }
    const done = await resumeThread(graph, "odd", {
      action: "escalate",
      to: "c\u0000\ud800",
      by: "a\u0000b",
      reason: "r\u0000\udc00",
    });
    expect([done.status, done.error]).toEqual(["waiting_human", undefined]);
    expect((await persistence.inbox?.get(item?.id ?? ""))?.state).toBe("resolved");
  });
});

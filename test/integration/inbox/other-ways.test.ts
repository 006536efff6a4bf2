import { Command, MemorySaver, START, StateGraph } from "@langchain/langgraph";
import { describe, expect, it } from "vitest";
import { resolveInboxItem } from "../../../src/langgraph/inbox/resolve-item.js";
import { startInboxSweep } from "../../../src/langgraph/inbox/start-sweep.js";
import { sweepInbox } from "../../../src/langgraph/inbox/sweep.js";
import { installRecovery } from "../../../src/langgraph/install-recovery.js";
import { resilient } from "../../../src/langgraph/resilient.js";
import { inspectThread } from "../../../src/langgraph/threads/inspect-thread.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { LogState, once, unavailable } from "../../support/graphs.js";
import { paying, recovering } from "../effects/paying-graphs.js";
import { effectOn, newWorld } from "../effects/world.js";
import { listener, minute, office } from "./world.js";

describe("a question in the inbox", () => {
  it("of a thread that plain invoke began can be answered", async () => {
    const { graph, only, world } = office();
    world.failures = 1;
    await graph.invoke({ value: 1 }, { configurable: { thread_id: "plain-2" } });
    const { id } = await only();
    expect((await resolveInboxItem(graph, id, { action: "retry" })).status).toBe("succeeded");
  });

  it("that plain invoke answers with abort is settled by a sweep", async () => {
    const { graph, only, sweep } = office();
    const { threadId } = await runThread(graph, { value: 1 }, { threadId: "ab" });
    await graph
      .invoke(new Command({ resume: { action: "abort", by: "ada" } }), { configurable: { thread_id: threadId } })
      .catch(() => {});
    const after: unknown[] = [];
    for (const at of [2, 6, 12, 20]) {
      await sweep(at * minute);
      after.push((await only()).state);
    }
    expect(after.at(-1)).toBe("resolved");
  });

  it("is left alone by sweeps where checkpoints are stored at the end", async () => {
    const { graph, only, sweep, world } = office();
    world.failures = 1;
    await runThread(graph, { value: 1 }, { threadId: "exit", durability: "exit" });
    await sweep(20 * minute);
    expect((await only()).state).toBe("pending");
    expect((await resumeThread(graph, "exit", { action: "retry" })).status).toBe("succeeded");
    expect((await only()).state).toBe("resolved");
  });

  it("of a branch is pending, and the others are not", async () => {
    const { graph, items, sweep } = office();
    const first = await runThread(graph, { value: 1 }, { threadId: "branch" });
    await resumeThread(graph, "branch", { action: "retry" });
    const back = await resumeThread(graph, "branch", undefined, { from: first.checkpointId ?? "" });
    const pending = async () => (await items()).filter(({ state }) => state === "pending").map(({ id }) => id);
    const before = await pending();
    await sweep(20 * minute);
    const stands = await inspectThread(graph, "branch");
    expect({
      status: back.status,
      before,
      after: await pending(),
      asks: stands.waitingFor.map(({ request }) => request?.id),
    }).toSatisfy(
      (all: { before: string[]; after: string[]; asks: string[] }) =>
        JSON.stringify(all.before) === JSON.stringify(all.asks) &&
        JSON.stringify(all.after) === JSON.stringify(all.asks),
    );
  });

  it("is asked without an inbox as before", async () => {
    const { graph, persistence, world } = office({ levels: [{ deadlineMs: minute }], onExpiry: { action: "abort" } });
    world.failures = 1;
    delete (persistence as { inbox?: unknown }).inbox;
    const asked = await runThread(graph, { value: 1 }, { threadId: "f" });
    expect(asked.status).toBe("waiting_human");
    expect(asked.waitingFor[0]?.request?.deadline).toBeUndefined();
    expect((await resumeThread(graph, "f", { action: "retry" })).status).toBe("succeeded");
    expect(() => startInboxSweep(persistence)).toThrow(/keeps no inbox/);
  });

  it("is asked on a plain MemorySaver as before", async () => {
    let calls = 0;
    const builder = new StateGraph(LogState)
      .addNode(
        "work",
        resilient(
          async () => {
            calls += 1;
            if (calls === 1) throw unavailable();
            return { log: ["work"] };
          },
          { ...once, name: "work" },
        ),
      )
      .addEdge(START, "work");
    const graph = installRecovery(builder, { levels: [{ deadlineMs: minute }], onExpiry: { action: "abort" } }).compile(
      { checkpointer: new MemorySaver() },
    );
    expect((await runThread(graph, { value: 1 }, { threadId: "g" })).status).toBe("waiting_human");
    expect((await resumeThread(graph, "g", { action: "retry" })).status).toBe("succeeded");
  });

  it("from before the inbox can be answered", async () => {
    const { graph, persistence, items, world } = office();
    world.failures = 1;
    const { inbox } = persistence;
    delete (persistence as { inbox?: unknown }).inbox;
    const saver = persistence.checkpointer as never as {
      putWrites: (c: unknown, writes: [string, never][], t: string) => Promise<void>;
    };
    const put = saver.putWrites.bind(saver);
    saver.putWrites = async (c, writes, t) =>
      put(
        c,
        writes.map(([channel, value]) =>
          channel !== "__interrupt__"
            ? [channel, value]
            : ([
                channel,
                JSON.parse(JSON.stringify(value), (key, one) =>
                  ["hash", "action_request", "config", "description"].includes(key) && true
                    ? undefined
                    : key === "id" && typeof one === "string" && one.length === 16
                      ? undefined
                      : one,
                ),
              ] as never),
        ),
        t,
      );
    await runThread(graph, { value: 1 }, { threadId: "h" });
    saver.putWrites = put;
    (persistence as { inbox?: unknown }).inbox = inbox;
    const { waitingFor } = await inspectThread(graph, "h");
    expect([waitingFor[0]?.request?.hash, waitingFor[0]?.request?.id]).toEqual([undefined, undefined]);
    expect((await resumeThread(graph, "h")).status).toBe("waiting_human");
    expect((await resumeThread(graph, "h", { action: "retry" })).status).toBe("succeeded");
    expect((await items()).filter(({ state }) => state === "pending")).toEqual([]);
  });

  it("handed on beyond the last level has its deadline and default action", async () => {
    const { graph, sweep, items } = office({
      levels: [
        { to: "ada", deadlineMs: 5 * minute },
        { to: "bob", deadlineMs: minute },
      ],
      onExpiry: { action: "abort" },
    });
    await runThread(graph, { value: 1 }, { threadId: "i" });
    for (let n = 0; n < 3; n += 1) await resumeThread(graph, "i", { action: "escalate", by: "x" });
    const last = (await items()).at(-1);
    expect([last?.level, (last?.dueAt ?? 0) - (last?.openedAt ?? 0)]).toEqual([3, minute]);
    expect(await sweep(2 * minute)).toMatchObject({ expired: 1 });
  });

  it("answered by several unnamed people at once is answered by one", async () => {
    const { graph, only, world } = office();
    world.failures = 1;
    await runThread(graph, { value: 1 }, { threadId: "f" });
    const { id } = await only();
    const answers = await Promise.allSettled([1, 2, 3].map(() => resolveInboxItem(graph, id, { action: "retry" })));
    expect([answers.filter(({ status }) => status === "fulfilled").length, world.calls]).toEqual([1, 2]);
  });

  it("shows no secrets of what was said", async () => {
    const { graph, persistence, items } = office({ levels: [{ to: "ada" }] });
    await runThread(graph, { value: 1 }, { threadId: "h" });
    await resumeThread(graph, "h", {
      action: "escalate",
      to: "bob",
      by: "ada",
      reason: "password=hunter2222 sk-abcdefghijklmnop",
    });
    const { channel, notices } = listener();
    await sweepInbox(persistence, { channels: [channel] });
    const all = JSON.stringify([await items(), await persistence.audit?.list(), notices]);
    expect([all.includes("hunter2222"), all.includes("sk-abcdef")]).toEqual([false, false]);
  });

  it("about an effect that was rejected is asked again", async () => {
    const persistence = openPersistence("memory:");
    const world = newWorld();
    const graph = recovering(persistence, paying(effectOn(world, { requireApproval: true })), {
      retry: { maxAttempts: 3, initialDelayMs: 1 },
    });
    await runThread(graph, { cents: 5 }, { threadId: "f" });
    for (let n = 0; n < 3; n += 1) {
      const stands = await resumeThread(graph, "f", { action: n === 0 ? "reject" : "retry", by: "ada" } as never).catch(
        (e: unknown) => e as Error,
      );
      const { waitingFor } = await inspectThread(graph, "f");
      const pending = ((await persistence.inbox?.list()) ?? []).map(({ id }) => id);
      expect([n, pending, String((stands as Error).message ?? "")]).toEqual([
        n,
        waitingFor.map((one) => (one.request ?? one.approval)?.id),
        expect.anything(),
      ]);
    }
  });
});

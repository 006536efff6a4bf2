/** Faults of default actions that were found once: each was mended. */
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { afterEach, describe, expect, it } from "vitest";
import { onCrashPoint } from "../../../src/core/crash-points.js";
import { resolveInboxItem } from "../../../src/langgraph/inbox/resolve-item.js";
import { sweepInbox } from "../../../src/langgraph/inbox/sweep.js";
import { installRecovery } from "../../../src/langgraph/install-recovery.js";
import { resilient } from "../../../src/langgraph/resilient.js";
import { inspectThread } from "../../../src/langgraph/threads/inspect-thread.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { FakeClock } from "../../support/fake-clock.js";
import { once, unavailable } from "../../support/graphs.js";
import { effectOn, newWorld } from "../effects/world.js";
import { listener, minute, office } from "./world.js";

const levels = [{ deadlineMs: minute }];
const ahead = () => new FakeClock(Date.now() + 2 * minute);

afterEach(() => onCrashPoint(undefined));

describe("a default action", () => {
  it("that was refused leaves the question to people", async () => {
    const { graph, world, sweep, only } = office({ levels, onExpiry: { action: "fallback", step: "none" } });
    world.failures = 1;
    await runThread(graph, { value: 1 }, { threadId: "refused" });
    expect(await sweep(2 * minute)).toMatchObject({ failed: 1 });
    const { id } = await only();
    expect((await resolveInboxItem(graph, id, { action: "retry", by: "ada" })).status).toBe("succeeded");
  });

  it("that a newer version of the graph does not offer is refused for good, and people are told", async () => {
    const older = office({ levels, onExpiry: { action: "abort" } });
    await runThread(older.graph, { value: 1 }, { threadId: "older" });
    const newer = office({ actions: ["retry"] }, older.persistence);
    newer.world.failures = 0;
    const { channel, events } = listener();
    expect(await newer.sweep(2 * minute, [channel])).toMatchObject({ failed: 1, expired: 0 });
    expect(events()).toEqual(["opened", "failed"]);
    const { id } = await newer.only();
    expect((await resolveInboxItem(newer.graph, id, { action: "retry", by: "ada" })).status).toBe("succeeded");
  });

  it("that is due keeps nobody from answering as long as no sweep does it", async () => {
    const { graph, world, persistence, only } = office({ levels, onExpiry: { action: "abort" } });
    world.failures = 1;
    await graph.invoke({ value: 1 }, { configurable: { thread_id: "plain" } });
    const item = await only();
    await persistence.inbox?.change({ ...item, dueAt: 1, sweepAt: 1 }, 1);
    expect((await resolveInboxItem(graph, item.id, { action: "retry", by: "ada" })).status).toBe("succeeded");
    expect(await only()).toMatchObject({ state: "resolved" });
  });

  it("is not spoilt by a sweep whose graph is of another persistence", async () => {
    const { graph, persistence, only, sweep } = office({ levels, onExpiry: { action: "abort" } });
    await runThread(graph, { value: 1 }, { threadId: "other" });
    await sweepInbox(persistence, { graphs: { office: office().graph }, clock: ahead() });
    expect(await only()).toMatchObject({ state: "pending" });
    await sweep(10 * minute);
    expect(await only()).toMatchObject({ state: "expired" });
  });

  it("is done once the thread asks, whose process had died before it could", async () => {
    const { graph, sweep, only } = office({ levels, onExpiry: { action: "abort" } });
    let isDead = false;
    onCrashPoint((point) => {
      if (point.startsWith("locks.")) return;
      isDead ||= point === "inbox.open.after";
      if (isDead) throw new Error("died");
    });
    await runThread(graph, { value: 1 }, { threadId: "died" }).catch(() => {});
    onCrashPoint(undefined);
    expect(await sweep(2 * minute)).toMatchObject({ expired: 0, failed: 0, putOff: 1 });
    expect((await resumeThread(graph, "died")).status).toBe("waiting_human");
    await sweep(8 * minute);
    expect(await only()).toMatchObject({ state: "expired" });
  });

  it("that is a rollback and stays incomplete counts as failed, and people are told", async () => {
    const persistence = openPersistence("memory:");
    const noRefund = Object.assign(new Error("no refund"), { status: 400 });
    const charge = effectOn(newWorld(), { kind: "reversible", compensate: () => Promise.reject(noRefund) } as never);
    const State = Annotation.Root({ cents: Annotation<number>() });
    const pay = resilient(async ({ cents }: typeof State.State, config) => {
      await charge({ cents }, config);
      return {};
    }, once);
    const work = resilient((_: typeof State.State) => Promise.reject(unavailable()), once);
    const builder = new StateGraph(State)
      .addNode("pay", pay)
      .addNode("work", work)
      .addEdge(START, "pay")
      .addEdge("pay", "work")
      .addEdge("work", END);
    const graph = installRecovery(builder, { levels, onExpiry: { action: "rollback", scope: "process" } }).compile({
      checkpointer: persistence.checkpointer,
      name: "paying",
    });
    await runThread(graph, { cents: 1 }, { threadId: "incomplete" });
    const { channel, events } = listener();
    const swept = await sweepInbox(persistence, { graphs: { paying: graph }, channels: [channel], clock: ahead() });
    expect(swept).toMatchObject({ failed: 1, expired: 0 });
    expect(events()).toEqual(["opened", "failed"]);
    expect((await persistence.inbox?.list())?.length).toBe(1);
    expect((await inspectThread(graph, "incomplete")).status).toBe("waiting_human");
  });
});

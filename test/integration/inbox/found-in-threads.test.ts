/** Questions and their threads, where a review found faults. */

import { randomUUID } from "node:crypto";
import { Command, END, START, StateGraph } from "@langchain/langgraph";
import { describe, expect, it } from "vitest";
import { AUTOMATIC } from "../../../src/core/audit-ports.js";
import { type CrashPoint, onCrashPoint } from "../../../src/core/crash-points.js";
import { resolveInboxItem } from "../../../src/langgraph/inbox/resolve-item.js";
import { sweepInbox } from "../../../src/langgraph/inbox/sweep.js";
import { installRecovery } from "../../../src/langgraph/install-recovery.js";
import { resilient } from "../../../src/langgraph/resilient.js";
import { inspectThread } from "../../../src/langgraph/threads/inspect-thread.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { claimInboxItem } from "../../../src/recovery/inbox-change.js";
import { FakeClock } from "../../support/fake-clock.js";
import { LogState, once, unavailable } from "../../support/graphs.js";
import { recovering } from "../effects/paying-graphs.js";
import { effectOn, newWorld } from "../effects/world.js";
import { listener, minute, office } from "./world.js";

function sub(recovery = {}, failures = 1) {
  const persistence = openPersistence("memory:");
  let calls = 0;
  const inner = installRecovery(
    new StateGraph(LogState)
      .addNode(
        "work",
        resilient(
          async () => {
            calls += 1;
            if (calls <= failures) throw unavailable();
            return { log: ["work"] };
          },
          { ...once, name: "work" },
        ),
      )
      .addEdge(START, "work")
      .addEdge("work", END),
    recovery,
  ).compile();
  const graph = new StateGraph(LogState)
    .addNode("inner", inner)
    .addEdge(START, "inner")
    .compile({ checkpointer: persistence.checkpointer, name: "g" });
  return {
    persistence,
    graph,
    audited: async () =>
      ((await persistence.audit?.list({ what: "inbox" })) ?? []).map(({ what }) => what).toReversed(),
  };
}

describe("a question", () => {
  it("of a subgraph is over once it is answered with abort", async () => {
    const { persistence, graph, audited } = sub();
    await runThread(graph, { value: 1 }, { threadId: "t" });
    const [item] = (await persistence.inbox?.list()) ?? [];
    const done = await resolveInboxItem(graph, item?.id ?? "", { action: "abort", by: "ada" });
    expect([done.status, (await persistence.inbox?.get(item?.id ?? ""))?.state, await audited()]).toEqual([
      "aborted",
      "resolved",
      ["inbox.opened", "inbox.claimed", "inbox.answered", "inbox.resolved"],
    ]);
  });

  it("of a subgraph is over once its default action has aborted the run", async () => {
    const { persistence, graph, audited } = sub({ levels: [{ deadlineMs: minute }], onExpiry: { action: "abort" } });
    await runThread(graph, { value: 1 }, { threadId: "t" });
    const reports: unknown[] = [];
    for (const at of [2, 4, 8])
      reports.push(
        await sweepInbox(persistence, { graphs: { g: graph }, clock: new FakeClock(Date.now() + at * minute) }),
      );
    const [item] = (await persistence.inbox?.list({ state: "all" })) ?? [];
    expect([item?.state, await audited()]).toEqual([
      "expired",
      ["inbox.opened", "inbox.expiring", "inbox.answered", "inbox.expired"],
    ]);
    expect(reports[0]).toMatchObject({ expired: 1 });
  });

  it("of a subgraph that was handed on stays answered when the process dies", async () => {
    const { persistence, graph, audited } = sub();
    await runThread(graph, { value: 1 }, { threadId: "t" });
    const [item] = (await persistence.inbox?.list()) ?? [];
    let opened = false;
    onCrashPoint((point: CrashPoint) => {
      if (opened || point === "inbox.open.after") {
        opened = true;
        if (!point.startsWith("locks.")) throw new Error("died");
      }
    });
    await resolveInboxItem(graph, item?.id ?? "", { action: "escalate", to: "carol", by: "ada" }).catch(() => {});
    onCrashPoint(undefined);
    const states = async () =>
      ((await persistence.inbox?.list({ state: "all" })) ?? []).map(({ state, assignee, resolution }) => [
        state,
        assignee,
        resolution?.action,
      ]);
    const before = await states();
    await resumeThread(graph, "t");
    const after = await states();
    const bob = await resolveInboxItem(graph, item?.id ?? "", { action: "retry", by: "bob" }).then(
      () => "taken in",
      () => "refused",
    );
    // Bob is told that he is heard; what counts in the end is "escalate", and his answer is nowhere.
    expect({ before, after, bob, last: await states(), audit: await audited() }).toMatchObject({
      before: [
        ["resolved", undefined, "escalate"],
        ["pending", "carol", undefined],
      ],
      after: [
        ["resolved", undefined, "escalate"],
        ["pending", "carol", undefined],
      ],
      bob: "refused",
    });
  });

  it("of an aborted thread is asked no more", async () => {
    const { openPersistence } = await import("../../../src/persistence/open.js");
    const { START, StateGraph } = await import("@langchain/langgraph");
    const { installRecovery } = await import("../../../src/langgraph/install-recovery.js");
    const { resilient } = await import("../../../src/langgraph/resilient.js");
    const { LogState, once, unavailable } = await import("../../support/graphs.js");
    const persistence = openPersistence("memory:");
    const bad = () =>
      resilient(
        async (): Promise<{ log: string[] }> => {
          throw unavailable();
        },
        { ...once, name: "bad" },
      );
    const builder = new StateGraph(LogState)
      .addNode("left", bad())
      .addNode("right", bad())
      .addEdge(START, "left")
      .addEdge(START, "right");
    const graph = installRecovery(builder, { levels: [{ deadlineMs: minute }], onExpiry: { action: "retry" } }).compile(
      { checkpointer: persistence.checkpointer, name: "pair" },
    );
    await runThread(graph, { value: 1 }, { threadId: "pair" });
    const [first, second] = (await persistence.inbox?.list()) ?? [];
    const aborted = await resolveInboxItem(graph, first?.id ?? "", { action: "abort", by: "ada" });
    expect(aborted.status).toBe("aborted");
    const { channel, events } = listener("x", { events: ["failed", "expired", "withdrawn"] });
    await sweepInbox(persistence, {
      graphs: { pair: graph },
      channels: [channel],
      clock: new FakeClock(Date.now() + 2 * minute),
    });
    expect({ state: (await persistence.inbox?.get(second?.id ?? ""))?.state, events: events() }).toMatchObject({
      state: "withdrawn",
    });
  });

  it("that is asked no more because the input of the effect is another is not pending", async () => {
    const persistence = openPersistence("memory:");
    const world = newWorld();
    const charge = effectOn(world, { requireApproval: true });
    let cents = 0;
    const node = async (_: unknown, config: never) => {
      cents += 1;
      return { done: [(await charge({ cents }, config)).id] };
    };
    const graph = recovering(persistence, node as never, { retry: false });
    const first = await runThread(graph, { cents: 5 }, { threadId: "pay" });
    const second = await resumeThread(graph, "pay", { action: "approve", by: "ada" });
    const pending = ((await persistence.inbox?.list()) ?? []).map(({ id }) => id);
    expect({
      second: second.status,
      error: second.error?.message,
      first: first.waitingFor[0]?.approval?.id,
      pending,
      asks: second.waitingFor.map((one) => one.approval?.id ?? one.request?.id),
    }).toSatisfy(
      (all: { pending: string[]; asks: string[] }) =>
        JSON.stringify(all.pending.toSorted()) === JSON.stringify(all.asks.toSorted()),
    );
  });

  it("answered in vain through plain invoke is over after a sweep", async () => {
    const persistence = openPersistence("memory:");
    const world = newWorld();
    const charge = effectOn(world);
    const node = async ({ cents }: { cents: number }, config: never) => {
      await charge({ cents }, config);
      throw unavailable();
    };
    const graph = recovering(persistence, node as never, { retry: false });
    const { threadId, waitingFor } = await runThread(graph, { cents: 5 }, { threadId: "pay" });
    expect(waitingFor).toHaveLength(1);
    await graph
      .invoke(new Command({ resume: { action: "rollback", by: "ada" } }), { configurable: { thread_id: threadId } })
      .catch((e: unknown) => e);
    const stands = await inspectThread(graph, "pay");
    for (const at of [2, 8, 14, 20]) await sweepInbox(persistence, { clock: new FakeClock(Date.now() + at * minute) });
    const items = (await persistence.inbox?.list({ state: "all" })) ?? [];
    expect({
      asks: stands.waitingFor.map(({ request }) => request?.id),
      pending: items.filter(({ state }) => state === "pending").map(({ id }) => id),
      states: items.map(({ state, answer }) => [state, answer?.action]),
    }).toSatisfy(
      (all: { asks: string[]; pending: string[] }) => JSON.stringify(all.asks) === JSON.stringify(all.pending),
    );
  });

  it("that counted as withdrawn is resolved by its answer", async () => {
    const { graph, persistence, only, world } = office();
    world.failures = 1;
    await runThread(graph, { value: 1 }, { threadId: "g" });
    await persistence.inbox?.change({ ...(await only()), state: "withdrawn" }, 1);
    expect((await resumeThread(graph, "g", { action: "retry", by: "ada" })).status).toBe("succeeded");
    expect(await only()).toMatchObject({ state: "resolved", resolution: { by: "ada" } });
  });

  it("about a declared rollback that plain invoke leaves to others is in the inbox", async () => {
    const persistence = openPersistence("memory:");
    const builder = new StateGraph(LogState)
      .addNode(
        "work",
        resilient(
          async (): Promise<{ log: string[] }> => {
            throw unavailable();
          },
          { ...once, name: "work", rollback: { scope: "process" } } as never,
        ),
      )
      .addEdge(START, "work")
      .addEdge("work", END);
    const graph = installRecovery(builder).compile({ checkpointer: persistence.checkpointer, name: "g" });
    await graph.invoke({ value: 1 }, { configurable: { thread_id: "a" } });
    const { status, waitingFor } = await inspectThread(graph, "a");
    const pending = ((await persistence.inbox?.list()) ?? []).map(({ id }) => id);
    expect([status, pending]).toEqual(["waiting_human", waitingFor.map(({ request }) => request?.id)]);
  });

  it("of a thread whose ID is the name of another is answered itself", async () => {
    const { graph, items, world } = office();
    await runThread(graph, { value: 1 }, { threadId: "same" });
    await graph.invoke({ value: 1 }, { configurable: { thread_id: "same" } });
    const plain = (await items()).find(({ threadId }) => threadId === "same");
    world.failures = 0;
    expect((await resolveInboxItem(graph, plain?.id ?? "", { action: "retry" })).threadId).toBe("same");
  });

  it("of a thread with an ID in capitals is answered", async () => {
    const { graph, only, world } = office();
    world.failures = 1;
    await graph.invoke({ value: 1 }, { configurable: { thread_id: randomUUID().toUpperCase() } });
    expect((await resolveInboxItem(graph, (await only()).id, { action: "retry" })).status).toBe("succeeded");
  });

  it("that somebody has claimed is not answered by who takes the library's name", async () => {
    const { graph, persistence, only, world } = office();
    world.failures = 1;
    await runThread(graph, { value: 1 }, { threadId: "name" });
    const { id } = await only();
    await claimInboxItem(persistence, id, { by: "ada" });
    await expect(resumeThread(graph, "name", { action: "retry", by: AUTOMATIC })).rejects.toThrow("say who answers");
  });

  it("was answered also where the claim could not be given back", async () => {
    const { graph, persistence, only, world } = office();
    world.failures = 1;
    await runThread(graph, { value: 1 }, { threadId: "d" });
    const { id } = await only();
    const inbox = persistence.inbox as never as { get: (id: string) => Promise<{ state: string } | undefined> };
    const get = inbox.get.bind(inbox);
    inbox.get = async (one) => {
      const found = await get(one);
      if (found?.state === "resolved") throw new Error("connection lost");
      return found;
    };
    expect((await resolveInboxItem(graph, id, { action: "retry", by: "ada" })).status).toBe("succeeded");
  });
});

/** Several questions of one thread: side by side, in subgraphs, and about effects. */
import { END, START, StateGraph } from "@langchain/langgraph";
import { describe, expect, it } from "vitest";
import { resolveInboxItem } from "../../../src/langgraph/inbox/resolve-item.js";
import { sweepInbox } from "../../../src/langgraph/inbox/sweep.js";
import { installRecovery } from "../../../src/langgraph/install-recovery.js";
import { resilient } from "../../../src/langgraph/resilient.js";
import { inspectThread } from "../../../src/langgraph/threads/inspect-thread.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { FakeClock } from "../../support/fake-clock.js";
import { failures, type Log, LogState, once } from "../../support/graphs.js";
import { paying, recovering } from "../effects/paying-graphs.js";
import { effectOn, newWorld } from "../effects/world.js";
import { minute } from "./world.js";

const flaky = (name: string, failing: ReturnType<typeof failures>) =>
  resilient(async (): Promise<Partial<Log>> => {
    failing.pass(name);
    return { log: [name] };
  }, once);

describe("questions side by side", () => {
  it("are answered one by one, by ID or by node, and the others stay the same", async () => {
    const persistence = openPersistence("memory:");
    const failing = failures({ left: 1, right: 1 });
    const builder = new StateGraph(LogState)
      .addNode("left", flaky("left", failing))
      .addNode("right", flaky("right", failing))
      .addEdge(START, "left")
      .addEdge(START, "right");
    const graph = installRecovery(builder).compile({ checkpointer: persistence.checkpointer, name: "pair" });
    await runThread(graph, { value: 1 }, { threadId: "pair" });
    const open = async () => (await persistence.inbox?.list()) ?? [];
    const [first, second] = await open();
    expect(new Set([first?.node, second?.node])).toEqual(new Set(["left", "right"]));
    const after = await resolveInboxItem(graph, first?.id ?? "", { action: "retry", by: "ada" });
    expect(after.status).toBe("waiting_human");
    expect((await open()).map(({ id, openedAt }) => [id, openedAt])).toEqual([[second?.id, second?.openedAt]]);
    const done = await resumeThread(graph, "pair", { action: "retry" }, { answerTo: second?.id ?? "" });
    expect(done.status).toBe("succeeded");
    expect([...(done.values.log as string[])].sort()).toEqual(["left", "right"]);
    expect(await open()).toEqual([]);
  });

  it("of another thread are not answered by an ID of this one", async () => {
    const persistence = openPersistence("memory:");
    const failing = failures({ node: 9 });
    const builder = new StateGraph(LogState).addNode("node", flaky("node", failing)).addEdge(START, "node");
    const graph = installRecovery(builder).compile({ checkpointer: persistence.checkpointer });
    await runThread(graph, { value: 1 }, { threadId: "mine" });
    const [mine] = (await persistence.inbox?.list()) ?? [];
    await runThread(graph, { value: 1 }, { threadId: "other" });
    const wrong = resumeThread(graph, "other", { action: "retry" }, { answerTo: mine?.id ?? "" });
    await expect(wrong).rejects.toThrow(`has no open question "${mine?.id}"`);
    const stale = resumeThread(graph, "other", { action: "retry", of: mine?.hash ?? "" });
    await expect(stale).rejects.toThrow("has changed since");
    expect((await persistence.inbox?.list())?.length).toBe(2);
  });
});

describe("a question of a subgraph", () => {
  it("names the nodes around, is resolved with the answer, and withdrawn where the thread goes on without", async () => {
    const persistence = openPersistence("memory:");
    const failing = failures({ step: 2 });
    const inner = installRecovery(
      new StateGraph(LogState).addNode("step", flaky("step", failing)).addEdge(START, "step").addEdge("step", END),
    ).compile();
    const graph = new StateGraph(LogState)
      .addNode("inner", inner)
      .addEdge(START, "inner")
      .compile({ checkpointer: persistence.checkpointer, name: "outer" });
    await runThread(graph, { value: 1 }, { threadId: "sub" });
    const [item] = (await persistence.inbox?.list()) ?? [];
    expect(item?.node).toBe("inner/step");
    const again = await resolveInboxItem(graph, item?.id ?? "", { action: "retry", by: "ada" });
    expect(again.status).toBe("waiting_human");
    const [next] = (await persistence.inbox?.list()) ?? [];
    expect(next?.id).not.toBe(item?.id);
    await graph.updateState({ configurable: { thread_id: next?.threadId ?? "" } }, { value: 2 });
    expect(await sweepInbox(persistence, { clock: new FakeClock(Date.now() + minute) })).toMatchObject({
      withdrawn: 0,
    });
    await resumeThread(graph, "sub");
    const all = (await persistence.inbox?.list({ state: "all" })) ?? [];
    expect(all.map(({ state }) => state)).toContain("withdrawn");
  });
});

describe("an approval in the inbox", () => {
  const plan = { levels: [{ to: "ada", deadlineMs: minute }], onExpiry: { action: "reject" } } as const;

  it("shows what would be done, and is resolved with the answer before the effect is begun", async () => {
    const persistence = openPersistence("memory:");
    const world = newWorld();
    const graph = recovering(persistence, paying(effectOn(world, { requireApproval: true, approval: plan })));
    const asked = await runThread(graph, { cents: 5 }, { threadId: "pay" });
    const [item] = (await persistence.inbox?.list()) ?? [];
    const approval = asked.waitingFor[0]?.approval;
    expect(item).toMatchObject({
      kind: "approval",
      node: "pay",
      request: { input: { cents: 5 } },
      hash: approval?.hash,
    });
    expect(approval).toMatchObject({ id: item?.id, atDeadline: "reject" });
    await expect(resolveInboxItem(graph, item?.id ?? "", { action: "approve", of: "0000", by: "ada" })).rejects.toThrow(
      "has changed since",
    );
    expect((await resolveInboxItem(graph, item?.id ?? "", { action: "approve", by: "ada" })).status).toBe("succeeded");
    expect(world.deeds).toHaveLength(1);
    expect(await persistence.inbox?.get(item?.id ?? "")).toMatchObject({
      state: "resolved",
      resolution: { action: "approve", by: "ada" },
    });
  });

  it("that nobody answers is rejected in time, and nothing is called", async () => {
    const persistence = openPersistence("memory:");
    const world = newWorld();
    const effect = effectOn(world, { requireApproval: true, approval: plan });
    const graph = recovering(persistence, paying(effect), { retry: false });
    await runThread(graph, { cents: 5 }, { threadId: "pay", graphName: "pay" });
    const [item] = (await persistence.inbox?.list()) ?? [];
    const clock = new FakeClock(Date.now() + 2 * minute);
    expect(await sweepInbox(persistence, { graphs: { pay: graph }, clock })).toMatchObject({ expired: 1 });
    expect(world.asked).toEqual([]);
    expect(await persistence.inbox?.get(item?.id ?? "")).toMatchObject({ state: "expired" });
    const [next] = (await inspectThread(graph, "pay")).waitingFor;
    expect(next?.request?.failure.message).toContain("rejected");
  });
});

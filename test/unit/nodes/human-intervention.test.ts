import { interrupt, MemorySaver, START, StateGraph } from "@langchain/langgraph";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { type AnnouncedIntervention, announcedIntervention } from "../../../nodes/human-intervention.js";
import { installRecovery } from "../../../src/langgraph/install-recovery.js";
import { resilient } from "../../../src/langgraph/resilient.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { failures, LogState, once } from "../../support/graphs.js";

function graphWith(options: AnnouncedIntervention) {
  const { pass, calls } = failures({ load: 1 });
  const load = () => {
    pass("load");
    return { log: ["loaded"] };
  };
  const builder = new StateGraph(LogState)
    .addNode("load", resilient(load, { name: "load", ...once }))
    .addEdge(START, "load");
  const graph = installRecovery(builder, { node: announcedIntervention(options) }).compile({
    checkpointer: new MemorySaver(),
  });
  return { graph, calls };
}

describe("announcedIntervention", () => {
  it("tells which node failed and how before it asks, and the answer goes on as usual", async () => {
    const told: string[] = [];
    const { graph, calls } = graphWith({
      announce: ({ failure }) => void told.push(`${failure.node}: ${failure.attempts.at(-1)?.report.category}`),
    });
    const asked = await runThread(graph, { value: 1 }, { threadId: "t" });
    expect(asked).toMatchObject({ status: "waiting_human", waitingFor: [{ value: { node: "load" } }] });
    expect(told).toEqual(["load: server_error"]);
    expect(await resumeThread(graph, "t", { action: "retry" })).toMatchObject({
      status: "succeeded",
      values: { log: ["loaded"] },
    });
    expect(calls).toEqual({ load: 2 });
    // put again to see the answer: once for the question and once for the resume
    expect(told).toHaveLength(2);
  });

  it("waits for an announcement under way", async () => {
    const order: string[] = [];
    const { graph } = graphWith({
      announce: async () => {
        await new Promise((resolve) => setTimeout(resolve, 10));
        order.push("announced");
      },
    });
    await runThread(graph, { value: 1 }, { threadId: "t" });
    order.push("asked");
    expect(order).toEqual(["announced", "asked"]);
  });

  it("asks all the same when the announcement fails, with a warning", async () => {
    const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
    onTestFinished(() => warn.mockRestore());
    const { graph } = graphWith({ announce: () => Promise.reject(new Error("the pager is off")) });
    expect(await runThread(graph, { value: 1 }, { threadId: "t" })).toMatchObject({ status: "waiting_human" });
    expect(warn).toHaveBeenCalledWith(
      'Announcing the failure of "load" failed: Error: the pager is off',
      "InterventionWarning",
    );
    expect(await resumeThread(graph, "t", { action: "provide", result: { log: ["by hand"] } })).toMatchObject({
      status: "succeeded",
      values: { log: ["by hand"] },
    });
  });

  it("lets an interrupt of the announcement through", async () => {
    const { graph } = graphWith({ announce: () => void interrupt("whom shall I call?") });
    const asked = await runThread(graph, { value: 1 }, { threadId: "t" });
    expect(asked.waitingFor).toMatchObject([{ value: "whom shall I call?" }]);
  });
});

/** Questions of ours answered as Agent Inbox and LangChain's front ends do, and theirs, which nothing of ours touches. */
import { tool } from "@langchain/core/tools";
import { Annotation, Command, END, interrupt, START, StateGraph } from "@langchain/langgraph";
import { createAgent, humanInTheLoopMiddleware } from "langchain";
import { beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { threadIdOf } from "../../../src/core/thread-id.js";
import { listEffects } from "../../../src/langgraph/effects/ledger-of-thread.js";
import { installRecovery, type RecoveryOptions } from "../../../src/langgraph/install-recovery.js";
import { resilient } from "../../../src/langgraph/resilient.js";
import { inspectThread } from "../../../src/langgraph/threads/inspect-thread.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { type ForeignFields, foreignFields } from "../../../src/recovery/foreign-fields.js";
import { failures, type Log, LogState, once } from "../../support/graphs.js";
import { paying, recovering } from "../effects/paying-graphs.js";
import { effectOn, newWorld, type World } from "../effects/world.js";
import { calling, turnOf } from "../langchain/agents.js";
import { chatOpenAi, providerFor } from "../provider/provider.js";

type Graph = Parameters<typeof resumeThread>[0] & { invoke(input: unknown, config: object): Promise<unknown> };

const config = { configurable: { thread_id: threadIdOf("t") } };
const ways = [
  ["resumeThread()", async (graph: Graph, answer: unknown) => void (await resumeThread(graph, "t", answer))],
  [
    "a plain invoke",
    async (graph: Graph, resume: unknown) => void (await graph.invoke(new Command({ resume }), config)),
  ],
] as const;

const inbox = (type: string, args: unknown = null) => [{ type, args }];
const hitl = (...decisions: object[]) => ({ decisions });
/** The inbox sends what was edited as text, and the rest as it was shown. */
const edited = ({ action_request }: ForeignFields, args: Record<string, string>) =>
  inbox("edit", { ...action_request, args: { ...action_request.args, ...args } });

async function asked(graph: Graph): Promise<ForeignFields> {
  const { waitingFor } = await inspectThread(graph, "t");
  const [question, ...others] = waitingFor;
  expect(others).toEqual([]);
  const value = question?.value as Parameters<typeof foreignFields>[0];
  expect(value).toMatchObject(foreignFields(value));
  return value as unknown as ForeignFields;
}

describe.each(ways)("a failure answered with %s", (_, answer) => {
  async function failed(recovery: RecoveryOptions = {}) {
    const persistence = openPersistence("memory:");
    const failing = failures({ node: 1 });
    const node = async ({ value }: Log) => {
      failing.pass("node");
      return { log: [`node saw ${value}`] };
    };
    const builder = new StateGraph(LogState)
      .addNode("node", resilient(node, once))
      .addEdge(START, "node")
      .addEdge("node", END);
    const graph = installRecovery(builder, recovery).compile({ checkpointer: persistence.checkpointer });
    await runThread(graph, { value: 1 }, { threadId: "t" });
    const decided = async () => {
      const entries = (await persistence.audit?.list({ what: "human.decided" })) ?? [];
      return entries.map(({ by, reason, details }) => ({
        action: (details as { decision: { action: string } }).decision.action,
        by,
        ...(reason === undefined ? {} : { reason }),
      }));
    };
    return { graph: graph as unknown as Graph, decided };
  }
  const state = async (graph: Graph) => (await inspectThread(graph, "t")).values;
  const unnamed = { by: "unnamed" };

  it("is retried where the suggestion is accepted, as it came back or bare", async () => {
    for (const given of [
      (shown: ForeignFields) => inbox("accept", shown.action_request),
      () => inbox("accept"),
      () => hitl({ type: "approve" }),
    ]) {
      const { graph, decided } = await failed();
      await answer(graph, given(await asked(graph)));
      expect(await state(graph)).toMatchObject({ log: ["node saw 1"] });
      expect(await decided()).toEqual([{ action: "retry", ...unnamed }]);
    }
  });

  it("is decided otherwise with an edit", async () => {
    const adjusting = await failed();
    const shown = await asked(adjusting.graph);
    await answer(adjusting.graph, edited(shown, { action: "adjust", state: '{"value":5}', by: "ada", reason: "five" }));
    expect(await state(adjusting.graph)).toMatchObject({ log: ["node saw 5"], value: 5 });
    expect(await adjusting.decided()).toEqual([{ action: "adjust", by: "ada", reason: "five" }]);

    const providing = await failed();
    const result = { log: ["given"] };
    await answer(providing.graph, hitl({ type: "edit", editedAction: { name: "provide", args: { result } } }));
    expect(await state(providing.graph)).toMatchObject({ log: ["given"] });
  });

  it("is decided with a text", async () => {
    const { graph, decided } = await failed();
    await answer(graph, inbox("response", "retry: it is back"));
    expect(await state(graph)).toMatchObject({ log: ["node saw 1"] });
    expect(await decided()).toEqual([{ action: "retry", ...unnamed, reason: "it is back" }]);
  });

  it("ends the run where it is ignored or rejected, if that may be ended", async () => {
    for (const given of [inbox("ignore"), hitl({ type: "reject", message: "never mind" })]) {
      const { graph, decided } = await failed();
      await answer(graph, given).catch((error: unknown) => expect(error).toMatchObject({ code: "RUN_ABORTED" }));
      expect(await decided()).toMatchObject([{ action: "abort" }]);
      const bound = await failed({ actions: ["retry"] });
      expect((await asked(bound.graph)).config).toMatchObject({ allow_ignore: false });
      await expect(answer(bound.graph, given)).rejects.toThrow(/abort\W+is not offered/);
      await asked(bound.graph);
    }
  });

  it("stays open after an answer that says nothing of use", async () => {
    const { graph, decided } = await failed();
    for (const unfit of [inbox("response", "please"), hitl(), hitl({ type: "approve" }, { type: "approve" })])
      await expect(answer(graph, unfit)).rejects.toThrow(/choose one of retry|one question/);
    const { action_request } = await asked(graph);
    const outdated = { ...action_request, args: { ...action_request.args, of: "another" } };
    await expect(answer(graph, inbox("accept", outdated))).rejects.toThrow(/has changed since/);
    expect(await decided()).toEqual([]);
    await answer(graph, inbox("accept", action_request));
    expect(await decided()).toMatchObject([{ action: "retry" }]);
  });
});

describe.each(ways)("an effect that waits for approval, answered with %s", (_, answer) => {
  let world: World;
  let graph: Graph;
  beforeEach(async () => {
    world = newWorld();
    graph = recovering(openPersistence("memory:"), paying(effectOn(world, { requireApproval: true }))) as never;
    await runThread(graph, { cents: 5 } as never, { threadId: "t" });
  });
  const entries = () => listEffects(graph as never, "t");

  it.each([
    ["as it was shown", (shown: ForeignFields) => inbox("accept", shown.action_request), {}],
    ["bare", () => inbox("accept"), {}],
    ["by LangChain's name", () => hitl({ type: "approve" }), {}],
    ["with a name", (shown: ForeignFields) => edited(shown, { by: "ada", reason: "r" }), { by: "ada", reason: "r" }],
    ["in words", () => inbox("response", "approve: agreed"), { reason: "agreed" }],
  ])("is done once it is accepted %s", async (_how, given, signed) => {
    await answer(graph, given(await asked(graph)));
    expect(world.asked).toHaveLength(1);
    expect(await entries()).toMatchObject([{ state: "confirmed", approvedBy: { by: "unnamed", ...signed } }]);
  });

  it.each([
    ["ignored", () => inbox("ignore")],
    ["rejected", () => hitl({ type: "reject", message: "too much" })],
    ["edited to be rejected", (shown: ForeignFields) => edited(shown, { action: "reject" })],
  ])("is not done when it is %s", async (_how, given) => {
    await answer(graph, given(await asked(graph)));
    expect(world.asked).toEqual([]);
    expect((await inspectThread(graph, "t")).waitingFor).toMatchObject([{ request: { node: "pay" } }]);
  });

  it("is not done by an answer that is conditional, edits what it is given, or was for another", async () => {
    const { action_request } = await asked(graph);
    const outdated = { ...action_request, args: { ...action_request.args, of: "another" } };
    const unfit = [
      inbox("response", "approve if it is cheap"),
      inbox("edit", { action: "charge", args: { cents: "4" } }),
      hitl({ type: "edit", editedAction: { name: "approve", args: { cents: 4 } } }),
    ];
    for (const given of unfit) await expect(answer(graph, given)).rejects.toThrow(/approve/);
    await answer(graph, inbox("accept", outdated)).catch(() => undefined);
    expect(world.asked).toEqual([]);
    await answer(graph, inbox("accept", (await asked(graph)).action_request));
    expect(world.asked).toHaveLength(1);
  });
});

describe("a question in another's format", () => {
  it.each([
    [hitl({ type: "approve" }, { type: "reject", message: "no" })],
    [hitl({ type: "edit", edited_action: { name: "retry", args: {} } })],
    [inbox("accept", { action: "retry", args: { action: "retry" } })],
    [inbox("ignore")],
  ])("gets its answer as it is given: %j", async (given: unknown) => {
    const request = { actionRequests: [{ name: "retry", args: {} }], reviewConfigs: [] };
    const State = Annotation.Root({ got: Annotation<unknown>() });
    const graph = new StateGraph(State)
      .addNode("ask", resilient(async () => ({ got: interrupt(request) }), once) as never)
      .addEdge(START, "ask" as never);
    const compiled = installRecovery(graph).compile({ checkpointer: openPersistence("memory:").checkpointer });
    const stopped = await runThread(compiled, {} as never, { threadId: "t" });
    expect(stopped.waitingFor).toMatchObject([{ value: request }]);
    expect((await resumeThread(compiled, "t", given)).values.got).toEqual(given);
  });

  it("which LangChain's middleware asks, gets all its decisions", async () => {
    const ran: unknown[] = [];
    const write = tool(async (args) => void ran.push(args), {
      name: "write",
      description: "Writes a file",
      schema: z.object({ file: z.string() }),
    });
    const calls = ["a", "b", "c"].map((file) => ({ name: "write", args: { file } }));
    const provider = await providerFor({ answer: turnOf([calling(...calls)]) });
    const { graph } = createAgent({
      model: chatOpenAi(provider.baseUrl),
      tools: [write],
      middleware: [humanInTheLoopMiddleware({ interruptOn: { write: true } } as never)],
      checkpointer: openPersistence("memory:").checkpointer,
    } as never);
    const stopped = await runThread(graph as never, { messages: [{ role: "user", content: "go" }] } as never, {
      threadId: "t",
    });
    expect(stopped.waitingFor).toMatchObject([{ value: { actionRequests: [{ name: "write" }, {}, {}] } }]);
    const edit = { type: "edit", editedAction: { name: "write", args: { file: "safe" } } };
    await resumeThread(graph as never, "t", hitl({ type: "approve" }, edit, { type: "approve" }));
    expect(ran).toEqual([{ file: "a" }, { file: "safe" }, { file: "c" }]);
  });
});

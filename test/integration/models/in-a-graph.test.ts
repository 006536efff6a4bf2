/** A chain of models as part of a graph: its budget, its attempts as others see them, and what is told of them. */
import { HumanMessage } from "@langchain/core/messages";
import { Command, type LangGraphRunnableConfig, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";
import {
  type BudgetOptions,
  type Clock,
  eventsOf,
  failureOf,
  inspectThread,
  installRecovery,
  openPersistence,
  protect,
  type ResilientChatModel,
  resilient,
  resilientModel,
  threadUsage,
} from "langgraph-resilience";
import type { Fault, ScriptEntry } from "langgraph-resilience/chaos";
import { consoleReporter } from "langgraph-resilience/observability";
import { describe, expect, it } from "vitest";
import { FakeClock } from "../../support/fake-clock.js";
import { recorder } from "../../support/graphs.js";
import { ANSWER, askedOf, misbehaving, openAi, withoutWaiting } from "../../support/models.js";

type State = typeof MessagesAnnotation.State;
type AskingNode = (state: State, config: LangGraphRunnableConfig) => Promise<Partial<State>>;

const GO_ON = { messages: [new HumanMessage("q")] };
const config = { configurable: { thread_id: "t" } };
const down: Fault = { kind: "status", status: 503 };
const of = (model: string, fault: Fault, times: number | "always" = "always"): ScriptEntry => ({
  ...fault,
  when: { model },
  times,
});

async function surroundings(...script: ScriptEntry[]) {
  const provider = await misbehaving({ script });
  const clock = new FakeClock();
  return { provider, clock, own: { clock, random: () => 0.5 }, chat: (name: string) => openAi(provider, name) };
}

const asking =
  (model: ResilientChatModel): AskingNode =>
  async ({ messages }) => ({ messages: [await model.invoke(messages)] });

function graphOf(node: unknown, { hasRecovery = false } = {}) {
  const { checkpointer } = openPersistence("memory:");
  const builder = new StateGraph(MessagesAnnotation).addNode("ask", node as AskingNode).addEdge(START, "ask");
  if (hasRecovery) installRecovery(builder as never);
  const { onEvent, events, types } = recorder();
  eventsOf(checkpointer).subscribe(onEvent);
  return { graph: builder.compile({ checkpointer }), checkpointer, events, types };
}

/** Around a chain that has limits of its own. */
const decorated = (node: AskingNode, clock: Clock) => resilient(node, { name: "ask", clock, timeout: false });

describe("the budget of a chain", () => {
  async function spending(budget: BudgetOptions, ...script: ScriptEntry[]) {
    const around = await surroundings(...script);
    const model = resilientModel([around.chat("a")], { ...around.own, budget });
    return { ...around, ...graphOf(asking(model)), model };
  }

  it("is that of the thread, over all its runs", async () => {
    const { graph, provider } = await spending({ maxTokens: 20 });
    await graph.invoke(GO_ON, config);
    await graph.invoke(GO_ON, config);
    const refused = graph.invoke(GO_ON, config);
    await expect(refused).rejects.toMatchObject({ code: "BUDGET_EXCEEDED", category: "quota" });
    await expect(refused).rejects.toThrow(/thread "t"/);
    expect(provider.requests).toHaveLength(2);
    // Another thread has its own.
    const { messages } = await graph.invoke(GO_ON, { configurable: { thread_id: "u" } });
    expect(messages.at(-1)?.text).toBe(ANSWER);
  });

  it("ends the retries of a call too, by the number of requests", async () => {
    const { graph, provider, clock } = await spending({ maxAttempts: 2 }, of("a", down));
    await expect(withoutWaiting(clock, graph.invoke(GO_ON, config))).rejects.toThrow();
    expect(provider.requests).toHaveLength(2);
  });

  it("is refused outside of a thread, which there is none to hold it against", async () => {
    const { model, provider } = await spending({ maxTokens: 1 });
    await expect(model.invoke("q")).rejects.toMatchObject({ code: "CONFIG" });
    await expect(model.invoke("q")).rejects.toThrow(/has a budget, which is a thread's, and runs without one/);
    expect(provider.requests).toHaveLength(0);
  });
});

describe("what a thread has spent", () => {
  it("is each request once: refused ones, broken ones, and the one that was of use", async () => {
    const { chat, own, clock, provider } = await surroundings(
      of("a", down, 1),
      of("a", { kind: "cut_stream" }, 1),
      of("a", { kind: "reset" }, 1),
    );
    const { graph } = graphOf(asking(resilientModel([chat("a"), chat("b")], own)));
    const { messages } = await withoutWaiting(clock, graph.invoke(GO_ON, config));
    expect(messages.at(-1)?.text).toBe(ANSWER);
    const { useful, wasted } = await threadUsage(graph, "t");
    expect(useful).toMatchObject({ attempts: 1, inputTokens: 1, outputTokens: 16, unmeasuredCalls: 0 });
    // Two of them were sent, and nobody said what they cost; the 503 cost nothing.
    expect(wasted).toMatchObject({ attempts: provider.requests.length - 1, totalTokens: 0, unmeasuredCalls: 2 });
  });

  it("has in it what an answer cost that was refused", async () => {
    const { chat, own } = await surroundings();
    const model = resilientModel([chat("a")], { ...own, validate: () => "not to my taste" });
    const { graph } = graphOf(async (state: State, around: LangGraphRunnableConfig) => {
      const answer = await asking(model)(state, around).catch(() => ({ messages: [] }));
      return answer;
    });
    await graph.invoke(GO_ON, config);
    const { useful, wasted } = await threadUsage(graph, "t");
    expect([useful.attempts, useful.totalTokens]).toEqual([0, 0]);
    // The second and third time it is told why.
    expect(wasted).toMatchObject({ attempts: 3, outputTokens: 48, unmeasuredCalls: 0 });
  });

  it("is the same beneath a decorated node, asked twice or in a batch", async () => {
    const { chat, own, clock } = await surroundings();
    const model = resilientModel([chat("a")], own);
    const { graph } = graphOf(
      decorated(async ({ messages }, around) => {
        await model.batch([messages, messages]);
        return { messages: [await model.bindTools([]).invoke(messages, around)] };
      }, clock),
    );
    await graph.invoke(GO_ON, config);
    expect((await threadUsage(graph, "t")).useful).toMatchObject({ totalTokens: 51, outputTokens: 48 });
  });
});

describe("within a decorated node, a call that failed for good", () => {
  const attemptsOf = (error: unknown) => failureOf(error)?.attempts.map(({ step, number }) => [step, number]);

  it("is not made again, and its attempts are those of the node", async () => {
    const { chat, own, clock, provider } = await surroundings({ ...down, times: "always" });
    const { graph } = graphOf(decorated(asking(resilientModel([chat("a"), chat("b")], own)), clock));
    const error = await withoutWaiting(clock, graph.invoke(GO_ON, config)).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "MODELS_FAILED", category: "server_error" });
    expect([askedOf(provider, "a"), askedOf(provider, "b")]).toEqual([2, 4]);
    expect(failureOf(error)).toMatchObject({ node: "ask", report: { code: "MODELS_FAILED" } });
    expect(attemptsOf(error)).toEqual([
      ["node", 1],
      ["node", 2],
      ["b", 1],
      ["b", 2],
      ["b", 3],
      ["b", 4],
    ]);
  });

  it("is not made again after models that stayed silent either", async () => {
    const { chat, own, clock, provider } = await surroundings({ kind: "hang", times: "always" });
    const { graph } = graphOf(decorated(asking(resilientModel([chat("a"), chat("b")], own)), clock));
    const failed = graph.invoke(GO_ON, config).catch((thrown: unknown) => thrown);
    for (const [request, limitMs] of [
      [1, 15_000],
      [2, 30_000],
      [3, 30_000],
    ] as const) {
      await provider.waitForRequest(request);
      await clock.advance(limitMs);
      if (request === 2) {
        while (clock.pending.length === 0) await clock.settle();
        await clock.advance(clock.pending[0] as number);
      }
    }
    expect(await failed).toMatchObject({ code: "MODELS_FAILED", category: "timeout" });
    expect(provider.requests).toHaveLength(3);
    expect(attemptsOf(await failed)).toEqual([
      ["node", 1],
      ["b", 1],
      ["b", 2],
    ]);
  });

  it("is put before a person with all its attempts, and made anew when they say so", async () => {
    const { chat, own, clock, provider } = await surroundings({ ...down, times: 6 });
    const node = decorated(asking(resilientModel([chat("a"), chat("b")], own)), clock);
    const { graph } = graphOf(node, { hasRecovery: true });
    await withoutWaiting(clock, graph.invoke(GO_ON, config));
    const { status, waitingFor } = await inspectThread(graph, "t");
    expect(status).toBe("waiting_human");
    const { request } = waitingFor[0] ?? {};
    expect(request?.attempts.map(({ step }) => step)).toEqual(["node", "node", "b", "b", "b", "b"]);
    expect(request?.failure).toMatchObject({ code: "MODELS_FAILED", category: "server_error" });
    expect(request?.summary).toMatch(/a \(server_error\): 503 .*; b \(server_error\): 503 /);
    expect(provider.requests).toHaveLength(6);
    await graph.invoke(new Command({ resume: { action: "retry", by: "ann" } }), config);
    expect((await graph.getState(config)).values.messages.at(-1)?.text).toBe(ANSWER);
    expect(provider.requests).toHaveLength(7);
  });

  it("is made again where the chain made no more than one attempt of each model", async () => {
    const { chat, own, clock, provider } = await surroundings({ ...down, times: 2 });
    const model = resilientModel([chat("a"), chat("b")], { ...own, retry: false });
    const { graph } = graphOf(decorated(asking(model), clock));
    const { messages } = await withoutWaiting(clock, graph.invoke(GO_ON, config));
    expect(messages.at(-1)?.text).toBe(ANSWER);
    expect(provider.requests.map(({ model: name }) => name)).toEqual(["a", "b", "a"]);
  });
});

describe("what the state says of an answer by another model", () => {
  it("is nothing of its own: the answer says it", async () => {
    const { chat, own, clock } = await surroundings(of("a", { kind: "status", status: 404 }));
    const { graph } = graphOf(decorated(asking(resilientModel([chat("a"), chat("b")], own)), clock));
    const { messages } = await graph.invoke(GO_ON, config);
    expect(messages.at(-1)?.response_metadata.resilience).toMatchObject({
      answeredBy: "b",
      attempts: 2,
      failures: [{ model: "a", category: "model_unavailable" }],
    });
  });
});

describe("a protected function that asks a chain", () => {
  async function remembering(...script: ScriptEntry[]) {
    const { chat, own, clock, provider } = await surroundings(...script);
    const model = resilientModel([chat("a"), chat("b")], own);
    const ask = protect(async (question: string, { signal }) => (await model.invoke(question, { signal })).text, {
      name: "ask",
      clock,
      cache: { ttlMs: 1_000_000 },
    });
    return { provider, ask };
  }

  it("keeps the answer of the first model", async () => {
    const { provider, ask } = await remembering();
    expect([await ask("q"), await ask("q")]).toEqual([ANSWER, ANSWER]);
    expect(provider.requests).toHaveLength(1);
  });

  it("does not keep one that another gave, for it is degraded", async () => {
    const { provider, ask } = await remembering(of("a", { kind: "status", status: 404 }, 1));
    expect([await ask("q"), await ask("q"), await ask("q")]).toEqual([ANSWER, ANSWER, ANSWER]);
    expect(provider.requests.map(({ model }) => model)).toEqual(["a", "b", "a"]);
  });
});

describe("what is told of a call", () => {
  const withoutTime = (line: string) => line.replace(/^ *\d+\.\d s {2}/, "");

  it("names the call within the node, for machines and for people", async () => {
    const { chat, own, clock } = await surroundings(of("a", down), of("b", { kind: "cut_stream" }, 1));
    const { graph, events, checkpointer } = graphOf(asking(resilientModel([chat("a"), chat("b")], own)));
    const written: string[] = [];
    eventsOf(checkpointer).subscribe(consoleReporter({ write: (line) => written.push(withoutTime(line)) }));
    const read = async () => {
      for await (const _ of await graph.stream(GO_ON, { ...config, streamMode: "messages" }));
    };
    await withoutWaiting(clock, read());
    const told = events.filter(({ type }) => /^(attempt|fallback|answer)\./.test(type));
    expect(told).toMatchObject([
      { type: "attempt.failed", node: "ask", threadId: "t", call: 'model "a"', attempt: 1, delayMs: 500 },
      { type: "attempt.failed", node: "ask", call: 'model "a"', attempt: 2, report: { status: 503 } },
      { type: "fallback.started", node: "ask", step: "b", because: { category: "server_error" } },
      {
        type: "answer.restarted",
        node: "ask",
        model: "b",
        category: "malformed_output",
        droppedCharacters: expect.any(Number),
      },
      { type: "attempt.failed", call: 'model "a"', step: "b", attempt: 1, delayMs: 0, report: { code: "ANSWER_CUT" } },
      { type: "fallback.succeeded", node: "ask", step: "b" },
    ]);
    expect(told[0]).not.toHaveProperty("step");
    expect(written.filter((line) => !line.startsWith("■"))).toEqual([
      expect.stringMatching(/^✗ ask: model "a" attempt 1 failed: server_error \(503\): .*; trying again in 500 ms$/),
      expect.stringMatching(/^✗ ask: model "a" attempt 2 failed: server_error \(503\): .*; no further attempt$/),
      "↷ ask falls back to b because of server_error",
      expect.stringMatching(
        /^↺ ask: the answer of b broke off after \d+ characters \(malformed_output\); it begins anew$/,
      ),
      expect.stringMatching(
        /^✗ ask: model "a" attempt 1 of fallback b failed: malformed_output: .*; trying again at once$/,
      ),
      "↷ ask was answered by b",
    ]);
  });

  it("is no restart where nobody had seen anything yet", async () => {
    const { chat, own, clock } = await surroundings(of("a", { kind: "cut_stream" }, 1), of("a", down, 1));
    const { graph, types } = graphOf(asking(resilientModel([chat("a")], own)));
    await withoutWaiting(clock, graph.invoke(GO_ON, config));
    expect(types("answer.restarted", "attempt.failed")).toEqual(["attempt.failed", "attempt.failed"]);
  });
});

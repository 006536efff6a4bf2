/** A question to a person from within a tool or a middleware is no failure. */
import { type BaseMessage, HumanMessage } from "@langchain/core/messages";
import { interrupt } from "@langchain/langgraph";
import { type AgentMiddleware, createMiddleware, modelRetryMiddleware, toolRetryMiddleware } from "langchain";
import { describe, expect, it } from "vitest";
import { resilienceMiddleware } from "../../../src/entries/langchain.js";
import { failures, quick } from "../../support/graphs.js";
import { calling, talk, toolNamed } from "./agents.js";

const ours = () => resilienceMiddleware({ tools: { retry: quick } });

/** Their types do not hold with `exactOptionalPropertyTypes`. */
const stock = (middleware: object) => middleware as AgentMiddleware;

describe("a tool that asks a person", () => {
  const asking = () => {
    let calls = 0;
    const approve = toolNamed("approve", () => {
      calls += 1;
      return `approved by ${interrupt("May I?")}`;
    });
    return { approve, calls: () => calls };
  };

  it("is a failure to the stock middleware: it is called again and again, and nobody is asked", async () => {
    const { approve, calls } = asking();
    const { begin } = await talk([calling("approve")], {
      tools: [approve],
      middleware: [stock(toolRetryMiddleware({ initialDelayMs: 1, jitter: false }))],
    });
    const { questions, told } = await begin();
    expect({ questions, calls: calls() }).toEqual({ questions: [], calls: 3 });
    expect(told.map((one) => one.text)).toEqual(["Tool 'approve' failed after 3 attempts with GraphInterrupt"]);
  });

  it("pauses the run with ours, is called once, and goes on with the answer", async () => {
    const { approve, calls } = asking();
    const { begin, resume } = await talk([calling("approve")], { tools: [approve], middleware: [ours()] });
    const { questions, told } = await begin();
    expect({ questions, calls: calls(), told }).toEqual({ questions: ["May I?"], calls: 1, told: [] });
    const { questions: left, told: answers, last } = await resume("Ada");
    expect({ left, answers: answers.map((one) => one.text), last }).toEqual({
      left: [],
      answers: ["approved by Ada"],
      last: "All done.",
    });
  });

  it("is asked once, however often the tool fails before and after it", async () => {
    const counted = failures({ before: 1, after: 2 });
    const approve = toolNamed("approve", () => {
      counted.pass("before");
      const who = interrupt("May I?");
      counted.pass("after");
      return `approved by ${who}`;
    });
    const { begin, resume } = await talk([calling("approve")], { tools: [approve], middleware: [ours()] });
    expect((await begin()).questions).toEqual(["May I?"]);
    const { questions, told } = await resume("Ada");
    expect({ questions, told: told.map((one) => one.text) }).toEqual({ questions: [], told: ["approved by Ada"] });
    expect(counted.calls.after).toBe(3);
  });

  it("has each of two questions answered by its own answer, over failures after both", async () => {
    const counted = failures({ first: 1, second: 1 });
    const approve = toolNamed("approve", () => {
      const first = interrupt("Who?");
      counted.pass("first");
      const second = interrupt("Why?");
      counted.pass("second");
      return `${first}: ${second}`;
    });
    const { begin, resume } = await talk([calling("approve")], { tools: [approve], middleware: [ours()] });
    expect((await begin()).questions).toEqual(["Who?"]);
    expect((await resume("Ada")).questions).toEqual(["Why?"]);
    expect((await resume("it is late")).told.map((one) => one.text)).toEqual(["Ada: it is late"]);
  });
});

describe.each(["v1", "v2"] as const)("two tools in one turn, in version %s of the agent", (version) => {
  it("where one asks and the other flaps: one question, and both answer", async () => {
    const counted = failures({ stock: 2, approve: 1 });
    const approve = toolNamed("approve", () => {
      const who = interrupt("May I?");
      counted.pass("approve");
      return `approved by ${who}`;
    });
    const stockTool = toolNamed("stock", () => {
      counted.pass("stock");
      return "4 left";
    });
    const { begin, resume } = await talk([calling("approve", "stock")], {
      tools: [approve, stockTool],
      middleware: [ours()],
      version,
    });
    expect((await begin()).questions).toEqual(["May I?"]);
    const { told, last, questions } = await resume("Ada");
    expect(questions).toEqual([]);
    expect(told.map((one) => [one.name, one.text, one.status ?? "success"])).toEqual([
      ["approve", "approved by Ada", "success"],
      ["stock", "4 left", "success"],
    ]);
    expect(last).toBe("All done.");
    expect(counted.calls.approve).toBe(2);
  });
});

it("an agent as a tool of another asks through both, once, and what has answered is kept", async () => {
  const counted = failures({ before: 1, after: 1 });
  const approve = toolNamed("approve", () => {
    counted.pass("before");
    const who = interrupt("May I?");
    counted.pass("after");
    return `approved by ${who}`;
  });
  const inner = await talk([calling("approve")], { tools: [approve], middleware: [ours()], isInner: true });
  const delegate = toolNamed("delegate", async (config) => {
    const input = { messages: [new HumanMessage("Go on.")] };
    const { messages } = (await inner.agent.invoke(input, config as never)) as { messages: BaseMessage[] };
    return messages.map((one) => one.text).join(" ");
  });
  const { begin, resume } = await talk([calling("delegate")], { tools: [delegate], middleware: [ours()] });
  expect((await begin()).questions).toEqual(["May I?"]);
  const { questions, told } = await resume("Ada");
  expect(questions).toEqual([]);
  expect(told[0]?.text).toContain("approved by Ada");
  expect(inner.provider.requests, "its model was not asked anew").toHaveLength(2);
});

describe("a middleware that asks before the model is called", () => {
  const gate = () =>
    createMiddleware({
      name: "gate",
      wrapModelCall: (request, handler) => {
        interrupt("Ask the model?");
        return handler(request);
      },
    });

  it("is a failure to the stock middleware: the model's answer says so, and nobody is asked", async () => {
    const retry = stock(modelRetryMiddleware({ initialDelayMs: 1, jitter: false }));
    const { begin, provider } = await talk([], { middleware: [retry, gate()] });
    const { questions, last } = await begin();
    expect(questions).toEqual([]);
    expect(last).toContain("GraphInterrupt");
    expect(provider.requests).toHaveLength(0);
  });

  it("pauses the run with ours", async () => {
    const { begin, resume } = await talk([], { middleware: [ours(), gate()] });
    expect((await begin()).questions).toEqual(["Ask the model?"]);
    expect(await resume("yes")).toMatchObject({ questions: [], last: "All done." });
  });
});

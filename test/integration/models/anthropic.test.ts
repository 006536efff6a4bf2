/** Models of Anthropic in a chain, over real HTTP: their own client, and a server that misbehaves. */
import { ChatAnthropic } from "@langchain/anthropic";
import { tool } from "@langchain/core/tools";
import { type AnswerProvenance, resilientModel } from "langgraph-resilience";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { toolCalls } from "../../../src/chaos/chat-answer.js";
import { type AnthropicServer, anthropicServer, CLAUDE_SAYS, type ClaudeTurn } from "../../support/anthropic-server.js";
import { FakeClock } from "../../support/fake-clock.js";
import { quick } from "../../support/graphs.js";
import { ANSWER, chatOpenAi, providerFor } from "../provider/provider.js";

/** With retries as its maker sets them, six of them. */
const claude = ({ url }: AnthropicServer, fields: object = {}) =>
  new ChatAnthropic({ model: "claude-1", apiKey: "x", anthropicApiUrl: url, ...fields });

const weather = tool(() => "sunny", {
  name: "weather",
  description: "The weather in a city",
  schema: z.object({ city: z.string() }),
});

/** A chain of Claude and a model of OpenAI that stands in for it. */
async function chainOf(...script: ClaudeTurn[]) {
  const server = await anthropicServer(script);
  const fallback = await providerFor();
  const model = resilientModel([claude(server), chatOpenAi(fallback.baseUrl)], { retry: quick });
  return { server, fallback, model, asked: () => server.requests.length };
}

async function textOf(stream: Promise<AsyncIterable<{ readonly text: string }>>): Promise<string> {
  let text = "";
  for await (const piece of await stream) text += piece.text;
  return text;
}

describe("a model of Anthropic in the chain", () => {
  it("answers, streamed and whole, and says who it was and what it used", async () => {
    const { model, server } = await chainOf();
    const whole = await model.invoke("How did it go?");
    expect(whole).toMatchObject({
      text: CLAUDE_SAYS,
      usage_metadata: { input_tokens: 12, output_tokens: 9, total_tokens: 21 },
      response_metadata: { resilience: { answeredBy: "claude-1", attempts: 1, failures: [] } },
    });
    expect(await textOf(model.stream("How did it go?"))).toBe(CLAUDE_SAYS);
    const inOnePiece = resilientModel([{ model: claude(server), transport: "whole" }]);
    expect(await inOnePiece.invoke("How did it go?")).toMatchObject({ text: CLAUDE_SAYS, id: "msg_3" });
    expect(server.requests.map(({ stream }) => stream)).toEqual([true, true, false]);
  });

  it("stands in for one of OpenAI, with the tools bound in its own form and what the other has said", async () => {
    const server = await anthropicServer();
    const provider = await providerFor({ answer: () => toolCalls([{ name: "weather", args: { city: "Oslo" } }]) });
    const model = resilientModel([chatOpenAi(provider.baseUrl), claude(server)], { retry: quick }).bindTools([weather]);
    const call = await model.invoke("Is it warm?");
    const [{ id = "" } = {}] = call.tool_calls ?? [];
    provider.setFault({ kind: "status", status: 503 });
    const answer = await model.invoke(["Is it warm?", call, { role: "tool", content: "sunny", tool_call_id: id }]);
    expect(answer.response_metadata.resilience).toMatchObject({ answeredBy: "claude-1" });
    const [{ tools, messages } = { messages: [] }] = server.requests;
    expect(tools).toMatchObject([{ name: "weather", input_schema: { required: ["city"] } }]);
    expect(messages.slice(1)).toEqual([
      { role: "assistant", content: [{ type: "tool_use", id, name: "weather", input: { city: "Oslo" } }] },
      { role: "user", content: [{ type: "tool_result", content: "sunny", tool_use_id: id }] },
    ]);
  });

  it.each(["required", "any"])("is made to call a tool by the tool_choice %s", async (choice) => {
    const server = await anthropicServer([{ kind: "answer", tools: [{ name: "weather", input: '{"city":"Oslo"}' }] }]);
    const model = resilientModel([claude(server)]).bindTools([weather], { tool_choice: choice } as object);
    expect((await model.invoke("Is it warm?")).tool_calls).toMatchObject([{ name: "weather", args: { city: "Oslo" } }]);
    expect(server.requests[0]?.tool_choice).toEqual({ type: "any" });
  });

  it("calls several tools at once, and one without arguments", async () => {
    const now = tool(() => "noon", { name: "now", description: "The time", schema: z.object({}) });
    const uses = [
      { name: "weather", input: '{"city":"Oslo"}' },
      { name: "now", input: "" },
    ];
    const server = await anthropicServer([{ kind: "answer", text: "Let me see.", tools: uses }]);
    const { text, tool_calls } = await resilientModel([claude(server)])
      .bindTools([weather, now])
      .invoke("And now?");
    expect(text).toBe("Let me see.");
    expect(tool_calls).toMatchObject([
      { name: "weather", args: { city: "Oslo" } },
      { name: "now", args: {} },
    ]);
  });
});

describe("a model of Anthropic that fails", () => {
  it("by its own client passes a stream that was cut for a whole one; in the chain it is asked again", async () => {
    const { server, model } = await chainOf({ kind: "cut" }, { kind: "cut" });
    expect(await textOf(claude(server).stream("How did it go?"))).toBe("Revenue grew by four ");
    const answer = await model.invoke("How did it go?");
    expect(answer.text).toBe(CLAUDE_SAYS);
    expect(answer.response_metadata.resilience).toMatchObject({
      attempts: 2,
      failures: [{ category: "malformed_output", message: expect.stringContaining("it was cut") }],
    });
  });

  it.each<[ClaudeTurn, string, number]>([
    [{ kind: "status", status: 529, type: "overloaded_error" }, "server_error", 2],
    [{ kind: "error_event" }, "server_error", 2],
    [{ kind: "junk" }, "server_error", 2],
    [{ kind: "status", status: 429, type: "rate_limit_error", retryAfter: "60" }, "rate_limit", 1],
    [{ kind: "answer", tools: [{ name: "weather", input: '{"city": "Os' }] }, "malformed_output", 3],
    [{ kind: "answer", tools: [{ name: "weather", input: "" }] }, "malformed_output", 3],
  ])("with %j is stood in for as %s, after as many requests as its category has: %i", async (turn, category, asked) => {
    const { server, model } = await chainOf(...Array.from({ length: 9 }, () => turn));
    const answer = await model.bindTools([weather]).invoke("How did it go?");
    expect(answer.text).toBe(ANSWER);
    const { answeredBy, failures } = answer.response_metadata.resilience as AnswerProvenance;
    expect(answeredBy).toBe("m-1");
    expect(failures.map((failure) => failure.category)).toEqual(Array.from({ length: asked }, () => category));
    expect(server.requests).toHaveLength(asked);
  });

  it("for a prompt that is too long is not asked again; the next model is", async () => {
    const message = "prompt is too long: 208310 tokens > 200000 maximum";
    const { model, asked } = await chainOf({ kind: "status", status: 400, type: "invalid_request_error", message });
    const answer = await model.invoke("How did it go?");
    expect(answer.response_metadata.resilience).toMatchObject({
      answeredBy: "m-1",
      failures: [{ category: "context_length", message: expect.stringContaining("208310") }],
    });
    expect(asked()).toBe(1);
  });

  it("because it declines is asked once, and nobody in its place", async () => {
    const { model, asked, fallback } = await chainOf({ kind: "answer", text: "I cannot", stopReason: "refusal" });
    await expect(model.invoke("How did it go?")).rejects.toMatchObject({
      code: "CONTENT_FILTERED",
      category: "content_policy",
      message: expect.stringContaining("refusal"),
    });
    expect([asked(), fallback.requests.length]).toEqual([1, 0]);
  });

  it.each(["hang", "stall"] as const)("by a %s is given up on after its time, and its request ended", async (kind) => {
    const clock = new FakeClock();
    const server = await anthropicServer([{ kind }, { kind }]);
    const fallback = await providerFor();
    const model = resilientModel([claude(server), chatOpenAi(fallback.baseUrl)], { clock, retry: false });
    const answered = model.invoke("How did it go?");
    const asked = fallback.waitForRequest(1);
    let arrived = false;
    void asked.then(() => {
      arrived = true;
    });
    await server.waitFor(({ length }) => length === 1);
    // How soon the first pieces are read is not for the test to say: time passes until somebody has had enough.
    while (!arrived) await clock.advance(1000);
    await server.waitFor(([first]) => first?.clientGone === true);
    expect((await answered).response_metadata.resilience).toMatchObject({
      answeredBy: "m-1",
      failures: [{ category: "timeout", message: expect.stringContaining("15000 ms") }],
    });
  });

  it("ends its request when the caller gives up", async () => {
    const server = await anthropicServer([{ kind: "stall" }]);
    const caller = new AbortController();
    const answered = resilientModel([claude(server)]).invoke("How did it go?", { signal: caller.signal });
    await server.waitFor(({ length }) => length === 1);
    caller.abort();
    await expect(answered).rejects.toMatchObject({ name: "AbortError" });
    await server.waitFor(([first]) => first?.clientGone === true);
    expect(server.requests).toHaveLength(1);
  });
});

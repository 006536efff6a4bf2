/** Answers that begin well: error events in a stream, pages in the place of JSON, and connections that break. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import type { Category } from "../../../src/errors/categories.js";
import { classifyError } from "../../../src/errors/classify.js";
import { failureOf } from "./failing.js";
import { chatOpenAi, completion, eventStream, provider, type Reply, WAYS } from "./provider-server.js";

const server = provider();
const WHOLE = WAYS.filter(([name]) => !name.endsWith("streamed"));
const STREAMED = WAYS.filter(([name]) => name.endsWith("streamed"));

// The SDK prints what it cannot parse, and LangChain a hint.
beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  vi.spyOn(console, "warn").mockImplementation(() => undefined);
});
afterEach(() => {
  server.onRequest = () => undefined;
  vi.restoreAllMocks();
});

const PIECE = {
  id: "1",
  object: "chat.completion.chunk",
  choices: [{ index: 0, delta: { role: "assistant", content: "Hi" } }],
};
const failed = (error: object) => eventStream(PIECE, { error });

describe.each(STREAMED)("a stream through %s", (_way, ask) => {
  const rows: readonly (readonly [what: string, reply: Reply, category: Category])[] = [
    ["server_error", failed({ message: "The server had an error", type: "server_error", code: null }), "server_error"],
    [
      "rate_limit_exceeded",
      failed({ message: "Slow down", type: "tokens", code: "rate_limit_exceeded" }),
      "rate_limit",
    ],
    ["insufficient_quota", failed({ message: "No credit", type: "insufficient_quota", code: null }), "quota"],
    ["context_length_exceeded", failed({ message: "Too long", code: "context_length_exceeded" }), "context_length"],
    ["content_filter", failed({ message: "Filtered", code: "content_filter" }), "content_policy"],
    ["invalid_request_error", failed({ message: "Bad tool", type: "invalid_request_error" }), "invalid_input"],
    ["not_found_error", failed({ message: "no such batch", type: "not_found_error" }), "not_found"],
    ["permission_error", failed({ message: "no", type: "permission_error" }), "permission"],
    ["billing_error", failed({ message: "no", type: "billing_error" }), "quota"],
    ["timeout_error", failed({ message: "no", type: "timeout_error" }), "timeout"],
    ["overloaded_error of Anthropic", failed({ message: "Overloaded", type: "overloaded_error" }), "server_error"],
    [
      "a status as its code, as OpenRouter sends it",
      failed({ message: "Provider disconnected", code: 502 }),
      "server_error",
    ],
    ["429 as its code", failed({ message: "Upstream is busy", code: 429 }), "rate_limit"],
  ];
  it.each(rows)("with an error event of %s is classified by it", async (_what, reply, category) => {
    server.reply = reply;
    expect(classifyError(await failureOf(() => ask(server.baseUrl)))).toMatchObject({ category, provider: "openai" });
  });

  it("with an event that is cut is malformed output", async () => {
    server.reply = eventStream(PIECE, '{"id": "1", "cho');
    expect(classifyError(await failureOf(() => ask(server.baseUrl)))).toMatchObject({ category: "malformed_output" });
  });

  it("cut by a reset of the connection is a network failure", async () => {
    server.reply = { ...eventStream(PIECE), ends: "cut" };
    expect(classifyError(await failureOf(() => ask(server.baseUrl)))).toMatchObject({
      category: "network",
      code: expect.stringMatching(/^(ECONNRESET|UND_ERR_SOCKET)$/),
      message: expect.stringMatching(/^terminated: /),
    });
  });
});

describe.each(WHOLE)("a whole answer through %s", (_way, ask) => {
  it.each(['{"choices": [', "not JSON at all"])("of status 200 with %j for JSON is malformed output", async (body) => {
    server.reply = { body };
    expect(classifyError(await failureOf(() => ask(server.baseUrl)))).toMatchObject({ category: "malformed_output" });
  });

  it("cut by a reset of the connection is a network failure", async () => {
    server.reply = { body: '{"choices": [', ends: "cut" };
    expect(classifyError(await failureOf(() => ask(server.baseUrl)))).toMatchObject({ category: "network" });
  });
});

/**
 * Known limit. LangChain's base class reads a message that the answer lacks, and throws the TypeError that any typing
 * error in a node throws too; no field tells them apart. Whoever calls the model can: it sees that the answer is empty.
 */
it.each([
  ["a page", { headers: { "content-type": "text/html" }, body: "<html></html>" }],
  ["no choices", { body: { choices: [] } }],
])("%s with status 200 through ChatOpenAI.invoke cannot be told from a bug", async (_what, reply) => {
  server.reply = reply;
  const error = await failureOf(() => chatOpenAi(server.baseUrl).invoke("hello"));
  expect(Object.keys(error as object)).toEqual([]);
  expect(classifyError(error)).toMatchObject({ category: "bug" });
});

describe.each(WAYS)("a connection through %s", (way, ask) => {
  it("reset before the headers is a network failure", async () => {
    server.reply = { ends: "reset" };
    expect(classifyError(await failureOf(() => ask(server.baseUrl)))).toMatchObject({
      category: "network",
      retryable: true,
    });
  });

  it("kept alive and reset when it is used again is a network failure", async () => {
    server.reply = way.endsWith("streamed") ? eventStream(PIECE, "[DONE]") : completion({ content: "Hi" });
    server.reply = { ...server.reply, ends: "reset when reused" };
    const untilReused = async () => {
      for (let call = 0; call < 5; call += 1) await ask(server.baseUrl);
    };
    expect(classifyError(await failureOf(untilReused))).toMatchObject({ category: "network" });
  });

  it("that is refused is a network failure with its errno", async () => {
    const closed = createServer();
    await new Promise<void>((resolve) => closed.listen(0, "127.0.0.1", resolve));
    const { port } = closed.address() as AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    expect(classifyError(await failureOf(() => ask(`http://127.0.0.1:${port}/v1`)))).toMatchObject({
      category: "network",
      code: "ECONNREFUSED",
    });
  });

  it("that stays silent past the client's own limit is a timeout", async () => {
    server.reply = { ends: "silent" };
    const error = await failureOf(() => ask(server.baseUrl, { timeout: 30 }));
    expect(classifyError(error)).toMatchObject({ category: "timeout" });
  });

  it("that the caller aborts is cancelled and never retried", async () => {
    server.reply = { ends: "silent" };
    const controller = new AbortController();
    server.onRequest = () => controller.abort();
    const error = await failureOf(() => ask(server.baseUrl, { signal: controller.signal }));
    expect(classifyError(error)).toMatchObject({ category: "cancelled", retryable: false });
  });
});

describe("a caller's AbortSignal.timeout", () => {
  const asked = () => failureOf(() => chatOpenAi(server.baseUrl).stream("hello", { signal: AbortSignal.timeout(30) }));

  it("through ChatOpenAI.stream is a timeout", async () => {
    server.reply = { ends: "silent" };
    expect(classifyError(await asked())).toMatchObject({ category: "timeout" });
  });

  it.each(WAYS.filter(([name]) => name !== "ChatOpenAI, streamed"))(
    "through %s leaves no trace of its reason and is cancelled",
    async (_way, ask) => {
      server.reply = { ends: "silent" };
      const error = await failureOf(() => ask(server.baseUrl, { signal: AbortSignal.timeout(30) }));
      expect(error).toMatchObject({ message: "Request was aborted." });
      expect(error).not.toHaveProperty("cause");
      expect(classifyError(error)).toMatchObject({ category: "cancelled" });
    },
  );
});

describe("structured output", () => {
  const Trend = z.object({ headline: z.string() });
  const call = (json: string) => ({
    content: null,
    tool_calls: [{ id: "c", type: "function", function: { name: "extract", arguments: json } }],
  });
  const asked = (method: "jsonSchema" | "jsonMode" | "functionCalling") =>
    failureOf(() => chatOpenAi(server.baseUrl).withStructuredOutput(Trend, { method }).invoke("hello"));

  it.each([
    ["jsonMode", "prose", completion({ content: "Sure! Here is" }), "malformed_output"],
    ["jsonMode", "another shape", completion({ content: '{"headline": 5}' }), "malformed_output"],
    ["jsonMode", "a cut object", completion({ content: '{"headline": "U' }, "length"), "malformed_output"],
    ["jsonSchema", "prose", completion({ content: "Sure! Here is" }), "malformed_output"],
    ["jsonSchema", "a cut object", completion({ content: '{"headline": "U' }, "length"), "malformed_output"],
    ["jsonSchema", "a filtered answer", completion({ content: "" }, "content_filter"), "content_policy"],
    ["jsonSchema", "a refusal", completion({ content: null, refusal: "I cannot" }), "malformed_output"],
    ["functionCalling", "arguments cut short", completion(call('{"headline": ')), "malformed_output"],
    ["functionCalling", "arguments of another shape", completion(call('{"headline": 5}')), "malformed_output"],
  ] as const)("by %s with %s is %s", async (method, _what, reply, category) => {
    server.reply = reply;
    expect(classifyError(await asked(method))).toMatchObject({ category });
  });

  /** Known limit: the SDK's parser throws the bare $ZodError that LangGraph throws for the input of a graph. */
  it("by jsonSchema with another shape cannot be told from wrong input", async () => {
    server.reply = completion({ content: '{"headline": 5}' });
    const error = await asked("jsonSchema");
    expect(error).toMatchObject({ name: "$ZodError" });
    expect(classifyError(error)).toMatchObject({ category: "invalid_input" });
  });
});

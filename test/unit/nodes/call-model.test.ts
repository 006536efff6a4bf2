/** The model nodes against a provider that misbehaves, through ChatOpenAI and over real HTTP. */
import { START, StateGraph } from "@langchain/langgraph";
import { ChatOpenAI } from "@langchain/openai";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { z } from "zod";
import { callModel, FEEDBACK_OPENING, feedback } from "../../../nodes/call-model.js";
import { callStructured } from "../../../nodes/call-structured.js";
import type { Fault } from "../../../src/chaos/faults.js";
import { type FaultyProviderOptions, startFaultyProvider } from "../../../src/chaos/faulty-provider.js";
import type { Category } from "../../../src/errors/categories.js";
import { classifyError } from "../../../src/errors/classify.js";
import { type Node, resilient } from "../../../src/langgraph/resilient.js";
import { type Log, LogState, quick } from "../../support/graphs.js";

const ANSWER = "offline: net sales grew by 4.9 % on the year, services by 14.1 %";
const MESSAGES = [
  { role: "system", content: "You are an analyst." },
  { role: "user", content: "How did the quarter go?" },
] as const;

async function setUp(options: Partial<FaultyProviderOptions> = {}) {
  const provider = await startFaultyProvider({ answer: () => ANSWER, ...options });
  onTestFinished(() => provider.close());
  const model = new ChatOpenAI({
    model: "m",
    apiKey: "k",
    maxRetries: 0,
    useResponsesApi: false,
    configuration: { baseURL: provider.baseUrl },
  });
  return { provider, request: { model, messages: MESSAGES } };
}

const failureOf = async (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    (value) => expect.fail(`succeeded with ${JSON.stringify(value)}`),
    (error: unknown) => error,
  );

// The SDK prints what it cannot parse.
beforeEach(() => void vi.spyOn(console, "error").mockImplementation(() => undefined));
afterEach(() => vi.restoreAllMocks());

describe("callModel", () => {
  it("returns the whole text, who answered, and the tokens it took", async () => {
    const { provider, request } = await setUp();
    expect(await callModel(request, {})).toEqual({
      text: ANSWER,
      model: "offline-m",
      // 43 and 64 characters, four to a token
      usage: { inputTokens: 11, outputTokens: 16 },
    });
    expect(provider.requests).toMatchObject([
      {
        stream: true,
        messages: [
          { role: "system", text: "You are an analyst." },
          { role: "user", text: "How did the quarter go?" },
        ],
      },
    ]);
  });

  const rows: readonly (readonly [fault: Fault, category: Category, name: string, message: RegExp])[] = [
    [
      { kind: "cut_stream" },
      "malformed_output",
      "MalformedOutputError",
      /cut after \d+ characters: the stream ended without a finish_reason/,
    ],
    [{ kind: "empty" }, "malformed_output", "MalformedOutputError", /is empty \(finish_reason stop\)/],
    [{ kind: "invalid_structure", content: " \n " }, "malformed_output", "MalformedOutputError", /is empty/],
    [
      { kind: "finish", reason: "length" },
      "malformed_output",
      "MalformedOutputError",
      /cut at the token limit after 32 characters/,
    ],
    [{ kind: "finish", reason: "content_filter" }, "content_policy", "ContentFilteredError", /content filter withheld/],
    [{ kind: "junk_body" }, "malformed_output", "MalformedOutputError", /no text and no finish_reason/],
    [{ kind: "malformed_event" }, "malformed_output", "SyntaxError", /JSON/],
    [{ kind: "reset" }, "network", "", /connection error/i],
    [{ kind: "reset_stream" }, "network", "TypeError", /terminated/],
    [{ kind: "status", status: 429, headers: { "Retry-After": "3" } }, "rate_limit", "", /429/],
    [{ kind: "status", status: 503 }, "server_error", "", /503/],
    [{ kind: "status", status: 401 }, "auth", "", /401/],
  ];
  it.each(rows)("%j is %s", async (fault, category, name, message) => {
    const { request } = await setUp({ script: [fault] });
    const error = await failureOf(callModel(request, {}));
    const report = classifyError(error);
    expect(report.category).toBe(category);
    expect(report.message).toMatch(message);
    if (name !== "") expect((error as Error).name).toBe(name);
    if (fault.kind === "status" && fault.status === 429) expect(report.retryAfterMs).toBe(3000);
  });

  it("refuses to call an answer of one streamed piece complete when it is cut", async () => {
    const { request } = await setUp({ answer: () => "ok", script: [{ kind: "cut_stream" }] });
    expect(classifyError(await failureOf(callModel(request, {})))).toMatchObject({
      category: "malformed_output",
      message: expect.stringContaining("cut after 2 characters"),
    });
  });

  it.each(["hang", "stall", "slow"] as const)(
    "an abort ends a call that meets %s at once, with the signal's own reason",
    async (kind) => {
      const { provider, request } = await setUp({ script: [kind === "slow" ? { kind, delayMs: 60_000 } : { kind }] });
      const abort = new AbortController();
      const call = failureOf(callModel(request, { signal: abort.signal }));
      await vi.waitFor(() => expect(provider.requests).toHaveLength(1));
      if (kind === "stall") await new Promise((resolve) => setTimeout(resolve, 40));
      const reason = new Error("enough");
      const abortedAt = performance.now();
      abort.abort(reason);
      expect(await call).toBe(reason);
      expect(performance.now() - abortedAt).toBeLessThan(500);
    },
  );

  it("gives the signal's own reason where the model makes an error of its own of an abort", async () => {
    const abort = new AbortController();
    const reason = new Error("enough");
    const stream = async () => {
      abort.abort(reason);
      throw new Error("AbortError");
    };
    expect(await failureOf(callModel({ model: { stream }, messages: MESSAGES }, { signal: abort.signal }))).toBe(
      reason,
    );
  });

  it("sends nothing for a signal that is aborted already", async () => {
    const { provider, request } = await setUp();
    const reason = new Error("too late");
    expect(await failureOf(callModel(request, { signal: AbortSignal.abort(reason) }))).toBe(reason);
    expect(provider.requests).toEqual([]);
  });
});

describe("feedback", () => {
  /** Attempts of one node that asks the model, in a graph of its own. */
  async function run(script: readonly Fault[]) {
    const { provider, request } = await setUp({ script });
    const node: Node<Log, Partial<Log>> = async (_state, config) => ({
      log: [(await callModel(request, config)).text],
    });
    const graph = new StateGraph(LogState)
      .addNode("ask", resilient(node, { name: "ask", retry: quick }))
      .addEdge(START, "ask")
      .compile();
    const { log } = await graph.invoke({ value: 1 });
    return { log, sent: provider.requests.map((one) => one.messages.map((message) => message.text)) };
  }

  it("tells the model on the next attempt what was wrong with its last answer", async () => {
    const { log, sent } = await run([{ kind: "cut_stream" }, { kind: "finish", reason: "length" }]);
    expect(log).toEqual([ANSWER]);
    expect(sent).toHaveLength(3);
    expect(sent[0]).toHaveLength(2);
    expect(sent[1]).toHaveLength(3);
    expect(sent[1]?.[2]).toMatch(
      new RegExp(`^${FEEDBACK_OPENING} .*ended without a finish_reason\nAnswer the request again`),
    );
    // of the last answer only
    expect(sent[2]).toHaveLength(3);
    expect(sent[2]?.[2]).toMatch(/cut at the token limit/);
    expect(MESSAGES).toHaveLength(2);
  });

  it("says nothing of failures that are not the model's", async () => {
    const { sent } = await run([{ kind: "status", status: 503 }, { kind: "reset" }]);
    expect(sent.map((messages) => messages.length)).toEqual([2, 2, 2]);
  });

  it("is empty outside of a decorated node", () => {
    expect(feedback({})).toEqual([]);
  });
});

describe("callStructured", () => {
  const Trend = z.object({
    direction: z.enum(["growing", "flat", "shrinking"]),
    growth: z.number(),
    drivers: z.array(z.string()),
  });
  const value = { direction: "growing" as const, growth: 4.9, drivers: ["services"] };
  const structured = async (
    options: Partial<FaultyProviderOptions>,
    check?: (trend: z.infer<typeof Trend>) => string | undefined,
  ) => {
    const { provider, request } = await setUp({ answer: () => value, ...options });
    const call = callStructured({ ...request, schemaName: "trend", schema: Trend, ...(check && { check }) }, {});
    return { provider, call };
  };

  it("asks for the schema and returns the value, who answered and the tokens", async () => {
    const { provider, call } = await structured({});
    expect(await call).toMatchObject({ value, model: "offline-m", usage: { inputTokens: 11 } });
    expect(provider.requests[0]?.responseFormat).toMatchObject({
      name: "trend",
      schema: {
        type: "object",
        required: ["direction", "growth", "drivers"],
        additionalProperties: false,
        properties: { growth: { type: "number" } },
      },
    });
  });

  it.each(["```json\n%s\n```", "```\n%s\n```\n", "\n  %s\n"])("reads JSON in %j", async (around) => {
    const { call } = await structured({ answer: () => around.replace("%s", JSON.stringify(value)) });
    expect((await call).value).toEqual(value);
  });

  it("refuses prose", async () => {
    const { call } = await structured({ answer: () => "Certainly! It grew." });
    expect(classifyError(await failureOf(call))).toMatchObject({
      category: "malformed_output",
      message: 'The trend is not JSON; it begins "Certainly! It grew."',
    });
  });

  it("names every field that does not fit", async () => {
    const { call } = await structured({ script: [{ kind: "invalid_structure" }] });
    const error = await failureOf(call);
    expect(classifyError(error).category).toBe("malformed_output");
    expect(String(error)).toMatch(/The trend does not fit its schema: direction: .+; growth: .+/);
    expect((error as { details: { faults: string[] } }).details.faults).toHaveLength(2);
  });

  it("names the whole answer when it is of another kind altogether", async () => {
    const { call } = await structured({ answer: () => "[1]" });
    expect(String(await failureOf(call))).toContain("the whole answer:");
  });

  it("refuses what the check objects to", async () => {
    const { call } = await structured({}, ({ growth }) =>
      growth === 4.9 ? "growth is 4.9, the figures give 5.1" : undefined,
    );
    expect(classifyError(await failureOf(call))).toMatchObject({
      category: "malformed_output",
      message: "The trend is not right: growth is 4.9, the figures give 5.1",
    });
  });

  it("says that an answer was cut, not that it is bad JSON", async () => {
    const { call } = await structured({ script: [{ kind: "cut_stream" }] });
    expect(String(await failureOf(call))).toContain("without a finish_reason");
  });

  it("feeds what did not fit back to the model", async () => {
    const { provider, request } = await setUp({ answer: () => value, script: [{ kind: "invalid_structure" }] });
    const node: Node<Log, Partial<Log>> = async (_state, config) => ({
      log: [(await callStructured({ ...request, schemaName: "trend", schema: Trend }, config)).value.direction],
    });
    const graph = new StateGraph(LogState)
      .addNode("ask", resilient(node, { name: "ask", retry: quick }))
      .addEdge(START, "ask")
      .compile();
    expect((await graph.invoke({ value: 1 })).log).toEqual(["growing"]);
    expect(provider.requests[1]?.messages.at(-1)?.text).toMatch(
      /^Your previous answer was refused: The trend does not fit its schema: direction: .*growth: /,
    );
  });
});

/** What real clients make of real answers: a local server that answers as OpenAI does, reached over HTTP. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { ChatOpenAI } from "@langchain/openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Category } from "../../../src/errors/categories.js";
import { classifyError } from "../../../src/errors/classify.js";

interface Reply {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
  readonly reset?: boolean;
  readonly silent?: boolean;
}

let reply: Reply = { status: 200 };
let server: Server;
let baseUrl = "";

beforeAll(async () => {
  server = createServer((request, response) => {
    request.resume();
    if (reply.silent) return;
    if (reply.reset) {
      request.socket.resetAndDestroy();
      return;
    }
    const body = typeof reply.body === "string" ? reply.body : JSON.stringify(reply.body ?? {});
    response.writeHead(reply.status, { "content-type": "application/json", ...reply.headers });
    response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const openAiError = (message: string, type: string, code: string | null) => ({
  error: { message, type, code, param: null },
});

const chat = (timeout?: number) =>
  new ChatOpenAI({
    model: "gpt-4.1",
    apiKey: "test",
    maxRetries: 0,
    useResponsesApi: false,
    ...(timeout === undefined ? {} : { timeout }),
    configuration: { baseURL: `${baseUrl}/v1` },
  });

async function failureOf(work: () => Promise<unknown>): Promise<unknown> {
  try {
    await work();
  } catch (error) {
    return error;
  }
  throw new Error("expected a failure");
}

const viaLangChain = () => failureOf(() => chat().invoke("hello"));
/** The SDK client that ChatOpenAI drives, without LangChain around it. */
const viaSdk = async () => {
  const model = chat();
  const { completions } = model as unknown as { completions: { client?: SdkClient } };
  // It is made on first use.
  await failureOf(() => model.invoke("hello"));
  const { client } = completions;
  if (client === undefined) throw new Error("ChatOpenAI keeps its SDK client elsewhere now");
  const request = { model: "gpt-4.1", messages: [{ role: "user", content: "hello" }] };
  return await failureOf(() => client.chat.completions.create(request, { maxRetries: 0 }));
};

interface SdkClient {
  readonly chat: { readonly completions: { create(request: object, options: object): Promise<unknown> } };
}

const rows: readonly (readonly [what: string, reply: Reply, category: Category])[] = [
  [
    "400 with a bad parameter",
    { status: 400, body: openAiError("Invalid value for temperature", "invalid_request_error", "invalid_value") },
    "invalid_input",
  ],
  [
    "400 context_length_exceeded",
    {
      status: 400,
      body: openAiError(
        "This model's maximum context length is 128000 tokens.",
        "invalid_request_error",
        "context_length_exceeded",
      ),
    },
    "context_length",
  ],
  [
    "400 content_filter",
    { status: 400, body: openAiError("The response was filtered.", "invalid_request_error", "content_filter") },
    "content_policy",
  ],
  [
    "401 invalid_api_key",
    { status: 401, body: openAiError("Incorrect API key provided: test.", "invalid_request_error", "invalid_api_key") },
    "auth",
  ],
  [
    "403 unsupported region",
    {
      status: 403,
      body: openAiError("Country not supported", "request_forbidden", "unsupported_country_region_territory"),
    },
    "permission",
  ],
  [
    "404 model_not_found",
    {
      status: 404,
      body: openAiError(
        "The model `gpt-9` does not exist or you do not have access to it.",
        "invalid_request_error",
        "model_not_found",
      ),
    },
    "model_unavailable",
  ],
  ["408", { status: 408, body: openAiError("Request timed out upstream", "timeout", null) }, "timeout"],
  ["409", { status: 409, body: openAiError("Conflict", "conflict", null) }, "conflict"],
  ["422", { status: 422, body: openAiError("Unprocessable", "invalid_request_error", null) }, "invalid_input"],
  [
    "429 rate_limit_exceeded",
    { status: 429, body: openAiError("Rate limit reached for gpt-4.1", "requests", "rate_limit_exceeded") },
    "rate_limit",
  ],
  [
    "429 insufficient_quota",
    {
      status: 429,
      body: openAiError(
        "You exceeded your current quota, please check your plan and billing details.",
        "insufficient_quota",
        "insufficient_quota",
      ),
    },
    "quota",
  ],
  ["500", { status: 500, body: openAiError("The server had an error", "server_error", null) }, "server_error"],
  [
    "502 with HTML",
    { status: 502, headers: { "content-type": "text/html" }, body: "<html>Bad gateway</html>" },
    "server_error",
  ],
  [
    "503",
    { status: 503, body: openAiError("The engine is currently overloaded", "server_error", null) },
    "server_error",
  ],
  [
    "504",
    { status: 504, headers: { "content-type": "text/html" }, body: "<html>Gateway time-out</html>" },
    "server_error",
  ],
  [
    "529",
    { status: 529, body: { type: "error", error: { type: "overloaded_error", message: "Overloaded" } } },
    "server_error",
  ],
];

describe("an answer of an OpenAI-compatible provider", () => {
  it.each(rows)("%s through ChatOpenAI is classified by its facts", async (_, given, category) => {
    reply = given;
    const report = classifyError(await viaLangChain());
    expect(report).toMatchObject({ category, status: given.status });
  });

  it.each(rows)("%s through the openai SDK is classified by its facts", async (_, given, category) => {
    reply = given;
    const report = classifyError(await viaSdk());
    expect(report).toMatchObject({ category, status: given.status, provider: "openai" });
  });
});

it("404 of an unknown path through the openai SDK is not found", async () => {
  // ChatOpenAI marks every 404 as MODEL_NOT_FOUND.
  reply = { status: 404, body: openAiError("Unknown request URL", "invalid_request_error", "unknown_url") };
  expect(classifyError(await viaSdk())).toMatchObject({ category: "not_found", code: "unknown_url" });
});

describe("what a 429 asks for", () => {
  const limited = (headers: Record<string, string>): Reply => ({
    status: 429,
    headers,
    body: openAiError("Rate limit reached", "requests", "rate_limit_exceeded"),
  });

  it.each([
    ["ChatOpenAI", viaLangChain],
    ["the openai SDK", viaSdk],
  ])("is read from Retry-After in seconds through %s", async (_, fail) => {
    reply = limited({ "retry-after": "7" });
    expect(classifyError(await fail())).toMatchObject({ category: "rate_limit", retryAfterMs: 7000 });
  });

  it.each([
    ["ChatOpenAI", viaLangChain],
    ["the openai SDK", viaSdk],
  ])("is read from Retry-After as an HTTP date through %s", async (_, fail) => {
    reply = limited({ "retry-after": new Date(Date.now() + 60_000).toUTCString() });
    const { retryAfterMs } = classifyError(await fail());
    expect(retryAfterMs).toBeGreaterThan(50_000);
    expect(retryAfterMs).toBeLessThanOrEqual(60_000);
  });

  it.each([
    ["ChatOpenAI", viaLangChain],
    ["the openai SDK", viaSdk],
  ])("is read from retry-after-ms through %s", async (_, fail) => {
    reply = limited({ "retry-after-ms": "1500" });
    expect(classifyError(await fail())).toMatchObject({ retryAfterMs: 1500 });
  });
});

describe("a connection that fails", () => {
  it.each([
    ["ChatOpenAI", () => failureOf(() => chat().invoke("hello"))],
    ["the openai SDK", viaSdk],
    ["fetch", () => failureOf(() => fetch(baseUrl))],
  ])("reset before the headers through %s is a network failure", async (_, fail) => {
    reply = { status: 200, reset: true };
    expect(classifyError(await fail())).toMatchObject({ category: "network", retryable: true });
  });

  it("that is refused, through fetch, is a network failure with its errno", async () => {
    const closed = createServer();
    await new Promise<void>((resolve) => closed.listen(0, "127.0.0.1", resolve));
    const { port } = closed.address() as AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    const report = classifyError(await failureOf(() => fetch(`http://127.0.0.1:${port}`)));
    expect(report).toMatchObject({ category: "network", code: "ECONNREFUSED", retryable: true });
    expect(report.message, "the words of the cause").toMatch(/^fetch failed: .*ECONNREFUSED/);
  });

  it("to a host that has no address is a network failure", async () => {
    const report = classifyError(await failureOf(() => fetch("http://host.invalid/")));
    expect(report.category).toBe("network");
    expect(report.code).toMatch(/^(ENOTFOUND|EAI_AGAIN)$/);
  });

  it("that stays silent past the client's own time limit is a timeout", async () => {
    reply = { status: 200, silent: true };
    expect(classifyError(await failureOf(() => chat(50).invoke("hello")))).toMatchObject({ category: "timeout" });
  });

  it.each([
    ["fetch", (signal: AbortSignal) => fetch(baseUrl, { signal })],
    // invoke() reports a plain AbortError without the signal's reason; stream() keeps it.
    ["ChatOpenAI", (signal: AbortSignal) => chat().stream("hello", { signal })],
  ])("that stays silent past AbortSignal.timeout through %s is a timeout", async (_, ask) => {
    reply = { status: 200, silent: true };
    expect(classifyError(await failureOf(() => ask(AbortSignal.timeout(50))))).toMatchObject({ category: "timeout" });
  });

  it.each([
    ["fetch", (signal: AbortSignal) => fetch(baseUrl, { signal })],
    ["ChatOpenAI", (signal: AbortSignal) => chat().invoke("hello", { signal })],
  ])("that the caller aborts through %s is cancelled and never retried", async (_, ask) => {
    reply = { status: 200, silent: true };
    const controller = new AbortController();
    const failing = failureOf(() => ask(controller.signal));
    setImmediate(() => controller.abort());
    expect(classifyError(await failing)).toMatchObject({ category: "cancelled", retryable: false });
  });
});

describe("an answer with status 200 that is no answer", () => {
  it("as broken JSON through ChatOpenAI is malformed output", async () => {
    reply = { status: 200, body: '{"choices": [' };
    expect(classifyError(await viaLangChain())).toMatchObject({ category: "malformed_output" });
  });
});

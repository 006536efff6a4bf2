/** The provider in good health: an OpenAI-compatible server on loopback that says in every answer that it is offline. */
import { connect } from "node:net";
import { networkInterfaces } from "node:os";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { startFaultyProvider } from "../../../src/chaos/faulty-provider.js";
import { systemClock } from "../../../src/core/clock.js";
import {
  ANSWER,
  ask,
  chatOpenAi,
  completionOf,
  contentIn,
  eventsIn,
  providerFor,
  QUESTION,
  tokensOf,
} from "./provider.js";

const LABEL = "langgraph-resilience";

describe("a whole answer", () => {
  it("is a chat completion with content, finish_reason and usage, labelled offline", async () => {
    const { baseUrl } = await providerFor();
    const before = Math.floor(Date.now() / 1000);
    const response = await ask(baseUrl);
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(response.headers.get("x-offline-provider")).toBe(LABEL);
    const body = (await response.json()) as { created: number };
    // 23 and 64 characters, four to a token
    expect(body).toEqual({
      id: "chatcmpl-offline-1",
      object: "chat.completion",
      created: expect.any(Number),
      model: "offline-m-1",
      system_fingerprint: "offline-langgraph-resilience",
      choices: [
        {
          index: 0,
          message: { role: "assistant", content: ANSWER, refusal: null },
          logprobs: null,
          finish_reason: "stop",
        },
      ],
      usage: { prompt_tokens: 6, completion_tokens: 16, total_tokens: 22 },
    });
    expect(body.created).toBeGreaterThanOrEqual(before);
    expect(body.created).toBeLessThanOrEqual(Date.now() / 1000);
  });

  it("reaches ChatOpenAI with its usage and the offline model's name", async () => {
    const { baseUrl } = await providerFor();
    const message = await chatOpenAi(baseUrl).invoke(QUESTION.messages[0]?.content ?? "");
    expect(message.text).toBe(ANSWER);
    expect(message.response_metadata).toMatchObject({ finish_reason: "stop", model_name: "offline-m-1" });
    expect(message.usage_metadata).toMatchObject({ input_tokens: 6, output_tokens: 16, total_tokens: 22 });
  });

  it("of an object is sent as JSON, with the schema of the request handed to the answerer", async () => {
    const { baseUrl } = await providerFor({
      answer: ({ responseFormat }) => ({ asked: responseFormat?.name, fields: responseFormat?.schema.required }),
    });
    const format = {
      type: "json_schema",
      json_schema: { name: "trend", schema: { type: "object", required: ["direction"] } },
    };
    const { text } = await completionOf(ask(baseUrl, { ...QUESTION, response_format: format }));
    expect(JSON.parse(text)).toEqual({ asked: "trend", fields: ["direction"] });
  });

  it("does not prefix a model twice", async () => {
    const { baseUrl } = await providerFor();
    expect((await completionOf(ask(baseUrl, { ...QUESTION, model: "offline-x" }))).model).toBe("offline-x");
  });
});

describe("a streamed answer", () => {
  it("opens with the role, carries the text in pieces, closes with finish_reason, usage and [DONE]", async () => {
    const { baseUrl } = await providerFor();
    const response = await ask(baseUrl, { ...QUESTION, stream: true, stream_options: { include_usage: true } });
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    expect(response.headers.get("x-offline-provider")).toBe(LABEL);
    const events = eventsIn(await response.text()) as {
      model: string;
      system_fingerprint: string;
      choices: { delta: object; finish_reason: unknown }[];
      usage: unknown;
    }[];
    expect(events.pop()).toBe("[DONE]");
    for (const event of events)
      expect(event).toMatchObject({
        id: "chatcmpl-offline-1",
        object: "chat.completion.chunk",
        model: "offline-m-1",
        system_fingerprint: "offline-langgraph-resilience",
      });
    expect(events.map((event) => event.choices[0]?.delta)).toEqual([
      { role: "assistant", content: "" },
      ...tokensOf(ANSWER).map((content) => ({ content })),
      {},
      undefined,
    ]);
    const beforeTheEnd = [null, ...tokensOf(ANSWER).map(() => null)];
    expect(events.map((event) => event.choices[0]?.finish_reason)).toEqual([...beforeTheEnd, "stop", undefined]);
    expect(events.map((event) => event.usage)).toEqual([
      ...beforeTheEnd,
      null,
      { prompt_tokens: 6, completion_tokens: tokensOf(ANSWER).length, total_tokens: 22 },
    ]);
  });

  it("reports no usage unless it is asked to", async () => {
    const { baseUrl } = await providerFor();
    const events = eventsIn(await (await ask(baseUrl, { ...QUESTION, stream: true })).text());
    // opening, text, closing, [DONE]
    expect(events).toHaveLength(1 + tokensOf(ANSWER).length + 2);
    for (const event of events.slice(0, -1)) expect(event).not.toHaveProperty("usage");
  });

  it.each(["", "   ", "word", "two  spaced\n\nparagraphs \n", "| a | b |\n|---|---|\n", "über 日本語 🙂 ende"])(
    "joins to the text again: %j",
    async (text) => {
      const { baseUrl } = await providerFor({ answer: () => text });
      expect(contentIn(eventsIn(await (await ask(baseUrl, { ...QUESTION, stream: true })).text()).slice(0, -1))).toBe(
        text,
      );
    },
  );

  it("reaches ChatOpenAI piece by piece, with finish_reason and usage", async () => {
    const { baseUrl } = await providerFor();
    const chunks = [];
    for await (const chunk of await chatOpenAi(baseUrl).stream("How did the quarter go?")) chunks.push(chunk);
    expect(chunks.map((chunk) => chunk.text).filter((text) => text !== "")).toEqual(tokensOf(ANSWER));
    const whole = chunks.slice(1).reduce((sum, chunk) => sum.concat(chunk), chunks[0]!);
    expect(whole.text).toBe(ANSWER);
    expect(whole.response_metadata).toMatchObject({ finish_reason: "stop", model_name: "offline-m-1" });
    expect(whole.usage_metadata).toMatchObject({ input_tokens: 6, output_tokens: 16 });
  });

  it("waits between its events as asked", async () => {
    const short = "offline: one";
    const { baseUrl } = await providerFor({ answer: () => short, chunkDelayMs: 15 });
    const startedAt = performance.now();
    await (await ask(baseUrl, { ...QUESTION, stream: true })).text();
    // opening, text, closing; a timer may fire a little early
    const events = 1 + tokensOf(short).length + 1;
    expect(performance.now() - startedAt).toBeGreaterThan(events * 15 - 10);
  });
});

describe("the list of models", () => {
  it("names them as offline", async () => {
    const { baseUrl } = await providerFor({ models: ["analyst", "offline-writer"] });
    const response = await fetch(`${baseUrl}/models`);
    expect(response.headers.get("x-offline-provider")).toBe(LABEL);
    const { data } = (await response.json()) as { data: { id: string; owned_by: string }[] };
    expect(data.map(({ id }) => id)).toEqual(["offline-analyst", "offline-writer"]);
    expect(data[0]?.owned_by).toBe("offline-langgraph-resilience");
  });
});

describe("a request that is at fault", () => {
  const rows: readonly (readonly [what: string, body: string, message: RegExp, param: string | null])[] = [
    ["no JSON", "{", /could not parse the JSON body/, null],
    ["no model", JSON.stringify({ messages: QUESTION.messages }), /Invalid value for 'model'/, "model"],
    ["no messages", JSON.stringify({ model: "m", messages: [] }), /Invalid value for 'messages'/, "messages"],
    [
      "a role of the wrong type",
      JSON.stringify({ model: "m", messages: [{ role: 1, content: "x" }] }),
      /'messages\.0\.role'/,
      "messages.0.role",
    ],
  ];
  it.each(rows)("%s is a 400 that names the parameter and uses up no fault", async (_what, body, message, param) => {
    const provider = await providerFor({ script: [{ kind: "reset" }] });
    const response = await fetch(`${provider.baseUrl}/chat/completions`, { method: "POST", body });
    expect(response.status).toBe(400);
    expect(response.headers.get("x-offline-provider")).toBe(LABEL);
    const { error } = (await response.json()) as { error: { message: string } };
    expect(error.message).toMatch(message);
    expect(error).toMatchObject({ type: "invalid_request_error", param });
    expect(provider.remaining()).toHaveLength(1);
    expect(provider.requests).toEqual([]);
  });

  it.each([
    ["GET", "/chat/completions"],
    ["POST", "/embeddings"],
  ])("%s %s is a 404", async (method, path) => {
    const { baseUrl } = await providerFor();
    const response = await fetch(`${baseUrl}${path}`, { method });
    expect(response.status).toBe(404);
    expect(response.headers.get("x-offline-provider")).toBe(LABEL);
    expect(await response.text()).toContain(`${method} /v1${path}`);
  });

  it("of more than 16 MiB is a 413", async () => {
    const { baseUrl } = await providerFor();
    const response = await ask(baseUrl, { ...QUESTION, padding: "x".repeat(16 * 1024 * 1024) });
    expect(response.status).toBe(413);
  });

  it("is a 500 that says why when the answerer throws, and the next one is answered", async () => {
    let calls = 0;
    const { baseUrl } = await providerFor({
      answer: async () => {
        calls += 1;
        if (calls === 1) throw new Error("no figures in the prompt");
        return ANSWER;
      },
    });
    const failed = await ask(baseUrl);
    expect(failed.status).toBe(500);
    expect(await failed.text()).toContain("no figures in the prompt");
    expect((await ask(baseUrl)).status).toBe(200);
  });
});

describe("what the provider saw", () => {
  it("is recorded in order of arrival: model, messages, format, tools, fault and time, without credentials", async () => {
    const provider = await providerFor({ script: [{ kind: "status", status: 503 }] });
    const before = Date.now();
    await ask(provider.baseUrl);
    await ask(provider.baseUrl, {
      model: "m-2",
      messages: [
        { role: "system", content: [{ type: "text", text: "a" }, { type: "image_url" }, { type: "text", text: "b" }] },
        { role: "assistant", content: null },
      ],
      stream: true,
      stream_options: { include_usage: true },
      tools: [{ type: "function", function: { name: "look" } }],
    });
    expect(provider.requests).toMatchObject([
      {
        model: "m-1",
        messages: [{ role: "user", text: "How did the quarter go?" }],
        stream: false,
        includeUsage: false,
        tools: [],
        fault: { kind: "status", status: 503 },
      },
      {
        model: "m-2",
        messages: [
          { role: "system", text: "a\n\nb" },
          { role: "assistant", text: "" },
        ],
        stream: true,
        includeUsage: true,
        tools: [{ function: { name: "look" } }],
        fault: { kind: "none" },
      },
    ]);
    for (const { atMs } of provider.requests) expect(atMs).toBeGreaterThanOrEqual(before);
    expect(JSON.stringify(provider.requests)).not.toContain("sk-secret");
  });
});

describe("the script", () => {
  it("is used in order, a matching entry first where the next one waits for another request", async () => {
    const provider = await providerFor({
      script: [
        { kind: "status", status: 503, when: { contains: "report" } },
        { kind: "status", status: 429, headers: { "Retry-After": "2" } },
        { kind: "status", status: 500, when: { model: "m-2", contains: "trend" } },
      ],
    });
    const asked = (content: string, model = "m-1") =>
      ask(provider.baseUrl, { model, messages: [{ role: "user", content }] }).then(({ status }) => status);
    expect(await asked("the trend")).toBe(429);
    expect(await asked("the trend")).toBe(200);
    expect(await asked("nothing", "m-2")).toBe(200);
    expect(provider.remaining().map(({ kind }) => kind)).toEqual(["status", "status"]);
    expect(await asked("the trend", "m-2")).toBe(500);
    expect(await asked("the report")).toBe(503);
    expect(await asked("the report")).toBe(200);
    expect(provider.remaining()).toEqual([]);
    expect(provider.describeScript()).toEqual([
      '1. next request with "report": 503 Service Unavailable',
      "2. next request: 429 Too Many Requests, Retry-After: 2",
      '3. next request for model "m-2" and with "trend": 500 Internal Server Error',
    ]);
  });

  it("leaves the caller's array alone", async () => {
    const script = [{ kind: "empty" }] as const;
    const provider = await providerFor({ script });
    await ask(provider.baseUrl);
    expect(script).toHaveLength(1);
    expect(provider.remaining()).toEqual([]);
  });
});

describe("the server", () => {
  it("listens on loopback only", async () => {
    const { port, baseUrl } = await providerFor();
    expect(baseUrl).toBe(`http://127.0.0.1:${port}/v1`);
    const outside = Object.values(networkInterfaces())
      .flat()
      .find((address) => address?.family === "IPv4" && !address.internal);
    // 127.0.0.2 is loopback as well, and only a server bound to every address answers there
    const host = outside?.address ?? "127.0.0.2";
    const outcome = await new Promise((resolve) => {
      const socket = connect({ host, port, timeout: 2000 });
      socket.on("connect", () => resolve("connected"));
      socket.on("timeout", () => resolve("refused"));
      socket.on("error", () => resolve("refused"));
    });
    expect(outcome).toBe("refused");
  });

  it("on close ends hanging, stalled and idle connections at once and frees the port", async () => {
    const provider = await startFaultyProvider({
      answer: () => ANSWER,
      script: [{ kind: "hang" }, { kind: "stall" }, { kind: "slow", delayMs: 60_000 }],
    });
    const hanging = ask(provider.baseUrl).then(
      () => "answered",
      (error: Error) => error.message,
    );
    await vi.waitFor(() => expect(provider.requests).toHaveLength(1));
    const stalled = await ask(provider.baseUrl, { ...QUESTION, stream: true });
    const late = ask(provider.baseUrl).then(
      () => "answered",
      (error: Error) => error.message,
    );
    await vi.waitFor(() => expect(provider.requests).toHaveLength(3));
    const idle = connect(provider.port, "127.0.0.1");
    await new Promise((resolve) => idle.once("connect", resolve));
    const idleEnded = new Promise((resolve) => idle.once("close", resolve));
    idle.on("error", () => undefined);

    await provider.close();
    expect(await hanging).toBe("fetch failed");
    expect(await late).toBe("fetch failed");
    await expect(stalled.text()).rejects.toThrow("terminated");
    await idleEnded;
    await expect(ask(provider.baseUrl)).rejects.toThrow("fetch failed");
    await using again = await startFaultyProvider({ answer: () => ANSWER, port: provider.port });
    expect((await ask(again.baseUrl)).status).toBe(200);
  });

  it("is closed at the end of an `await using` block", async () => {
    let baseUrl: string;
    {
      await using provider = await startFaultyProvider({ answer: () => ANSWER });
      baseUrl = provider.baseUrl;
    }
    await expect(ask(baseUrl)).rejects.toThrow("fetch failed");
  });

  it("stops waiting for a slow answer when the client has gone", async () => {
    const sleep = vi.spyOn(systemClock, "sleep");
    onTestFinished(() => sleep.mockRestore());
    const provider = await providerFor({ script: [{ kind: "slow", delayMs: 60_000 }] });
    const abort = new AbortController();
    const call = ask(provider.baseUrl, QUESTION, abort.signal);
    await vi.waitFor(() => expect(provider.requests).toHaveLength(1));
    abort.abort();
    await expect(call).rejects.toThrow(/abort/i);
    expect(sleep.mock.calls[0]?.[0]).toBe(60_000);
    await expect(sleep.mock.results[0]?.value).rejects.toThrow(/abort/i);
  });
});

describe("options out of range", () => {
  it.each([
    ["port", { port: 70_000 }, "70000"],
    ["port", { port: 1.5 }, "1.5"],
    ["chunkDelayMs", { chunkDelayMs: -1 }, "-1"],
    ["models", { models: [] }, "[]"],
  ] as const)("%s: a ConfigError names the option and its value (%j)", async (option, options, value) => {
    const error = await startFaultyProvider({ answer: () => ANSWER, ...options }).then(
      (provider) => provider.close(),
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ code: "CONFIG" });
    expect(String(error)).toContain(`startFaultyProvider: option "${option}" is ${value}`);
  });
});

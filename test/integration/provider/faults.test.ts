/** Each way the provider misbehaves, as it looks on the wire and as ChatOpenAI makes of it. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { describeFault, type Fault, type FaultKind } from "../../../src/chaos/faults.js";
import { classifyError } from "../../../src/errors/classify.js";
import {
  ANSWER,
  ask,
  chatOpenAi,
  completionOf,
  contentIn,
  eventsIn,
  HALF,
  providerFor,
  QUESTION,
  readToTheEnd,
  tokensOf,
} from "./provider.js";

const STREAMED = { ...QUESTION, stream: true };

interface Seen {
  /** Text of the answer as far as it came. */
  readonly text: string;
  readonly finishReason?: unknown;
  readonly done: boolean;
  readonly failure?: Error;
}

async function streamedOver(baseUrl: string, signal?: AbortSignal): Promise<Seen> {
  const { text, error } = await readToTheEnd(await ask(baseUrl, STREAMED, signal));
  const events = eventsIn(text) as { choices?: { finish_reason?: unknown }[] }[];
  const finishReason = events
    .map((event) => event.choices?.[0]?.finish_reason ?? undefined)
    .find((reason) => reason !== undefined);
  return {
    text: contentIn(events),
    done: text.includes("data: [DONE]"),
    ...(finishReason !== undefined && { finishReason }),
    ...(error && { failure: error }),
  };
}

interface Heard {
  readonly text: string;
  readonly finishReason?: unknown;
  readonly failure?: unknown;
}

async function heardByChatOpenAi(baseUrl: string, signal?: AbortSignal, onText?: () => void): Promise<Heard> {
  let text = "";
  let finishReason: unknown;
  try {
    for await (const chunk of await chatOpenAi(baseUrl).stream("How did the quarter go?", signal && { signal })) {
      text += chunk.text;
      finishReason = chunk.response_metadata.finish_reason ?? finishReason;
      if (chunk.text !== "") onText?.();
    }
  } catch (failure) {
    return { text, failure };
  }
  return { text, finishReason };
}

const categoryOf = (failure: unknown) => (failure === undefined ? undefined : classifyError(failure).category);

// The SDK prints what it cannot parse.
beforeEach(() => void vi.spyOn(console, "error").mockImplementation(() => undefined));
afterEach(() => vi.restoreAllMocks());

/** What a fault looks like where an answer, or its end, comes; those that never end are tested below. */
const ENDING: {
  readonly [K in Exclude<FaultKind, "hang" | "stall" | "status">]: readonly [
    fault: Fault,
    wire: object,
    client: object,
    whole: object,
  ];
} = {
  none: [
    { kind: "none" },
    { text: ANSWER, finishReason: "stop", done: true },
    { text: ANSWER, finishReason: "stop" },
    { text: ANSWER, finishReason: "stop" },
  ],
  slow: [
    { kind: "slow", delayMs: 20 },
    { text: ANSWER, finishReason: "stop", done: true },
    { text: ANSWER, finishReason: "stop" },
    { text: ANSWER, finishReason: "stop" },
  ],
  cut_stream: [
    { kind: "cut_stream" },
    { text: HALF, done: false },
    // a truncated "success": why callModel asks for a finish_reason
    { text: HALF, finishReason: undefined },
    { category: "malformed_output" },
  ],
  reset_stream: [
    { kind: "reset_stream" },
    { text: HALF, done: false, failure: "terminated" },
    { text: HALF, category: "network" },
    { category: "network" },
  ],
  reset: [{ kind: "reset" }, { failure: "fetch failed" }, { text: "", category: "network" }, { category: "network" }],
  invalid_structure: [
    { kind: "invalid_structure" },
    { text: "Certainly! Here is the answer you asked for.", finishReason: "stop", done: true },
    { text: "Certainly! Here is the answer you asked for.", finishReason: "stop" },
    { text: "Certainly! Here is the answer you asked for.", finishReason: "stop" },
  ],
  junk_body: [
    { kind: "junk_body" },
    { text: "", done: false },
    { text: "", finishReason: undefined },
    { category: "bug" },
  ],
  malformed_event: [
    { kind: "malformed_event" },
    { text: ANSWER, finishReason: "stop", done: true },
    // the events before the damaged one, which is in the middle
    { text: HALF, category: "malformed_output" },
    { category: "malformed_output" },
  ],
  no_terminator: [
    { kind: "no_terminator", connection: "close" },
    { text: ANSWER, finishReason: "stop", done: false },
    { text: ANSWER, finishReason: "stop" },
    { text: ANSWER, finishReason: "stop" },
  ],
  late_first_token: [
    { kind: "late_first_token", delayMs: 20 },
    { text: ANSWER, finishReason: "stop", done: true },
    { text: ANSWER, finishReason: "stop" },
    { text: ANSWER, finishReason: "stop" },
  ],
  drip: [
    { kind: "drip", delayMs: 2 },
    { text: ANSWER, finishReason: "stop", done: true },
    { text: ANSWER, finishReason: "stop" },
    { text: ANSWER, finishReason: "stop" },
  ],
  empty_choices: [
    { kind: "empty_choices" },
    { text: "", done: true },
    // an empty "success"
    { text: "", finishReason: undefined },
    { category: "bug" },
  ],
  ignores_stream: [
    { kind: "ignores_stream" },
    { text: "", done: false },
    { text: "", finishReason: undefined },
    { text: ANSWER, finishReason: "stop" },
  ],
  context_length: [
    { kind: "context_length" },
    { text: "", done: false },
    { text: "", category: "context_length" },
    { category: "context_length" },
  ],
  content_filter: [
    { kind: "content_filter" },
    { text: "", done: false },
    { text: "", category: "content_policy" },
    { category: "content_policy" },
  ],
  rejects_prefill: [
    { kind: "rejects_prefill" },
    { text: ANSWER, finishReason: "stop", done: true },
    { text: ANSWER, finishReason: "stop" },
    { text: ANSWER, finishReason: "stop" },
  ],
  tool_arguments: [
    { kind: "tool_arguments", damage: "cut" },
    { text: ANSWER, finishReason: "stop", done: true },
    { text: ANSWER, finishReason: "stop" },
    { text: ANSWER, finishReason: "stop" },
  ],
  finish: [
    { kind: "finish", reason: "length" },
    { text: ANSWER.slice(0, 32), finishReason: "length", done: true },
    { text: ANSWER.slice(0, 32), finishReason: "length" },
    { text: ANSWER.slice(0, 32), finishReason: "length" },
  ],
  empty: [
    { kind: "empty" },
    { text: "", finishReason: "stop", done: true },
    { text: "", finishReason: "stop" },
    { text: "", finishReason: "stop" },
  ],
};

describe.each(Object.entries(ENDING))("%s", (_kind, [fault, wire, client, whole]) => {
  it("on the wire", async () => {
    const { baseUrl } = await providerFor({ script: [fault] });
    const seen = await streamedOver(baseUrl).catch((failure: Error): Partial<Seen> => ({ failure }));
    expect({ ...seen, ...(seen.failure && { failure: seen.failure.message }) }).toEqual(wire);
  });

  it("streamed to ChatOpenAI", async () => {
    const { baseUrl } = await providerFor({ script: [fault] });
    const { failure, ...heard } = await heardByChatOpenAi(baseUrl);
    expect(failure === undefined ? heard : { text: heard.text, category: categoryOf(failure) }).toEqual(client);
  });

  it("whole to ChatOpenAI", async () => {
    const { baseUrl } = await providerFor({ script: [fault] });
    const outcome = await chatOpenAi(baseUrl)
      .invoke("How did the quarter go?")
      .then(
        (message) => ({ text: message.text, finishReason: message.response_metadata.finish_reason }),
        (failure: unknown) => ({ category: categoryOf(failure) }),
      );
    expect(outcome).toEqual(whole);
  });
});

describe("status", () => {
  it.each([
    [{ status: 401 }, "invalid_request_error", "invalid_api_key", "auth"],
    [{ status: 403 }, "invalid_request_error", "unsupported_country_region_territory", "permission"],
    [{ status: 404 }, "invalid_request_error", "model_not_found", "model_unavailable"],
    [{ status: 422 }, "invalid_request_error", null, "invalid_input"],
    [{ status: 429 }, "requests", "rate_limit_exceeded", "rate_limit"],
    [
      { status: 429, code: "insufficient_quota", type: "insufficient_quota" },
      "insufficient_quota",
      "insufficient_quota",
      "quota",
    ],
    [{ status: 503 }, "server_error", null, "server_error"],
  ] as const)("%j carries OpenAI's type and code and is classified by them", async (fault, type, code, category) => {
    const { baseUrl } = await providerFor({
      script: [
        { kind: "status", ...fault },
        { kind: "status", ...fault },
      ],
    });
    const response = await ask(baseUrl);
    expect(response.status).toBe(fault.status);
    expect(response.headers.get("x-offline-provider")).toBe("langgraph-resilience");
    const { error } = (await response.json()) as { error: { message: string } };
    expect(error).toMatchObject({ type, code, param: null });
    expect(error.message).toContain("injected by the offline provider");
    const { failure } = await heardByChatOpenAi(baseUrl);
    expect(classifyError(failure)).toMatchObject({ category, status: fault.status });
  });

  it("429 with Retry-After says how long to wait, in the header and in the report", async () => {
    const fault: Fault = { kind: "status", status: 429, headers: { "Retry-After": "7" }, message: "slow down" };
    const { baseUrl } = await providerFor({ script: [fault, fault] });
    const response = await ask(baseUrl);
    expect(response.headers.get("retry-after")).toBe("7");
    expect(await response.json()).toMatchObject({ error: { message: "slow down" } });
    const { failure } = await heardByChatOpenAi(baseUrl);
    expect(classifyError(failure)).toMatchObject({
      category: "rate_limit",
      retryAfterMs: 7000,
      message: expect.stringContaining("slow down"),
    });
  });
});

describe("hang", () => {
  it("sends no byte, and an abort ends the call at once", async () => {
    const provider = await providerFor({ script: [{ kind: "hang" }, { kind: "hang" }] });
    const abort = new AbortController();
    let settled = false;
    const wire = streamedOver(provider.baseUrl, abort.signal).catch((error: Error) => error.name);
    const client = heardByChatOpenAi(provider.baseUrl, abort.signal);
    void Promise.race([wire, client]).then(() => {
      settled = true;
    });
    await vi.waitFor(() => expect(provider.requests).toHaveLength(2));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(settled).toBe(false);
    abort.abort();
    expect(await wire).toBe("AbortError");
    expect(await client).toMatchObject({ text: "", failure: expect.anything() });
  });
});

describe("stall", () => {
  it("sends half of a stream and no more, and an abort ends the call at once", async () => {
    const { baseUrl } = await providerFor({ script: [{ kind: "stall" }, { kind: "stall" }] });
    const onWire = new AbortController();
    const response = await ask(baseUrl, STREAMED, onWire.signal);
    const reading = readToTheEnd(response);
    expect(await Promise.race([reading, new Promise((resolve) => setTimeout(resolve, 50, "still open"))])).toBe(
      "still open",
    );
    onWire.abort();
    const { text, error } = await reading;
    expect(contentIn(eventsIn(text))).toBe(HALF);
    expect(error?.name).toBe("AbortError");

    const abort = new AbortController();
    let heard = 0;
    const call = heardByChatOpenAi(baseUrl, abort.signal, () => {
      heard += 1;
      if (heard === tokensOf(HALF).length) setTimeout(() => abort.abort(), 20);
    });
    expect(await call).toMatchObject({ text: HALF, failure: expect.anything() });
  });

  it("of a whole answer sends half of the body", async () => {
    const { baseUrl } = await providerFor({ script: [{ kind: "stall" }] });
    const abort = new AbortController();
    const reading = readToTheEnd(await ask(baseUrl, QUESTION, abort.signal));
    await new Promise((resolve) => setTimeout(resolve, 30));
    abort.abort();
    const { text, error } = await reading;
    expect(text).toMatch(/^\{"id":"chatcmpl-offline-1"/);
    expect(() => JSON.parse(text)).toThrow(SyntaxError);
    expect(error?.name).toBe("AbortError");
  });
});

describe("invalid_structure", () => {
  const contentOf = async (fault: Fault, answer: object) => {
    const { baseUrl } = await providerFor({ answer: () => answer, script: [fault] });
    return (await completionOf(ask(baseUrl))).text;
  };

  it("leaves the first field out and puts numbers into words", async () => {
    const content = await contentOf(
      { kind: "invalid_structure" },
      { headline: "Up", growth: 4.9, drivers: ["services"] },
    );
    expect(JSON.parse(content)).toEqual({ growth: "about 4.9", drivers: ["services"] });
  });

  it("gives the content it is told to", async () => {
    expect(await contentOf({ kind: "invalid_structure", content: '{"headline":' }, { headline: "Up" })).toBe(
      '{"headline":',
    );
  });
});

describe("junk_body", () => {
  it("is an HTML page by default and otherwise what it is told to be, and says that it is offline", async () => {
    const { baseUrl } = await providerFor({
      script: [{ kind: "junk_body" }, { kind: "junk_body", body: '{"choices":[]}', contentType: "application/json" }],
    });
    const page = await ask(baseUrl);
    expect(page.status).toBe(200);
    expect(page.headers.get("content-type")).toBe("text/html");
    expect(page.headers.get("x-offline-provider")).toBe("langgraph-resilience");
    expect(await page.text()).toMatch(/^<!doctype html>/);
    const told = await ask(baseUrl);
    expect(told.headers.get("content-type")).toBe("application/json");
    expect(await told.json()).toEqual({ choices: [] });
  });
});

describe("every answer that is not a reset", () => {
  const rows: Fault[] = [
    { kind: "none" },
    { kind: "cut_stream" },
    { kind: "malformed_event" },
    { kind: "finish", reason: "content_filter" },
    { kind: "empty" },
    { kind: "status", status: 500 },
    { kind: "junk_body" },
  ];
  it.each(rows)("names the provider and the fault in its headers: $kind", async (fault) => {
    const { baseUrl } = await providerFor({ script: [fault] });
    const { headers } = await ask(baseUrl, STREAMED);
    expect(headers.get("x-offline-provider")).toBe("langgraph-resilience");
    expect(headers.get("x-request-id")).toBe("offline-1");
    expect(headers.get("x-offline-fault")).toBe(describeFault(fault));
  });
});

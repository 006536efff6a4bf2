/** Streams that are late, slow, damaged in one place or without an end, event by event. */
import { describe, expect, it } from "vitest";
import {
  ANSWER,
  ask,
  completionOf,
  contentIn,
  eventsIn,
  providerFor,
  QUESTION,
  readToTheEnd,
  tokensOf,
} from "./provider.js";

const TOKENS = tokensOf(ANSWER);
const MIDDLE = TOKENS.length / 2;
const STREAMED = { ...QUESTION, stream: true, stream_options: { include_usage: true } };

/** Reads until `text` has come; the rest stays to be read. */
async function readUntil(reader: ReadableStreamDefaultReader<Uint8Array>, text: string): Promise<string> {
  const decoder = new TextDecoder();
  let seen = "";
  while (!seen.includes(text)) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`ended before ${text}: ${seen}`);
    seen += decoder.decode(value, { stream: true });
  }
  return seen;
}

/** Whether nothing settles the promise for a moment. */
async function staysOpen(promise: Promise<unknown>): Promise<boolean> {
  const moment = new Promise((resolve) => setTimeout(resolve, 40, "open"));
  return (await Promise.race([promise, moment])) === "open";
}

describe("late_first_token", () => {
  it("opens the stream at once and then keeps silent until the first token", async () => {
    const provider = await providerFor({ script: [{ kind: "late_first_token", delayMs: 60_000 }] });
    const response = await ask(provider.baseUrl, STREAMED);
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    const reader = response.body!.getReader();
    const opening = await readUntil(reader, "\n\n");
    expect(eventsIn(opening)).toMatchObject([{ choices: [{ delta: { role: "assistant", content: "" } }] }]);
    expect(await staysOpen(reader.read())).toBe(true);
  });

  it("gives headers at once and the body of a whole answer late", async () => {
    const { baseUrl } = await providerFor({ script: [{ kind: "late_first_token", delayMs: 60_000 }] });
    const response = await ask(baseUrl);
    expect(response.status).toBe(200);
    expect(await staysOpen(response.text().catch(() => "ended"))).toBe(true);
  });

  it("waits as long as it is told to", async () => {
    const { baseUrl } = await providerFor({
      script: [{ kind: "late_first_token", delayMs: 60, times: 2 }],
    });
    const streamed = async () => contentIn(eventsIn(await (await ask(baseUrl, STREAMED)).text()));
    const whole = async () => (await completionOf(ask(baseUrl))).text;
    for (const answer of [streamed, whole]) {
      const startedAt = performance.now();
      expect(await answer()).toBe(ANSWER);
      expect(performance.now() - startedAt).toBeGreaterThan(55);
    }
  });
});

describe("drip", () => {
  it("pauses before every event", async () => {
    const short = "offline: one";
    const { baseUrl } = await providerFor({ answer: () => short, script: [{ kind: "drip", delayMs: 15 }] });
    const startedAt = performance.now();
    expect(contentIn(eventsIn(await (await ask(baseUrl, { ...QUESTION, stream: true })).text()))).toBe(short);
    // opening, text, closing; a timer may fire a little early
    const events = 1 + tokensOf(short).length + 1;
    expect(performance.now() - startedAt).toBeGreaterThan(events * 15 - 10);
  });
});

describe("no_terminator", () => {
  it("sends everything but [DONE], usage included, and keeps the connection open", async () => {
    const { baseUrl } = await providerFor({ script: [{ kind: "no_terminator" }] });
    const reader = (await ask(baseUrl, STREAMED)).body!.getReader();
    const seen = await readUntil(reader, '"total_tokens"');
    expect(contentIn(eventsIn(seen))).toBe(ANSWER);
    expect(seen).toContain('"finish_reason":"stop"');
    expect(await staysOpen(reader.read())).toBe(true);
  });

  it("of a whole answer gives the whole body, without its end", async () => {
    const { baseUrl } = await providerFor({ script: [{ kind: "no_terminator" }] });
    const reader = (await ask(baseUrl)).body!.getReader();
    expect(JSON.parse(await readUntil(reader, '"total_tokens":22}}'))).toMatchObject({ object: "chat.completion" });
    expect(await staysOpen(reader.read())).toBe(true);
  });

  it("closes the connection cleanly where it is told to", async () => {
    const { baseUrl } = await providerFor({ script: [{ kind: "no_terminator", connection: "close" }] });
    const { text, error } = await readToTheEnd(await ask(baseUrl, STREAMED));
    expect(error).toBeUndefined();
    expect(text).toContain('"total_tokens"');
    expect(text).not.toContain("[DONE]");
  });
});

describe("malformed_event", () => {
  const eventsOf = async (fault: { data?: string; instead?: boolean }, answer = ANSWER) => {
    const { baseUrl } = await providerFor({ answer: () => answer, script: [{ kind: "malformed_event", ...fault }] });
    const events = eventsIn(await (await ask(baseUrl, STREAMED)).text());
    expect(events.at(-1)).toBe("[DONE]");
    return {
      text: contentIn(events),
      damaged: events.slice(0, -1).filter((event) => typeof event === "string"),
      at: events.findIndex((event) => typeof event === "string"),
      count: events.length,
    };
  };

  it("is one more event, cut off in its middle, between events that are all there", async () => {
    const { text, damaged, at, count } = await eventsOf({});
    // opening, text, closing, usage, [DONE], and the damaged one
    expect({ text, at, count }).toEqual({ text: ANSWER, at: 1 + MIDDLE, count: 1 + TOKENS.length + 3 + 1 });
    expect(damaged).toEqual([expect.stringMatching(/^\{"id":"chatcmpl-offline-1".*[^}]$/)]);
  });

  it("may take the place of an event, whose text is missing then", async () => {
    const { text, at, count } = await eventsOf({ instead: true });
    const rest = TOKENS.toSpliced(MIDDLE, 1).join("");
    expect({ text, at, count }).toEqual({ text: rest, at: 1 + MIDDLE, count: 1 + TOKENS.length + 3 });
  });

  it("carries what it is told to", async () => {
    const { damaged, text } = await eventsOf({ data: "<html>" }, "");
    expect({ damaged, text }).toEqual({ damaged: ["<html>"], text: "" });
  });
});

describe("empty_choices", () => {
  it("has none in a whole answer, nor in any event of a stream that ends with [DONE]", async () => {
    const { baseUrl } = await providerFor({ script: [{ kind: "empty_choices", times: 2 }] });
    expect(await (await ask(baseUrl)).json()).toMatchObject({ object: "chat.completion", choices: [] });
    const events = eventsIn(await (await ask(baseUrl, STREAMED)).text());
    expect(events.pop()).toBe("[DONE]");
    // opening, text, closing, usage
    expect(events).toHaveLength(1 + TOKENS.length + 2);
    for (const event of events) expect(event).toMatchObject({ object: "chat.completion.chunk", choices: [] });
  });
});

describe("ignores_stream", () => {
  it("answers a request for a stream with one JSON body", async () => {
    const { baseUrl } = await providerFor({ script: [{ kind: "ignores_stream" }] });
    const response = await ask(baseUrl, STREAMED);
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(await response.json()).toMatchObject({
      object: "chat.completion",
      choices: [{ message: { content: ANSWER } }],
    });
  });
});

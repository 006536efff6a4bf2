/** Refusals with the bodies that real providers send. */
import { describe, expect, it } from "vitest";
import type { Fault } from "../../../src/chaos/faults.js";
import { ask, outcomesOf, providerFor, QUESTION } from "./provider.js";

async function refusalOf(fault: Fault): Promise<{ status: number; error: { message: string } & object }> {
  const { baseUrl } = await providerFor({ script: [fault] });
  const response = await ask(baseUrl);
  const { error } = (await response.json()) as { error: { message: string } & object };
  return { status: response.status, error };
}

describe("context_length", () => {
  it("is OpenAI's 400, which names the limit and a count above it", async () => {
    expect(await refusalOf({ kind: "context_length" })).toEqual({
      status: 400,
      error: {
        message:
          "This model's maximum context length is 8192 tokens. However, your messages resulted in 8193 tokens. Please reduce the length of the messages.",
        type: "invalid_request_error",
        param: "messages",
        code: "context_length_exceeded",
      },
    });
  });

  it("names the limit it is told and the length there really is", async () => {
    // 23 characters, four to a token
    expect((await refusalOf({ kind: "context_length", limitTokens: 4 })).error.message).toMatch(
      /maximum context length is 4 tokens\. However, your messages resulted in 6 tokens/,
    );
  });
});

describe("content_filter", () => {
  it("is Azure's 400, which says what the filter found", async () => {
    const { status, error } = await refusalOf({ kind: "content_filter", reason: "self_harm" });
    expect(status).toBe(400);
    expect(error).toMatchObject({
      message: expect.stringContaining("content management policy"),
      code: "content_filter",
      param: "prompt",
      status: 400,
      innererror: { code: "ResponsibleAIPolicyViolation" },
    });
    expect((error as { innererror?: { content_filter_result?: object } }).innererror?.content_filter_result).toEqual({
      hate: { filtered: false, severity: "safe" },
      self_harm: { filtered: true, severity: "high" },
      sexual: { filtered: false, severity: "safe" },
      violence: { filtered: false, severity: "safe" },
    });
  });

  it("finds violence unless told otherwise, and may find a jailbreak", async () => {
    expect((await refusalOf({ kind: "content_filter" })).error).toMatchObject({
      innererror: { content_filter_result: { violence: { filtered: true } } },
    });
    expect((await refusalOf({ kind: "content_filter", reason: "jailbreak" })).error).toMatchObject({
      innererror: {
        content_filter_result: { violence: { filtered: false }, jailbreak: { filtered: true, detected: true } },
      },
    });
  });
});

describe("rejects_prefill", () => {
  it("refuses messages that end with the assistant's, and answers the others", async () => {
    const provider = await providerFor({ script: [{ kind: "rejects_prefill", times: "always" }] });
    const prefilled = {
      ...QUESTION,
      messages: [...QUESTION.messages, { role: "assistant", content: "The quarter went" }],
    };
    const refused = await ask(provider.baseUrl, prefilled);
    expect(refused.status).toBe(400);
    expect(await refused.json()).toMatchObject({
      error: {
        type: "invalid_request_error",
        message: expect.stringContaining("does not support assistant message prefill"),
      },
    });
    const later = { ...prefilled, messages: [...prefilled.messages, { role: "user", content: "go on" }] };
    expect((await ask(provider.baseUrl, later)).status).toBe(200);
    expect((await ask(provider.baseUrl)).status).toBe(200);
    expect(await outcomesOf(provider)).toEqual(["faulted", "answered", "answered"]);
  });
});

/** What a model sent, whole on the wire, may be no answer all the same. */
import { AIMessageChunk, HumanMessage, ToolMessage } from "@langchain/core/messages";
import { describe, expect, it } from "vitest";
import { type AnswerCheck, checkAnswer, finishReasonOf } from "../../../../src/langgraph/model/answer-check.js";

const ASKED: AnswerCheck = { model: "m", needsFinishReason: true, messages: [new HumanMessage("q")], tools: [] };
const AFTER_TOOL = { ...ASKED, messages: [new ToolMessage({ content: "done", tool_call_id: "c" })] };

const answer = (content: string, finish_reason: string | undefined, fields: object = {}) =>
  new AIMessageChunk({ content, response_metadata: finish_reason === undefined ? {} : { finish_reason }, ...fields });

const calling = (name: string, args: string | undefined, finish = "tool_calls") =>
  answer("", finish, {
    tool_call_chunks: [{ name, index: 0, id: "c", type: "tool_call_chunk", ...(args === undefined ? {} : { args }) }],
  });

const tool = (name: string, required: readonly string[]) => ({
  type: "function",
  function: { name, parameters: { type: "object", properties: { q: { type: "string" } }, required } },
});

describe("a finish reason", () => {
  it.each(["content_filter", "CONTENT_FILTERED", "guardrail_intervened", "refusal", "SAFETY", "RECITATION", "SPII"])(
    "%s: the model would not answer",
    (reason) => {
      expect(() => checkAnswer(answer("Half an", reason), ASKED)).toThrow(
        expect.objectContaining({
          code: "CONTENT_FILTERED",
          category: "content_policy",
          message: expect.stringContaining(reason),
        }),
      );
    },
  );

  it.each(["error", "abort", "aborted", "cancelled", "insufficient_system_resource", "OTHER"])(
    "%s: the model gave up in the middle",
    (reason) => {
      expect(() => checkAnswer(answer("Half an", reason), ASKED)).toThrow(
        `Model "m" gave up its answer: finish reason "${reason}"`,
      );
    },
  );

  it("MALFORMED_FUNCTION_CALL: the model could not write its call", () => {
    expect(() => checkAnswer(answer("", "MALFORMED_FUNCTION_CALL"), ASKED)).toThrow(
      expect.objectContaining({ code: "INVALID_TOOL_CALL" }),
    );
  });

  it.each(["stop", "end_turn", "STOP", "length", "max_tokens", "stop_sequence", "eos", "something_new"])(
    "%s: text is an answer",
    (reason) => {
      expect(() => checkAnswer(answer("An answer", reason), ASKED)).not.toThrow();
    },
  );

  it("that is missing means that the answer was cut, where the model is known to give one", () => {
    expect(() => checkAnswer(answer("Half an", undefined), ASKED)).toThrow(
      /ended after 7 characters without a finish reason/,
    );
    expect(() => checkAnswer(answer("An answer", undefined), { ...ASKED, needsFinishReason: false })).not.toThrow();
  });

  it.each([
    ["finish_reason", { finish_reason: "stop" }, "stop"],
    ["stop_reason, of Anthropic", { stop_reason: "end_turn" }, "end_turn"],
    ["finishReason, of Google", { finishReason: "STOP" }, "STOP"],
    ["stopReason, of Bedrock", { stopReason: "end_turn" }, "end_turn"],
    ["done_reason, of Ollama", { done_reason: "stop" }, "stop"],
    [
      "incomplete_details, of the Responses API",
      { status: "incomplete", incomplete_details: { reason: "max_output_tokens" } },
      "max_output_tokens",
    ],
    ["a status, of the Responses API", { status: "completed", incomplete_details: null }, "completed"],
    ["nothing", { finish_reason: "", status: "in_progress" }, undefined],
  ])("is found in %s", (_where, response_metadata, reason) => {
    expect(finishReasonOf(new AIMessageChunk({ content: "x", response_metadata }))).toBe(reason);
  });
});

describe("a refusal", () => {
  it("in words is one, whatever the finish reason", () => {
    const refused = answer("", "stop", { additional_kwargs: { refusal: "I cannot help with that" } });
    expect(() => checkAnswer(refused, ASKED)).toThrow(
      expect.objectContaining({ code: "CONTENT_FILTERED", reason: "I cannot help with that" }),
    );
  });

  it("by a filter says which it was", () => {
    const filtered = answer("", "content_filter");
    filtered.response_metadata.content_filter_results = { hate: { filtered: false }, violence: { filtered: true } };
    expect(() => checkAnswer(filtered, ASKED)).toThrow("filtered for violence (content_filter)");
  });
});

describe("an empty answer", () => {
  it.each(["", " \n\t"])("is none: %j", (content) => {
    expect(() => checkAnswer(answer(content, "stop"), ASKED)).toThrow(
      expect.objectContaining({
        code: "MALFORMED_OUTPUT",
        message: 'The answer of model "m" is empty (finish reason: stop)',
      }),
    );
  });

  it("to the result of a tool is one: there is nothing to add", () => {
    expect(() => checkAnswer(answer("", "stop"), AFTER_TOOL)).not.toThrow();
  });

  it("is not one that holds something else than text", () => {
    const image = new AIMessageChunk({
      content: [{ type: "image_url", image_url: "data:," }],
      response_metadata: { finish_reason: "stop" },
    });
    expect(() => checkAnswer(image, ASKED)).not.toThrow();
    expect(() => checkAnswer(answer("", "stop", { additional_kwargs: { audio: {} } }), ASKED)).not.toThrow();
  });
});

describe("the call of a tool", () => {
  const checked = { ...ASKED, tools: [tool("search", ["q"]), tool("now", [])] };

  it.each([
    ["with arguments", calling("search", '{"q":"a"}')],
    ["without any, of a tool that needs none", calling("now", "")],
    ["without any, of a tool that needs none, and no field for them", calling("now", undefined)],
    ["with arguments, of a tool nobody has described", calling("other", "{}")],
  ])("can be used %s", (_how, message) => {
    expect(() => checkAnswer(message, checked)).not.toThrow();
  });

  it.each([
    ["without arguments that it needs", calling("search", ""), "it came without arguments"],
    ["without any, of a tool nobody has described", calling("other", ""), "it came without arguments"],
    ["with cut arguments", calling("search", '{"q":"a'), "its arguments are no JSON"],
    ["with cut arguments, although the answer ended well", calling("search", '{"q":', "stop"), "no JSON"],
    ["cut by the limit of the answer", calling("search", '{"q":"a', "length"), 'tool "search"'],
    ["with a list for arguments", calling("search", "[1]"), "its arguments are no JSON object"],
    ["with null for arguments", calling("search", "null"), "its arguments are no JSON object"],
    ["without a name", calling("", "{}"), "the call names no tool"],
  ])("cannot be used %s", (_how, message, why) => {
    expect(() => checkAnswer(message, checked)).toThrow(
      expect.objectContaining({ code: "INVALID_TOOL_CALL", message: expect.stringContaining(why) }),
    );
  });

  it("cannot be used where one of several cannot", () => {
    const both = answer("", "tool_calls", {
      tool_call_chunks: [
        { name: "now", args: "{}", index: 0, type: "tool_call_chunk" },
        { name: "search", args: "{", index: 1, type: "tool_call_chunk" },
      ],
    });
    expect(() => checkAnswer(both, checked)).toThrow(/tool "search"/);
  });
});

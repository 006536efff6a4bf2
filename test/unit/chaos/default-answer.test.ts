import { describe, expect, it } from "vitest";
import { toAnswer } from "../../../src/chaos/chat-answer.js";
import { parseChatRequest } from "../../../src/chaos/chat-request.js";
import { defaultAnswer } from "../../../src/chaos/default-answer.js";

function answerTo(body: object) {
  const parsed = parseChatRequest(
    JSON.stringify({ model: "m", messages: [{ role: "user", content: "hello" }], ...body }),
  );
  if (parsed.kind === "refused") throw new Error(parsed.message);
  return toAnswer(defaultAnswer(parsed.request), 1, 0);
}

const answerFitting = (schema: object): unknown =>
  JSON.parse(answerTo({ response_format: { type: "json_schema", json_schema: { name: "s", schema } } }).content);

const forcedTo = (choice: unknown, tools: object[]) => answerTo({ tool_choice: choice, tools }).toolCalls;

describe("the default answer", () => {
  it("says what was read and that no model was asked", () => {
    expect(answerTo({}).content).toBe("offline: 5 characters read; no language model was asked.");
  });

  it("fits the schema asked for", () => {
    const schema = {
      type: "object",
      properties: {
        text: { type: "string" },
        count: { type: "integer", minimum: 3 },
        ratio: { type: ["number", "null"] },
        flag: { type: "boolean" },
        level: { enum: ["low", "high"] },
        kind: { const: "k" },
        either: { anyOf: [{ type: "null" }, { type: "string" }] },
        list: { type: "array", items: { $ref: "#/$defs/point" }, minItems: 2 },
        none: { type: "array", items: { type: "string" } },
        both: { allOf: [{ properties: { a: { type: "string" } } }, { properties: { b: { default: 7 } } }] },
      },
      $defs: { point: { type: "object", properties: { x: { type: "number" } } } },
    };
    expect(answerFitting(schema)).toEqual({
      text: "offline",
      count: 3,
      ratio: 0,
      flag: false,
      level: "low",
      kind: "k",
      either: null,
      list: [{ x: 0 }, { x: 0 }],
      none: [],
      both: { a: "offline", b: 7 },
    });
  });

  it("comes to an end on a schema that contains itself, and is an object for a schema of anything", () => {
    const node = { type: "object", properties: { next: { $ref: "#" } } };
    expect(JSON.stringify(answerFitting(node))).toContain('{"next":{"next":');
    expect(answerFitting({})).toEqual({});
    expect(answerFitting({ $ref: "#/$defs/lost" })).toEqual({});
  });

  it("calls the tool that must be called, with arguments that fit, and no other", () => {
    const parameters = { type: "object", properties: { id: { type: "string" } } };
    const tools = [
      { type: "function", function: { name: "one", parameters } },
      { type: "function", function: { name: "two" } },
    ];
    expect(forcedTo("auto", tools)).toEqual([]);
    expect(forcedTo("required", tools)).toMatchObject([{ name: "one", arguments: '{"id":"offline"}' }]);
    expect(forcedTo({ type: "function", function: { name: "two" } }, tools)).toMatchObject([
      { name: "two", arguments: "{}" },
    ]);
  });
});

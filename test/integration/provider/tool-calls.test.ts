/** Answers that call tools: on the wire as OpenAI sends them, and as ChatOpenAI reads them, sound and damaged. */
import { AIMessage, type AIMessageChunk, ToolMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { toolCalls } from "../../../src/chaos/chat-answer.js";
import type { ArgumentDamage } from "../../../src/chaos/fault.js";
import type { Fault } from "../../../src/chaos/faults.js";
import { ask, chatOpenAi, eventsIn, providerFor, QUESTION, tokensOf } from "./provider.js";

const LOOK = { name: "look_up", args: { orderId: "A-17", lines: [1, 2] } };
const MAIL = { name: "mail", args: {}, id: "call_mail" };

const tools = [
  tool(async () => "", { name: "look_up", schema: z.object({ orderId: z.string() }) }),
  tool(async () => "", { name: "mail", schema: z.object({}) }),
];

async function wholeBy(baseUrl: string): Promise<AIMessage> {
  return await chatOpenAi(baseUrl).bindTools(tools).invoke("Where is A-17?");
}

async function streamedBy(baseUrl: string): Promise<AIMessageChunk> {
  const chunks: AIMessageChunk[] = [];
  for await (const chunk of await chatOpenAi(baseUrl).bindTools(tools).stream("Where is A-17?")) chunks.push(chunk);
  return chunks.slice(1).reduce((sum, chunk) => sum.concat(chunk), chunks[0]!);
}

const both = [
  ["whole", wholeBy],
  ["streamed", streamedBy],
] as const;

describe("an answer that calls tools", () => {
  it("is a message with the calls, no text and finish_reason tool_calls", async () => {
    const { baseUrl } = await providerFor({ answer: () => toolCalls([LOOK, MAIL]) });
    expect(await (await ask(baseUrl)).json()).toMatchObject({
      choices: [
        {
          message: {
            role: "assistant",
            content: null,
            tool_calls: [
              {
                id: "call_offline_1_1",
                type: "function",
                function: { name: "look_up", arguments: '{"orderId":"A-17","lines":[1,2]}' },
              },
              { id: "call_mail", type: "function", function: { name: "mail", arguments: "{}" } },
            ],
          },
          finish_reason: "tool_calls",
        },
      ],
    });
  });

  it("streams each call under its index: id and name first, then the arguments in pieces", async () => {
    const { baseUrl } = await providerFor({ answer: () => toolCalls([LOOK, MAIL], "one moment") });
    const body = await (await ask(baseUrl, { ...QUESTION, stream: true })).text();
    expect(body).toMatch(/data: \[DONE\]\n\n$/);
    const events = eventsIn(body).slice(0, -1) as {
      choices: {
        delta: { tool_calls?: { index: number; function: { arguments: string } }[] };
        finish_reason: unknown;
      }[];
    }[];
    const choices = events.map((event) => event.choices[0]!);
    const text = tokensOf("one moment").map((content) => ({ content }));
    expect(choices.slice(0, 1 + text.length + 1).map(({ delta }) => delta)).toEqual([
      { role: "assistant", content: "" },
      ...text,
      {
        tool_calls: [
          { index: 0, id: "call_offline_1_1", type: "function", function: { name: "look_up", arguments: "" } },
        ],
      },
    ]);
    const calls = choices.flatMap(({ delta }) => delta.tool_calls ?? []);
    const argumentsOf = (index: number) =>
      calls.filter((call) => call.index === index).map((call) => call.function.arguments);
    expect(argumentsOf(0)).toEqual(["", ...tokensOf('{"orderId":"A-17","lines":[1,2]}')]);
    expect(argumentsOf(1)).toEqual(["", "{}"]);
    expect(choices.map((choice) => choice.finish_reason).filter(Boolean)).toEqual(["tool_calls"]);
  });

  it.each(both)("reaches ChatOpenAI %s, with its text", async (_how, asked) => {
    const { baseUrl } = await providerFor({ answer: () => toolCalls([LOOK, MAIL], "one moment") });
    const message = await asked(baseUrl);
    expect(message.text).toBe("one moment");
    expect(message.tool_calls).toMatchObject([
      { name: "look_up", args: LOOK.args, id: "call_offline_1_1" },
      { name: "mail", args: {}, id: "call_mail" },
    ]);
    expect(message.invalid_tool_calls).toEqual([]);
    expect(message.response_metadata.finish_reason).toBe("tool_calls");
  });

  it("may be told by the request: tools offered, the tool forced, calls made and answered before", async () => {
    const provider = await providerFor();
    await chatOpenAi(provider.baseUrl)
      .bindTools(tools, { tool_choice: "mail" })
      .invoke([
        new AIMessage({ content: "", tool_calls: [{ id: "c-1", name: "look_up", args: { orderId: "A-17" } }] }),
        new ToolMessage({ tool_call_id: "c-1", content: "shipped" }),
      ]);
    expect(provider.requests).toMatchObject([
      {
        forcedTool: "mail",
        tools: [{ function: { name: "look_up" } }, { function: { name: "mail" } }],
        messages: [
          { role: "assistant", toolCalls: [{ id: "c-1", name: "look_up", arguments: '{"orderId":"A-17"}' }] },
          { role: "tool", text: "shipped", toolCallId: "c-1" },
        ],
      },
    ]);
  });
});

describe("tool_arguments", () => {
  const damages: Readonly<Record<ArgumentDamage, { text: string; whole: object; streamed: object }>> = {
    invalid: {
      text: 'dict("orderId":"A-17","lines":[1,2])',
      whole: { tool_calls: [], invalid_tool_calls: [{ name: "look_up" }] },
      streamed: { tool_calls: [], invalid_tool_calls: [{ name: "look_up" }] },
    },
    cut: {
      text: '{"orderId":"A-17',
      whole: { tool_calls: [], invalid_tool_calls: [{ name: "look_up" }] },
      // LangChain completes the JSON: a call that nobody made
      streamed: { tool_calls: [{ name: "look_up", args: { orderId: "A-17" } }], invalid_tool_calls: [] },
    },
    missing: {
      text: "",
      whole: { tool_calls: [], invalid_tool_calls: [{ name: "look_up" }] },
      streamed: { tool_calls: [{ name: "look_up", args: {} }], invalid_tool_calls: [] },
    },
    not_object: {
      text: '["A-17",[1,2]]',
      whole: { tool_calls: [{ name: "look_up", args: ["A-17", [1, 2]] }], invalid_tool_calls: [] },
      streamed: { tool_calls: [], invalid_tool_calls: [{ name: "look_up" }] },
    },
  };

  describe.each(Object.entries(damages))("%s", (damage, expected) => {
    const script: [Fault] = [{ kind: "tool_arguments", damage: damage as ArgumentDamage }];
    const answer = () => toolCalls([LOOK]);

    it("is what the protocol carries, with finish_reason tool_calls", async () => {
      const { baseUrl } = await providerFor({ answer, script });
      expect(await (await ask(baseUrl)).json()).toMatchObject({
        choices: [
          {
            message: { tool_calls: [{ function: { name: "look_up", arguments: expected.text } }] },
            finish_reason: "tool_calls",
          },
        ],
      });
    });

    it.each(both)("to ChatOpenAI %s", async (how, asked) => {
      const { baseUrl } = await providerFor({ answer, script });
      const message = await asked(baseUrl);
      expect(message).toMatchObject(expected[how]);
      expect(message.response_metadata.finish_reason).toBe("tool_calls");
    });
  });
});

describe("other faults of an answer that calls tools", () => {
  const rows: readonly (readonly [Fault, string | null, object])[] = [
    [{ kind: "empty" }, "stop", { content: "" }],
    [{ kind: "finish", reason: "content_filter" }, "content_filter", { content: "one m" }],
    [
      { kind: "finish", reason: "length" },
      "length",
      { content: "one m", tool_calls: [{ function: { arguments: '{"orderId":"A-17' } }] },
    ],
    [{ kind: "invalid_structure" }, "tool_calls", { tool_calls: [{ function: { arguments: '{"lines":[1,2]}' } }] }],
  ];
  it.each(rows)("%j", async (fault, finishReason, message) => {
    const { baseUrl } = await providerFor({ answer: () => toolCalls([LOOK], "one moment"), script: [fault] });
    const { choices } = (await (await ask(baseUrl)).json()) as {
      choices: { message: object; finish_reason: string }[];
    };
    expect(choices).toMatchObject([{ message, finish_reason: finishReason }]);
    expect(Object.keys(choices[0]!.message).includes("tool_calls")).toBe("tool_calls" in message);
  });
});

/** Questions to a person from within wrapped tools, several of which share a task. */
import { AIMessage, type ToolMessage } from "@langchain/core/messages";
import { type StructuredTool, tool } from "@langchain/core/tools";
import { Command, interrupt, MemorySaver, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";
import { ToolNode } from "@langchain/langgraph/prebuilt";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { resilient } from "../../../src/langgraph/resilient.js";
import { resilientTool } from "../../../src/langgraph/resilient-tool.js";
import { failures, quick, unavailable } from "../../support/graphs.js";

type Messages = typeof MessagesAnnotation.State;
type Ask = (question: string) => string;
type Work = (name: string, ask: Ask) => string | Promise<string>;

const ask: Ask = (question) => String(interrupt(question));
const askOnce: Work = (name) => `${name}: ${ask(`${name}?`)}`;

/** A tool that asks a person. */
const toolOf = (name: string, work: Work = askOnce) =>
  tool(async () => work(name, ask), { name, description: name, schema: z.object({}) }) as unknown as StructuredTool;

const where = {
  "a ToolNode": (node: ToolNode) => node,
  "a ToolNode within a decorated node": (node: ToolNode) =>
    resilient((state: Messages, config) => node.invoke(state, config) as Promise<Messages>, { retry: quick }),
};
const wraps = {
  wrapped: (one: StructuredTool) => resilientTool(one, { retry: quick }),
  "as they are": (one: StructuredTool) => one,
};

/** A conversation with the one node that has these tools: each answer goes to the question that is open. */
function talk(tools: readonly StructuredTool[], place: (node: ToolNode) => unknown = where["a ToolNode"]) {
  const node = new ToolNode([...tools], { handleToolErrors: false });
  const graph = new StateGraph(MessagesAnnotation)
    .addNode("tools", place(node) as typeof node)
    .addEdge(START, "tools")
    .compile({ checkpointer: new MemorySaver() });
  const config = { configurable: { thread_id: "t" } };
  const calls = tools.map(({ name }) => ({ name, args: {}, id: `call of ${name}`, type: "tool_call" as const }));
  const questions = async () => {
    const { tasks } = await graph.getState(config);
    return tasks.flatMap((task) => task.interrupts.map((one) => one.value as string));
  };
  return {
    async begin(): Promise<string[]> {
      await graph.invoke({ messages: [new AIMessage({ content: "", tool_calls: calls })] }, config);
      return await questions();
    },
    /** The questions that are open after it, or the tools' answers when all is done. */
    async answer(text: string): Promise<string[]> {
      const { messages } = (await graph.invoke(new Command({ resume: text }), config)) as Messages;
      const open = await questions();
      if (open.length > 0) return open;
      return (messages.filter((one) => one.getType() === "tool") as ToolMessage[]).map((message) => message.text);
    },
  };
}

describe.each(Object.entries(where))("in %s", (_, place) => {
  it("a wrapped tool that asks pauses the run, and goes on with the answer", async () => {
    const { begin, answer } = talk([wraps.wrapped(toolOf("a"))], place);
    expect(await begin()).toEqual(["a?"]);
    expect(await answer("yes")).toEqual(["a: yes"]);
  });

  it("a question is neither a failure nor an attempt", async () => {
    let calls = 0;
    const asking = toolOf("a", (name) => {
      calls += 1;
      return askOnce(name, ask);
    });
    const { begin, answer } = talk([resilientTool(asking, { retry: { ...quick, retryOn: () => true } })], place);
    await begin();
    expect(calls).toBe(1);
    await answer("yes");
    expect(calls).toBe(2);
  });

  it("a tool that asks twice, and fails after each answer, asks each question once", async () => {
    const failing = new Set(["first", "second"]);
    const flaky = (after: string) => {
      if (failing.delete(after)) throw unavailable();
    };
    const twice = toolOf("a", () => {
      const first = ask("first?");
      flaky("first");
      const second = ask("second?");
      flaky("second");
      return `${first}, ${second}`;
    });
    const { begin, answer } = talk([wraps.wrapped(twice)], place);
    expect(await begin()).toEqual(["first?"]);
    expect(await answer("one")).toEqual(["second?"]);
    expect(await answer("two")).toEqual(["one, two"]);
  });

  it("a fallback that asks after an answered question of the tool has a question of its own", async () => {
    const failing = toolOf("a", () => {
      ask("the tool?");
      throw unavailable();
    });
    const wrapped = resilientTool(failing, {
      retry: { ...quick, maxAttempts: 2 },
      fallback: [{ name: "f", run: () => `f: ${ask("the fallback?")}` }],
    });
    const { begin, answer } = talk([wrapped], place);
    expect(await begin()).toEqual(["the tool?"]);
    expect(await answer("one")).toEqual(["the fallback?"]);
    expect(await answer("two")).toEqual(["f: two"]);
  });

  describe.each(Object.entries(wraps))("two tools at once, %s,", (__, wrap) => {
    it("each get the answer to their own question", async () => {
      const { begin, answer } = talk([wrap(toolOf("a")), wrap(toolOf("b"))], place);
      expect(await begin()).toEqual(["a?"]);
      expect(await answer("for a")).toEqual(["b?"]);
      expect(await answer("for b")).toEqual(["a: for a", "b: for b"]);
    });

    it("get the answers to all of theirs, where each asks twice", async () => {
      const twice: Work = (name) => `${name}: ${ask(`${name} 1?`)}, ${ask(`${name} 2?`)}`;
      const { begin, answer } = talk([wrap(toolOf("a", twice)), wrap(toolOf("b", twice))], place);
      const seen = [await begin()];
      for (let turn = 0; turn < 4; turn += 1) seen.push(await answer(`to ${seen.at(-1)}`));
      expect(seen.slice(0, -1).flat().sort()).toEqual(["a 1?", "a 2?", "b 1?", "b 2?"]);
      expect(seen.at(-1)).toEqual(["a: to a 1?, to a 2?", "b: to b 1?, to b 2?"]);
    });
  });

  it.each(["a", "b"])("tool %s of two may fail after its answer: nobody is asked again", async (flaky) => {
    const counted = failures({ [flaky]: 1 });
    const failing: Work = (name) => {
      const answer = askOnce(name, ask);
      counted.pass(name);
      return answer;
    };
    const { begin, answer } = talk(
      ["a", "b"].map((name) => wraps.wrapped(toolOf(name, failing))),
      place,
    );
    expect(await begin()).toEqual(["a?"]);
    expect(await answer("for a")).toEqual(["b?"]);
    expect(await answer("for b")).toEqual(["a: for a", "b: for b"]);
  });
});

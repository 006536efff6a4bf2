/** What is heard of model calls, told the way LangChain's callback manager does. */
import { BaseCallbackHandler } from "@langchain/core/callbacks/base";
import { CallbackManager, type CallbackManagerForLLMRun, type Callbacks } from "@langchain/core/callbacks/manager";
import { AIMessage, AIMessageChunk } from "@langchain/core/messages";
import { ChatGenerationChunk } from "@langchain/core/outputs";
import { describe, expect, it } from "vitest";
import { countAttempt } from "../../../src/langgraph/metered-attempt.js";
import { UsageHandler, withHandlers } from "../../../src/langgraph/usage-handler.js";
import { createMeter } from "../../../src/policies/budget.js";
import type { ModelUsage } from "../../../src/policies/usage.js";
import { call, settableClock } from "../../support/spending.js";

const NOTHING = { inputTokens: 0, outputTokens: 0, cachedInputTokens: 0, totalTokens: 0 };
const usageMetadata = (input: number, output: number) => ({
  input_tokens: input,
  output_tokens: output,
  total_tokens: input + output,
});

function listening() {
  const heard: ModelUsage[] = [];
  const handler = new UsageHandler((one) => void heard.push(one));
  const manager = CallbackManager.configure([handler]) as CallbackManager;
  return { heard, handler, manager };
}

async function chat(manager: CallbackManager, model = "asked-for"): Promise<CallbackManagerForLLMRun> {
  const runs = await manager.handleChatModelStart(
    { lc: 1, type: "not_implemented", id: [] },
    [[]],
    undefined,
    undefined,
    { invocation_params: { model } },
  );
  return runs[0] as CallbackManagerForLLMRun;
}

const generation = (fields: ConstructorParameters<typeof AIMessage>[0]) => ({
  text: "",
  message: new AIMessage(fields),
});
const answer = (fields: object) => ({ generations: [[generation({ content: "hello", ...fields })]] });
const piece = (fields: object, generationInfo = {}) =>
  new ChatGenerationChunk({ text: "", message: new AIMessageChunk({ content: "", ...fields }), generationInfo });
const hear = (run: CallbackManagerForLLMRun, chunk: ChatGenerationChunk) =>
  run.handleLLMNewToken("", undefined, undefined, undefined, undefined, { chunk });

describe("a model call", () => {
  it("is reported by the name and the tokens of the answer", async () => {
    const { heard, manager } = listening();
    const run = await chat(manager);
    await run.handleLLMEnd(
      answer({
        usage_metadata: { ...usageMetadata(10, 5), input_token_details: { cache_read: 4 } },
        response_metadata: { model_name: "gpt-4.1-2025-04-14" },
      }),
    );
    expect(heard).toEqual([{ ...call(10, 5, "gpt-4.1-2025-04-14"), cachedInputTokens: 4 }]);
  });

  it("is reported before it returns, however busy other handlers are in the background", async () => {
    let release = (): void => undefined;
    const busy = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { heard, handler } = listening();
    const tracer = { handleLLMEnd: () => busy, awaitHandlers: false };
    const manager = CallbackManager.configure([tracer, handler]) as CallbackManager;
    await (await chat(manager)).handleLLMEnd(answer({ usage_metadata: usageMetadata(1, 1) }));
    expect(heard).toEqual([call(1, 1, "asked-for")]);
    release();
  });

  it.each([
    [{ model: "claude" }, "claude"],
    [{ model_name: "", model: "claude" }, "claude"],
    [{ model_name: 7 }, "asked-for"],
    [{}, "asked-for"],
  ])("is reported by the best name there is: %j", async (metadata, model) => {
    const { heard, manager } = listening();
    await (await chat(manager)).handleLLMEnd(
      answer({ usage_metadata: usageMetadata(1, 1), response_metadata: metadata }),
    );
    expect(heard).toEqual([call(1, 1, model)]);
  });

  it("with several answers is counted once", async () => {
    const { heard, manager } = listening();
    const one = generation({ content: "a", usage_metadata: usageMetadata(10, 8) } as never);
    await (await chat(manager)).handleLLMEnd({ generations: [[one, one, one]] });
    expect(heard).toEqual([call(10, 8, "asked-for")]);
  });

  it("of a language model that is no chat model is reported from its output", async () => {
    const { heard, manager } = listening();
    const [first, second] = await manager.handleLLMStart(
      { lc: 1, type: "not_implemented", id: [] },
      ["one", "two"],
      undefined,
      undefined,
      { invocation_params: { model: "davinci" } },
    );
    const generations = [[{ text: "a" }]];
    // as LangChain deals out what one request for two prompts has used
    await first?.handleLLMEnd({
      generations,
      llmOutput: { tokenUsage: { promptTokens: 20, completionTokens: 4, totalTokens: 24 } },
    });
    await second?.handleLLMEnd({ generations, llmOutput: { tokenUsage: {} } });
    expect(heard).toEqual([call(20, 4, "davinci"), call(0, 0, "davinci")]);
  });

  it("whose provider does not say what it used is reported as that", async () => {
    const { heard, manager } = listening();
    await (await chat(manager)).handleLLMEnd(answer({}));
    expect(heard).toEqual([{ model: "asked-for", ...NOTHING, unmeasured: true }]);
  });

  it("with nonsense for numbers is counted without it", async () => {
    const { heard, manager } = listening();
    const nonsense = { input_tokens: Number.NaN, output_tokens: -5, total_tokens: "7" };
    await (await chat(manager)).handleLLMEnd(answer({ usage_metadata: nonsense }));
    await (await chat(manager)).handleLLMEnd(answer({ usage_metadata: { ...nonsense, output_tokens: 5 } }));
    await (await chat(manager)).handleLLMEnd(
      answer({ usage_metadata: { input_tokens: 3, output_tokens: 2, total_tokens: 1, input_token_details: null } }),
    );
    expect(heard).toEqual([
      { model: "asked-for", ...NOTHING, unmeasured: true },
      call(0, 5, "asked-for"),
      call(3, 2, "asked-for"),
    ]);
  });

  it("answered from LangChain's cache costs nothing", async () => {
    const { heard, manager } = listening();
    const run = await chat(manager);
    await run.handleLLMEnd({ generations: [[{ text: "a" }]] }, undefined, undefined, undefined, { cached: true });
    expect(heard).toEqual([]);
  });

  it.each([
    [Object.assign(new Error("429"), { status: 429 }), []],
    [new Error("AbortError"), [{ model: "asked-for", ...NOTHING, unmeasured: true }]],
  ])(
    "that fails before its answer begins may have cost something unless it was refused: %s",
    async (error, expected) => {
      const { heard, manager } = listening();
      await (await chat(manager)).handleLLMError(error);
      expect(heard).toEqual(expected);
    },
  );
});

describe("a streamed call", () => {
  it("is reported once, at its end, although its pieces say the same", async () => {
    const { heard, manager } = listening();
    const run = await chat(manager);
    await hear(run, piece({ usage_metadata: usageMetadata(10, 1) }));
    await hear(run, piece({ usage_metadata: usageMetadata(0, 4) }));
    expect(heard).toEqual([]);
    await run.handleLLMEnd(answer({ usage_metadata: usageMetadata(10, 5) }));
    expect(heard).toEqual([call(10, 5, "asked-for")]);
  });

  it("that breaks off is reported as far as it is known", async () => {
    const { heard, manager } = listening();
    const run = await chat(manager);
    await hear(run, piece({ usage_metadata: usageMetadata(10, 1) }, { model_name: "exact" }));
    await hear(run, piece({ content: "more" }));
    await run.handleLLMError(Object.assign(new Error("overloaded"), { status: 529 }));
    expect(heard).toEqual([{ ...call(10, 1, "exact"), unmeasured: true }]);
  });

  it("that nobody reads to its end is reported when the attempt is over, once", async () => {
    const { heard, handler, manager } = listening();
    const run = await chat(manager);
    await hear(run, piece({ usage_metadata: usageMetadata(10, 0) }));
    handler.settle();
    handler.settle();
    expect(heard).toEqual([{ ...call(10, 0, "asked-for"), unmeasured: true }]);
  });

  it("that ends after its attempt adds only what was not reported yet", async () => {
    const { heard, handler, manager } = listening();
    const run = await chat(manager);
    await hear(run, piece({ usage_metadata: usageMetadata(10, 0) }));
    handler.settle();
    await run.handleLLMEnd(answer({ usage_metadata: usageMetadata(10, 7) }));
    const [failed, silent] = [await chat(manager), await chat(manager)];
    handler.settle();
    await failed.handleLLMError(new Error("AbortError"));
    await silent.handleLLMEnd(answer({}));
    const unmeasured = { model: "asked-for", ...NOTHING, unmeasured: true };
    expect(heard.slice(1)).toEqual([call(0, 7, "asked-for"), unmeasured, unmeasured]);
  });
});

describe("a counted attempt", () => {
  it("counts the calls made with its config, and what was left open when it ended", async () => {
    const meter = createMeter({ clock: settableClock() });
    const attempt = countAttempt<{ callbacks?: Callbacks }>({}, meter);
    const manager = CallbackManager.configure(attempt.config.callbacks) as CallbackManager;
    await (await chat(manager)).handleLLMEnd(answer({ usage_metadata: usageMetadata(10, 5) }));
    await hear(await chat(manager), piece({ usage_metadata: usageMetadata(7, 0) }));
    expect(meter.spent.inFlight).toMatchObject({ attempts: 1, totalTokens: 15 });
    attempt.end("wasted");
    expect(meter.spent).toMatchObject({
      inFlight: { attempts: 0, totalTokens: 0 },
      wasted: { attempts: 1, totalTokens: 22, unmeasuredCalls: 1 },
    });
  });
});

class Other extends BaseCallbackHandler {
  readonly name = "other";
}

/** The handlers a model called with these callbacks would be told by, and those of what it calls in turn. */
async function reached(callbacks: Callbacks | undefined) {
  const manager = CallbackManager.configure(callbacks) as CallbackManager;
  const chain = await manager.handleChainStart({ lc: 1, type: "not_implemented", id: [] }, {});
  return { here: manager.handlers, within: chain.getChild().handlers };
}

describe("a config with handlers", () => {
  const handler = new UsageHandler(() => undefined);
  const other = new Other();

  it("without callbacks gets some", async () => {
    const config = { tags: ["a"] };
    const copy = withHandlers<{ tags: string[]; callbacks?: Callbacks }>(config, [handler]);
    expect(config).toEqual({ tags: ["a"] });
    expect(copy.tags).toBe(config.tags);
    expect(await reached(copy.callbacks)).toEqual({ here: [handler], within: [handler] });
  });

  it("with a list of callbacks gets a longer one", async () => {
    const callbacks = [other];
    expect(await reached(withHandlers({ callbacks }, [handler]).callbacks)).toEqual({
      here: [other, handler],
      within: [other, handler],
    });
    expect(callbacks).toEqual([other]);
  });

  it("with a manager gets a copy of it, which keeps what is not passed on from being passed on", async () => {
    const manager = new CallbackManager("parent-run");
    manager.addHandler(other, false);
    const { callbacks } = withHandlers({ callbacks: manager as Callbacks }, [handler]);
    expect(await reached(callbacks)).toEqual({ here: [other, handler], within: [handler] });
    expect((callbacks as CallbackManager).getParentRunId()).toBe("parent-run");
    expect(manager.handlers).toEqual([other]);
    expect(manager.inheritableHandlers).toEqual([]);
  });

  it("within another counts in its place, whatever form the callbacks have", async () => {
    const inner = new UsageHandler(() => undefined);
    const listed = withHandlers({ callbacks: [handler, other] as Callbacks }, [inner]);
    expect(await reached(listed.callbacks)).toEqual({ here: [other, inner], within: [other, inner] });
    const manager = CallbackManager.configure([handler, other]) as CallbackManager;
    const managed = withHandlers({ callbacks: manager as Callbacks }, [inner]);
    expect(await reached(managed.callbacks)).toEqual({ here: [other, inner], within: [other, inner] });
    expect(manager.handlers).toEqual([handler, other]);
  });
});

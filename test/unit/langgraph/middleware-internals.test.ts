/** Each assumption about the inner parts of `langchain` that the middleware stands on. */
import { AIMessage, HumanMessage, ToolMessage } from "@langchain/core/messages";
import { fakeModel } from "@langchain/core/testing";
import { tool } from "@langchain/core/tools";
import { type LangGraphRunnableConfig, MemorySaver } from "@langchain/langgraph";
import {
  type AgentMiddleware,
  createAgent,
  createMiddleware,
  initChatModel,
  providerStrategy,
  ToolInvocationError,
  toolStrategy,
} from "langchain";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { ambientConfig } from "../../../src/langgraph/attempt-internals.js";
import { checkpointerOf, isInsideTask } from "../../../src/langgraph/internals.js";
import {
  configuredModel,
  isConfigurableModel,
  isErrorMessage,
  refusedArguments,
} from "../../../src/langgraph/middleware/agent-internals.js";

const Pieces = z.object({ pieces: z.number() });

/** Runs an agent whose model calls "order" once with these arguments, then says it is done. */
async function agentWith(
  hooks: Parameters<typeof createMiddleware>[0],
  {
    args = { pieces: 4 },
    signal,
    further = [],
  }: { args?: object; signal?: AbortSignal; further?: AgentMiddleware[] } = {},
) {
  const order = tool(async ({ pieces }: { pieces: number }) => `${pieces} ordered`, {
    name: "order",
    description: "order",
    schema: Pieces,
  });
  const model = fakeModel()
    .respondWithTools([{ name: "order", args: args as Record<string, unknown>, id: "call-1" }])
    .respond(new AIMessage("done"));
  const saver = new MemorySaver();
  const agent = createAgent({
    model,
    tools: [order],
    checkpointer: saver,
    middleware: [createMiddleware(hooks) as AgentMiddleware, ...further],
    ...(signal === undefined ? {} : { signal }),
  });
  const { messages } = await agent.invoke(
    { messages: [new HumanMessage("Go on.")] },
    { configurable: { thread_id: "t" } },
  );
  return { messages, saver };
}

describe("in the hooks of a middleware", () => {
  it("the ambient config is that of the task", async () => {
    const seen: LangGraphRunnableConfig[] = [];
    const { saver } = await agentWith({
      name: "looks",
      wrapModelCall: (request, handler) => {
        seen.push(ambientConfig());
        return handler(request);
      },
      wrapToolCall: (request, handler) => {
        seen.push(ambientConfig());
        return handler(request);
      },
    });
    expect(seen.map(({ metadata }) => metadata?.langgraph_node)).toEqual(["model_request", "tools", "model_request"]);
    expect(seen.every((config) => isInsideTask(config) && checkpointerOf(config) === saver)).toBe(true);
    expect(seen.every(({ configurable }) => configurable?.thread_id === "t")).toBe(true);
  });

  it("the handler calls the tool of the request, with the task's config twice over", async () => {
    const calls: { call: unknown; given: LangGraphRunnableConfig & { config?: object; toolCallId?: string } }[] = [];
    let config: LangGraphRunnableConfig = {};
    await agentWith({
      name: "looks",
      wrapToolCall: (request, handler) => {
        config = ambientConfig();
        const invoke = (call: unknown, given: LangGraphRunnableConfig) => {
          calls.push({ call, given });
          return "seen";
        };
        const watched = Object.create(request.tool as object, { invoke: { value: invoke } });
        return handler({ ...request, tool: watched });
      },
    });
    const [{ call, given } = { call: undefined, given: {} }] = calls;
    expect(call).toMatchObject({ name: "order", args: { pieces: 4 }, id: "call-1", type: "tool_call" });
    expect(given).toMatchObject({ toolCallId: "call-1" });
    expect(given.configurable).toBe(config.configurable);
    expect((given as { config?: LangGraphRunnableConfig }).config?.configurable).toBe(config.configurable);
  });

  it("the signal of that call is the run's joined with the agent's own", async () => {
    const stop = new AbortController();
    const aborted: (boolean | undefined)[] = [];
    const invoke = (_: unknown, { signal }: LangGraphRunnableConfig) => {
      aborted.push(signal?.aborted);
      stop.abort();
      aborted.push(signal?.aborted);
      return "seen";
    };
    const looks: Parameters<typeof createMiddleware>[0] = {
      name: "looks",
      wrapToolCall: (request, handler) =>
        handler({ ...request, tool: Object.create(request.tool as object, { invoke: { value: invoke } }) }),
    };
    await agentWith(looks, { signal: stop.signal }).catch(() => undefined);
    expect(aborted).toEqual([false, true]);
  });

  it("arguments that do not fit come as an error that says so, through other middlewares too", async () => {
    const rethrows = createMiddleware({
      name: "rethrows",
      wrapToolCall: async (request, handler) => {
        try {
          return await handler(request);
        } catch (cause) {
          throw new Error("in other words", { cause });
        }
      },
    });
    let thrown: unknown;
    await agentWith(
      {
        name: "looks",
        wrapToolCall: async (request, handler) => {
          try {
            return await handler(request);
          } catch (error) {
            thrown = error;
            return new ToolMessage({ content: "", tool_call_id: "call-1" });
          }
        },
      },
      { args: { pieces: "four" }, further: [rethrows as AgentMiddleware] },
    );
    expect((thrown as Error).cause, "a MiddlewareError around it").toMatchObject({ message: "in other words" });
    expect(refusedArguments(thrown)).toMatch(/did not match expected schema.*expected number/s);
    expect(refusedArguments(new Error("another"))).toBeUndefined();
    expect(ToolInvocationError.isInstance((thrown as { cause: { cause: unknown } }).cause.cause)).toBe(true);
  });

  it("a format given as strategies is taken as it is, and its tools are forced", async () => {
    const [strategy] = toolStrategy(Pieces.meta({ title: "Pieces" }));
    expect(strategy?.name).toBe("Pieces");
    expect(providerStrategy(Pieces).schema).toMatchObject({ type: "object" });
    const bound: { tools: unknown; options: unknown }[] = [];
    const agent = createAgent({
      model: fakeModel(),
      middleware: [
        createMiddleware({
          name: "looks",
          wrapModelCall: (request, handler) => {
            const model = Object.create(request.model as object, {
              bindTools: {
                value: (tools: unknown, options: unknown) => {
                  bound.push({ tools, options });
                  return fakeModel().respond(new AIMessage("done"));
                },
              },
            });
            return handler({ ...request, model, responseFormat: [strategy] as never });
          },
        }),
      ],
    });
    await agent.invoke({ messages: [new HumanMessage("Go on.")] });
    expect(bound).toMatchObject([{ tools: [{ function: { name: "Pieces" } }], options: { tool_choice: "any" } }]);
  });
});

describe("a model that is made on demand", () => {
  const made = (name = "openai:m-1", fields: object = {}) => initChatModel(name, { apiKey: "sk-x", ...fields });

  it("is known from others", async () => {
    expect(isConfigurableModel(await made())).toBe(true);
    expect(isConfigurableModel(fakeModel())).toBe(false);
    expect(isConfigurableModel((await made()).bindTools([])), "changed after it was made").toBe(false);
  });

  it("is one and the same for one name and settings, however often it is asked for", async () => {
    const modelOf = async (name: string, configurable: object = {}) => {
      const model = await made(name);
      return isConfigurableModel(model) ? configuredModel(model, configurable) : undefined;
    };
    const model = await modelOf("openai:m-1");
    expect(model).toMatchObject({ model: "m-1" });
    expect(await modelOf("openai:m-1")).toBe(model);
    expect(await modelOf("openai:m-2")).not.toBe(model);
    expect(await modelOf("openai:m-1", { model: "m-3", __pregel_of_no_concern: 1n })).toMatchObject({ model: "m-3" });
  });

  it("with settings that have no text is its maker's own", async () => {
    const fields = { configuration: { baseURL: "http://127.0.0.1:1/v1" } };
    const [one, other] = await Promise.all([made("openai:m-1", fields), made("openai:m-1", fields)]);
    const instance = isConfigurableModel(one) ? await configuredModel(one, {}) : undefined;
    expect(isConfigurableModel(one) && (await configuredModel(one, {}))).toBe(instance);
    expect(isConfigurableModel(other) && (await configuredModel(other, {}))).not.toBe(instance);
  });
});

it("only a message with that status is an error message", () => {
  const message = (status?: "error" | "success") => new ToolMessage({ content: "", tool_call_id: "", status: status! });
  expect([message("error"), message("success"), message(), "error"].map(isErrorMessage)).toEqual([
    true,
    false,
    false,
    false,
  ]);
});

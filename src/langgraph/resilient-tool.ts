import type { CallbackManagerForToolRun } from "@langchain/core/callbacks/manager";
import type { StructuredToolInterface } from "@langchain/core/tools";
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { parseOptions } from "../core/options.js";
import { ConfigError } from "../errors/own-errors.js";
import { compileLadder } from "../policies/compiled-ladder.js";
import { messageCodec } from "./message-codec.js";
import { entrance } from "./resilient.js";
import { type ResilientOptions, resilientSchema } from "./resilient-options.js";

/** What the tool is called with, once LangChain has checked it against the schema. */
type ToolInput<T> = T extends StructuredToolInterface<infer _Schema, infer Input> ? Input : unknown;

export type ResilientToolOptions<T> = Omit<ResilientOptions<ToolInput<T>, unknown>, "humanAfter" | "name">;

/** Of a tool, what is wrapped: what LangChain calls once it has parsed the input. */
interface Callable {
  readonly name: string;
  _call(input: unknown, runManager: CallbackManagerForToolRun | undefined, config: unknown): unknown;
}

/**
 * Wraps a LangChain tool in the policies of {@link resilient}; name, description, schema and callbacks stay, so that it
 * can be bound to a model, put into a `ToolNode`, or called. A failure of which nothing else is known is
 * `tool_execution`. Arguments that do not fit the schema are refused before any policy is asked: they are the model's
 * mistake. What is left after the fallbacks is thrown, for the `ToolNode` or the node around to deal with.
 *
 * @returns a tool of the same class; the one given stays as it is
 * @throws ConfigError at once for wrong options, or for what is no tool of this process
 */
export function resilientTool<T extends StructuredToolInterface>(tool: T, options: ResilientToolOptions<T> = {}): T {
  const inner = tool as unknown as Callable;
  if (typeof inner?._call !== "function")
    throw new ConfigError(
      "resilientTool(): expected a LangChain tool, as made by tool() or a subclass of StructuredTool",
    );
  const owner = `resilientTool(${inner.name})`;
  const policy = parseOptions(owner, resilientSchema, options);
  // The arguments go through the ladder as they are: a cache keys on them, and fallbacks are given them.
  const runManagers = new WeakMap<object, CallbackManagerForToolRun>();
  const work = (input: unknown, config: LangGraphRunnableConfig) => {
    const runManager = runManagers.get(originOf(config));
    return finished(inner._call(input, runManager, config), runManager);
  };
  const ladder = compileLadder<LangGraphRunnableConfig>(owner, inner.name, work, policy, messageCodec);
  const enter = entrance<unknown, unknown>({ label: inner.name, policy, ladder, isTool: true });
  return Object.create(tool, {
    _call: {
      value: (input: unknown, runManager: CallbackManagerForToolRun | undefined, config: LangGraphRunnableConfig) => {
        const origin = {};
        if (runManager !== undefined) runManagers.set(origin, runManager);
        return enter(input, { ...config, configurable: { ...config?.configurable, [ORIGIN]: origin } });
      },
    },
  }) as T;
}

const ORIGIN = "__lgr_tool_call";

function originOf(config: LangGraphRunnableConfig): object {
  return (config.configurable as Record<string, unknown>)[ORIGIN] as object;
}

/** A tool may report on its way by being a generator. It is read to its end here, within the attempt that it is part of. */
async function finished(returned: unknown, runManager: CallbackManagerForToolRun | undefined): Promise<unknown> {
  const result = await returned;
  if (!isAsyncGenerator(result)) return result;
  for (;;) {
    const { done, value } = await result.next();
    if (done) return value;
    await runManager?.handleToolEvent?.(value);
  }
}

function isAsyncGenerator(value: unknown): value is AsyncGenerator {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value && "next" in value;
}

import type { CallbackManagerForToolRun } from "@langchain/core/callbacks/manager";
import type { StructuredToolInterface } from "@langchain/core/tools";
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { parseOptions } from "../core/options.js";
import { classifyError } from "../errors/classify.js";
import { ConfigError } from "../errors/own-errors.js";
import type { ErrorReport } from "../errors/report.js";
import { compileLadder } from "../policies/compiled-ladder.js";
import { messageCodec } from "./message-codec.js";
import { entrance } from "./resilient.js";
import { type ResilientOptions, resilientSchema } from "./resilient-options.js";
import { finishedTool } from "./tool-generator.js";

/** What the tool is called with, once LangChain has checked it against the schema. */
type ToolInput<T> = T extends StructuredToolInterface<infer _Schema, infer Input> ? Input : unknown;

export type ResilientToolOptions<T> = Omit<
  ResilientOptions<ToolInput<T>, unknown>,
  "humanAfter" | "rollback" | "compensate" | "transaction" | "name"
>;

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
 * A fallback answers in the tool's own form: the content, or for `content_and_artifact` the pair.
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
  const work = (input: unknown, config: LangGraphRunnableConfig) => {
    const origin = originOf(config);
    const runManager = watchedRun(origin.runManager, config);
    return finishedTool(inner._call(input, runManager, asCalled(config, origin)), runManager, config);
  };
  const ladder = compileLadder<LangGraphRunnableConfig>(owner, inner.name, work, policy, messageCodec);
  const enter = entrance<unknown, unknown>({
    label: inner.name,
    policy,
    ladder,
    isTool: true,
    classify: classifyToolError,
  });
  return Object.create(tool, {
    _call: {
      value: (
        input: unknown,
        runManager: CallbackManagerForToolRun | undefined,
        { toolCall, ...config }: LangGraphRunnableConfig & { readonly toolCall?: object } = {},
      ) => {
        const key = {};
        origins.set(key, { runManager, toolCall });
        const configurable = { ...config.configurable, [ORIGIN]: key };
        const callbacks = runManager === undefined ? {} : { callbacks: runManager.getChild() };
        return enter(input, { ...config, configurable, ...callbacks });
      },
    },
  }) as T;
}

/** What belongs to the one call of the tool that LangChain made, and not to what is called within it. */
interface Origin {
  readonly runManager: CallbackManagerForToolRun | undefined;
  /** Tools that found it in their surroundings would answer with a message to it. */
  readonly toolCall: object | undefined;
}

const ORIGIN = "__lgr_tool_call";

/** Apart from the config, which may be printed or sent elsewhere. */
const origins = new WeakMap<object, Origin>();

function originOf(config: LangGraphRunnableConfig): Origin {
  return origins.get((config.configurable as Record<string, object>)[ORIGIN] as object) as Origin;
}

/** What nothing is known of is the tool's own failure. */
export function classifyToolError(error: unknown): ErrorReport {
  const report = classifyError(error);
  return report.category === "unknown" ? { ...report, category: "tool_execution" } : report;
}

/** The tool's run, except that what is called within it is heard by whoever watches the attempt, too. */
function watchedRun(
  runManager: CallbackManagerForToolRun | undefined,
  { callbacks }: LangGraphRunnableConfig,
): CallbackManagerForToolRun | undefined {
  if (runManager === undefined || callbacks === undefined || Array.isArray(callbacks)) return runManager;
  const getChild = (tag?: string) => {
    const child = callbacks.copy();
    if (tag !== undefined) child.addTags([tag], false);
    return child;
  };
  return Object.create(runManager, { getChild: { value: getChild } }) as CallbackManagerForToolRun;
}

/** The config as the tool is to have it. A `ToolNode` hands its own over a second time, as `config`: that too is the attempt's. */
function asCalled(config: LangGraphRunnableConfig, { toolCall }: Origin): LangGraphRunnableConfig {
  const { config: handedOver } = config as { readonly config?: object };
  const { configurable, callbacks, signal, writer } = config;
  const own = {
    ...config,
    ...(toolCall === undefined ? {} : { toolCall }),
    ...(handedOver === undefined ? {} : { config: { ...handedOver, configurable, callbacks, signal, writer } }),
  };
  return own as LangGraphRunnableConfig;
}

/**
 * What `langchain` does not document of `createAgent` is relied on here and nowhere else. Each assumption has a test of
 * its own in test/unit/langgraph/middleware-internals.test.ts, so that an upgrade which breaks one says which.
 */
import type { BaseChatModel } from "@langchain/core/language_models/chat_models";
import { ToolMessage } from "@langchain/core/messages";
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { field, text } from "../../errors/reading.js";

/** What a `ToolNode` hands a tool, beside the call: its own config once more as `config`, and what belongs to the call. */
interface ToolNodeConfig extends LangGraphRunnableConfig {
  readonly config?: LangGraphRunnableConfig;
}

interface Invokable {
  invoke(call: unknown, given?: ToolNodeConfig): unknown;
}

/**
 * The tool as it is to be called in one attempt. The `ToolNode` of an agent calls a tool with the config of its whole
 * task, whatever the middleware around it has done; so the attempt's own takes its place on the way.
 *
 * Assumption: the handler of `wrapToolCall` calls `request.tool.invoke(call, config)`, where `config.signal` is that of
 * the run joined with the `signal` that `createAgent` was given.
 *
 * @param began told of the signal the tool was to be called with
 */
export function toolWithin<T extends object>(
  tool: T,
  own: LangGraphRunnableConfig,
  began: (signal: AbortSignal | undefined) => void,
): T {
  const inner = tool as T & Invokable;
  const invoke = (call: unknown, given: ToolNodeConfig = {}) => {
    began(given.signal);
    const { configurable, callbacks, writer, heartbeat } = own;
    const ofAttempt = { configurable, callbacks, writer, heartbeat, signal: joined(given.signal, own.signal) };
    const handedOver = given.config === undefined ? {} : { config: { ...given.config, ...ofAttempt } };
    return inner.invoke(call, { ...given, ...ofAttempt, ...handedOver } as ToolNodeConfig);
  };
  return Object.create(tool, { invoke: { value: invoke } }) as T;
}

function joined(a: AbortSignal | undefined, b: AbortSignal | undefined): AbortSignal | undefined {
  return a === undefined || b === undefined ? (a ?? b) : AbortSignal.any([a, b]);
}

/**
 * What was wrong with the arguments of a call, if that is why it failed: they were refused before the tool was called.
 *
 * Assumption: the error says so by its `~brand` and has LangChain's own as `toolError`; a middleware in between may have
 * wrapped it.
 */
export function refusedArguments(error: unknown): string | undefined {
  let at = error;
  for (let link = 0; link < 16 && typeof at === "object" && at !== null; link += 1) {
    if (field(at, "~brand") === "ToolInvocationError") return text(field(field(at, "toolError") as object, "message"));
    at = field(at, "cause");
  }
  return undefined;
}

/** Whether a tool says itself that it failed. */
export function isErrorMessage(result: unknown): result is ToolMessage {
  return ToolMessage.isInstance(result) && result.status === "error";
}

/** A chat model that `initChatModel` made, and every agent whose model is given by its name. */
interface ConfigurableModel {
  readonly _defaultConfig: Readonly<Record<string, unknown>>;
  readonly _queuedMethodOperations: object;
  _modelParams(config: object): Readonly<Record<string, unknown>>;
  _getModelInstance(config: object): Promise<BaseChatModel>;
}

/**
 * Assumption: it makes the model on demand, by `_getModelInstance`, of its `_defaultConfig` and of what the run's
 * `configurable` says.
 */
export function isConfigurableModel(model: unknown): model is ConfigurableModel {
  return (
    typeof model === "object" &&
    model !== null &&
    "_defaultConfig" in model &&
    "_modelParams" in model &&
    typeof field(model, "_getModelInstance") === "function" &&
    Object.keys((field(model, "_queuedMethodOperations") as object | undefined) ?? {}).length === 0
  );
}

const MAX_NAMED_MODELS = 100;
const named = new Map<string, Promise<BaseChatModel>>();

/**
 * The model itself. An agent whose model is given by its name makes it anew for each call; what is known of its health
 * would be forgotten, so of each name and settings there is one for all.
 */
export function configuredModel(model: ConfigurableModel, configurable: object): Promise<BaseChatModel> {
  const ofRun = Object.fromEntries(Object.entries(configurable).filter(([key]) => !key.startsWith("__")));
  const settings = { ...model._defaultConfig, ...model._modelParams({ configurable: ofRun }) };
  const make = () => model._getModelInstance({ configurable: ofRun });
  if (Object.values(settings).some((value) => typeof value === "object" || typeof value === "function")) return make();
  const key = JSON.stringify(Object.entries(settings).sort());
  const known = named.get(key);
  if (known !== undefined) return known;
  const made = make();
  named.set(key, made);
  made.catch(() => named.delete(key));
  const [oldest] = named.keys();
  if (named.size > MAX_NAMED_MODELS && oldest !== undefined) named.delete(oldest);
  return made;
}

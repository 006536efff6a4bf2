/** How an agent's model calls are protected: by a chain of models in place of the agent's own. */
import type { BaseChatModel } from "@langchain/core/language_models/chat_models";
import type { AIMessage } from "@langchain/core/messages";
import type { WrapModelCallHook } from "langchain";
import { asError, ConfigError } from "../../errors/own-errors.js";
import { createModelChain } from "../model/model-chain.js";
import type { ModelRoute, ModelRouteOptions, ResilientModelOptions } from "../model/model-options.js";
import { ResilientChatModel, resilientModel } from "../model/resilient-model.js";
import { chatModelOf } from "../model/route.js";
import { type AgentModelRoute, chatModelIn, resolvedRoute } from "./agent-model.js";
import { type StructuredCall, structuredCall } from "./structured-output.js";

export interface ModelCallSettings {
  readonly fallbacks: readonly AgentModelRoute[];
  /** What holds for the agent's own model, beside what holds for all. */
  readonly primary: Omit<ModelRouteOptions, "model" | "when">;
  readonly options: ResilientModelOptions;
  /** Whether an answer that `responseFormat` cannot be made of is one more failure. */
  readonly structuredOutput: boolean;
  /** Tools that have a policy of their own; the agent is first seen to have them or not when its model is called. */
  readonly toolNames: readonly string[];
}

/**
 * The hook for an agent's model calls. It calls the model once: what is tried again, and what is asked instead, is the
 * chain's business, so that retries have one owner and a stream is restarted in its place.
 *
 * @throws ConfigError at once for models and options that cannot be
 */
export function modelCallWrapper(settings: ModelCallSettings): WrapModelCallHook {
  const chainFor = chains(settings);
  let toolNames = settings.toolNames;
  return async function callModel(request, handler) {
    warnOfUnknownTools(toolNames, request.tools);
    toolNames = [];
    const found = await chatModelIn(request.model, request.runtime.configurable ?? {});
    if (found === undefined) {
      warnOf(request.model);
      return handler(request);
    }
    const chain = await chainFor(found.chatModel);
    const structured = settings.structuredOutput
      ? structuredCall(request.responseFormat, { isNative: allAreNative(chain), toolChoice: request.toolChoice })
      : undefined;
    if (structured === undefined) return handler({ ...request, model: found.replacedBy(chain) });
    return handler({
      ...request,
      model: found.replacedBy(lookingAtAnswers(chain, structured)),
      responseFormat: structured.responseFormat,
    });
  };
}

/** The chain of each model that the agent, or a middleware further out, has chosen; as long-lived as that model. */
function chains({ fallbacks, primary, options }: ModelCallSettings) {
  const [first, ...others] = fallbacks.filter((route): route is ModelRoute => typeof route !== "string");
  // Only for what it throws: the models that are given by name are not there yet.
  if (first !== undefined && !fallbacks.some(isByName)) resilientModel([first, ...others], options);
  const made = new WeakMap<BaseChatModel, Promise<ResilientChatModel>>();
  return (model: BaseChatModel): ResilientChatModel | Promise<ResilientChatModel> => {
    const known = made.get(model);
    if (known !== undefined) return known;
    if (model instanceof ResilientChatModel) {
      const { name, policy, models } = model.chain;
      if (policy.budget !== false || !options.budget) return model;
      // What the thread may spend is no property of the model.
      const held = new ResilientChatModel(
        createModelChain(name, { ...policy, budget: options.budget as never }, models),
      );
      made.set(model, Promise.resolve(held));
      return held;
    }
    const chain = Promise.all(fallbacks.map(namedInErrors)).then((further) =>
      resilientModel([{ ...primary, model }, ...further], options),
    );
    made.set(model, chain);
    chain.catch(() => made.delete(model));
    return chain;
  };
}

async function namedInErrors(route: AgentModelRoute, index: number): Promise<ModelRoute> {
  try {
    return await resolvedRoute(route);
  } catch (cause) {
    const which = isByName(route)
      ? `"${typeof route === "string" ? route : (route as { model: string }).model}"`
      : `${index + 1}`;
    throw new ConfigError(`resilienceMiddleware(): fallback ${which} cannot be made: ${asError(cause).message}`, {
      cause,
    });
  }
}

function isByName(route: AgentModelRoute): boolean {
  return typeof route === "string" || typeof (route as { readonly model?: unknown }).model === "string";
}

/** A format that one of them does not know would be lost on that one. */
function allAreNative({ chain }: ResilientChatModel): boolean {
  return chain.models.every(({ route }) => chatModelOf(route.model)?.profile?.structuredOutput === true);
}

/** The same chain, to which an answer that cannot be used is a failure. */
function lookingAtAnswers({ chain }: ResilientChatModel, { fault }: StructuredCall): ResilientChatModel {
  const { name, policy, models } = chain;
  const validate = async (answer: AIMessage) => {
    const objection = await policy.validate?.(answer);
    return typeof objection === "string" && objection !== "" ? objection : fault(answer);
  };
  return new ResilientChatModel(createModelChain(name, { ...policy, validate }, models));
}

/** A policy under a misspelt name protects nothing: a payment that is not to be tried again would be. */
function warnOfUnknownTools(named: readonly string[], tools: readonly object[]): void {
  const known = tools.map((tool) => String((tool as { readonly name?: unknown }).name));
  const unknown = named.filter((name) => !known.includes(name));
  if (unknown.length === 0) return;
  process.emitWarning(
    `resilienceMiddleware(): "byTool" names ${unknown.map((name) => `"${name}"`).join(", ")}, which is no tool of the agent; it has: ${known.join(", ") || "none"}`,
    "ResilienceWarning",
  );
}

const warnedOf = new WeakSet<object>();

function warnOf(model: unknown): void {
  if (typeof model !== "object" || model === null || warnedOf.has(model)) return;
  warnedOf.add(model);
  process.emitWarning(
    `resilienceMiddleware(): the agent's model is a ${model.constructor.name}, which has no chat model at its core, and is called as it is; give the agent the chat model itself`,
    "ResilienceWarning",
  );
}

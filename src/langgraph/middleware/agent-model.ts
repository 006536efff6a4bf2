/** The chat model within what an agent may be given for one. */
import type { BaseChatModel } from "@langchain/core/language_models/chat_models";
import { RunnableBinding } from "@langchain/core/runnables";
import { initChatModel, type ModelRequest } from "langchain";
import type { AnyChatModel, ModelRoute, ModelRouteOptions } from "../model/model-options.js";
import { chatModelOf } from "../model/route.js";
import { configuredModel, isConfigurableModel } from "./agent-internals.js";

type AgentModel = ModelRequest["model"];

interface Found {
  readonly chatModel: BaseChatModel;
  /** Puts another in its place: what was bound to the one given is bound to that. */
  readonly replacedBy: (other: BaseChatModel) => AgentModel;
}

/**
 * @param configurable of the run, which may say which model it is
 * @returns undefined for what has no chat model at its core
 */
export async function chatModelIn(given: unknown, configurable: object): Promise<Found | undefined> {
  if (isConfigurableModel(given))
    return { chatModel: await configuredModel(given, configurable), replacedBy: (other) => other };
  if (RunnableBinding.isRunnableBinding(given)) {
    const { bound, config, kwargs, configFactories } = given;
    const within = await chatModelIn(bound, { ...configurable, ...config?.configurable });
    if (within === undefined) return undefined;
    const replacedBy = (other: BaseChatModel) =>
      new RunnableBinding({
        bound: within.replacedBy(other) as never,
        config,
        ...(kwargs === undefined ? {} : { kwargs }),
        ...(configFactories === undefined ? {} : { configFactories }),
      }) as unknown as AgentModel;
    return { chatModel: within.chatModel, replacedBy };
  }
  return chatModelOf(given) === given && !hasQueuedOperations(given)
    ? { chatModel: given as BaseChatModel, replacedBy: (other) => other }
    : undefined;
}

/** A model that is made on demand, and then changed. */
function hasQueuedOperations(model: unknown): boolean {
  return typeof model === "object" && model !== null && "_queuedMethodOperations" in model;
}

/** A further model of an agent, which like the agent's own may be given by its name: `"openai:gpt-4.1-mini"`. */
export type AgentModelRoute =
  | ModelRoute
  | string
  | (Omit<ModelRouteOptions, "model"> & { readonly model: string | AnyChatModel });

/** The same with the models themselves. @throws Error for a model whose package is not installed */
export async function resolvedRoute(route: AgentModelRoute): Promise<ModelRoute> {
  if (typeof route === "string") return await modelItself(route);
  if (chatModelOf(route) !== undefined) return await modelItself(route as AnyChatModel);
  const { model, ...options } = route as ModelRouteOptions & { readonly model: string | AnyChatModel };
  return { ...options, model: await modelItself(model) };
}

async function modelItself(given: string | AnyChatModel): Promise<AnyChatModel> {
  const model: AnyChatModel = typeof given === "string" ? await initChatModel(given) : given;
  return isConfigurableModel(model) ? await configuredModel(model, {}) : model;
}

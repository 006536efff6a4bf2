import { BaseChatModel } from "@langchain/core/language_models/chat_models";
import { parseOptions } from "../../core/options.js";
import type { Category } from "../../errors/categories.js";
import { ConfigError } from "../../errors/own-errors.js";
import { type Cooldown, createCooldown } from "../../policies/cooldown.js";
import { NO_RETRY, type RetryOptions, type RetryPolicy, retrySchema } from "../../policies/retry-options.js";
import type { Service } from "../../policies/service.js";
import { chooseService } from "../../policies/service-choice.js";
import { type TimeoutOptions, type TimeoutPolicy, timeoutSchema } from "../../policies/timeout.js";
import {
  type AnyChatModel,
  type ModelPolicy,
  type ModelRoute,
  type ModelRouteOptions,
  routeSchema,
} from "./model-options.js";
import {
  DEFAULT_BREAKER,
  defaultRetry,
  defaultTimeout,
  defaultWhen,
  isReasoningModel,
  type Position,
} from "./route-defaults.js";

/** A model of a chain with its policies; what it knows of the model's health outlives the calls. */
export interface Route {
  readonly name: string;
  readonly model: AnyChatModel;
  readonly tasks: readonly string[] | undefined;
  readonly when: readonly Category[];
  readonly retry: RetryPolicy;
  readonly timeout: TimeoutPolicy | false;
  readonly service: (() => Service) | undefined;
  readonly cooldown: Cooldown;
  readonly streams: boolean;
  readonly needsFinishReason: boolean;
}

/** As much of a chat model as is read here, whoever made it. */
interface ModelFacts {
  readonly model?: unknown;
  readonly modelName?: unknown;
  /** Of a model of initChatModel. */
  readonly _defaultConfig?: { readonly model?: unknown; readonly modelProvider?: unknown };
  readonly profile?: { readonly maxInputTokens?: unknown };
  readonly n?: unknown;
  readonly modalities?: readonly unknown[];
  readonly disableStreaming?: unknown;
}

/** By `_llmType()`. */
const NAME_A_FINISH_REASON: ReadonlySet<string> = new Set([
  "openai",
  "azure_openai",
  "anthropic",
  "groq",
  "mistral_ai",
  "mistralai",
]);

/** @throws ConfigError naming the model at fault */
export function defineRoutes(owner: string, given: readonly ModelRoute[], policy: ModelPolicy): readonly Route[] {
  if (!Array.isArray(given) || given.length === 0)
    throw new ConfigError(`${owner}: expected a list of one or more chat models, the first one first`);
  const parsed = given.map((one, index) => parseRoute(`${owner}, model ${index + 1}`, one));
  const names = uniqueNames(owner, parsed);
  return parsed.map((options, index) => {
    const name = names[index] as string;
    const ofRoute = `${owner}, model "${name}"`;
    const model = chatModelOf(options.model) as BaseChatModel & ModelFacts;
    const streams = options.transport === undefined ? canStream(model) : options.transport === "stream";
    const position: Position = {
      isLast: !parsed.slice(index + 1).some((later) => servesSame(options, later)),
      streams,
      reasons: isReasoningModel(modelNameOf(options.model)),
    };
    const takes = contextTokensOf(options);
    const mayBeLarger =
      takes === undefined || parsed.slice(0, index).some((before) => takes > (contextTokensOf(before) ?? 0));
    return {
      name,
      model: options.model,
      tasks: options.tasks,
      when: options.when ?? defaultWhen(mayBeLarger),
      retry: retryOf(ofRoute, position, policy.retry, options.retry),
      timeout: timeoutOf(ofRoute, position, policy.timeout, options.timeout),
      service: serviceOf(ofRoute, name, position, options, policy),
      cooldown: createCooldown(name, policy.clock),
      streams,
      needsFinishReason:
        options.finishReason === undefined
          ? NAME_A_FINISH_REASON.has(makerOf(model))
          : options.finishReason === "required",
    };
  });
}

/** A model of initChatModel says of itself only that it is one. */
function makerOf(model: BaseChatModel & ModelFacts): string {
  const { modelProvider } = model._defaultConfig ?? {};
  return typeof modelProvider === "string" ? modelProvider : model._llmType();
}

function parseRoute(owner: string, given: ModelRoute): ModelRouteOptions {
  if (typeof given !== "object" || given === null)
    throw new ConfigError(
      `${owner}: expected a LangChain chat model, or { model, … } with options; got a ${typeof given}`,
    );
  const isModel = chatModelOf(given) !== undefined;
  const options = parseOptions(owner, routeSchema, isModel ? { model: given } : given) as ModelRouteOptions;
  if (chatModelOf(options.model) === undefined)
    throw new ConfigError(
      `${owner}: expected a LangChain chat model, or one made of it by bindTools or withConfig; a chain that ends in a parser goes behind the resilient model, not into it`,
    );
  return options;
}

/** The chat model itself, beneath what is bound to it. */
export function chatModelOf(given: unknown): BaseChatModel | undefined {
  let at = given;
  for (let depth = 0; depth < 8; depth += 1) {
    if (isChatModel(at)) return at;
    at = (at as { readonly bound?: unknown } | null | undefined)?.bound;
  }
  return undefined;
}

/** Not by its class: an application may hold a second copy of LangChain. */
function isChatModel(value: unknown): value is BaseChatModel {
  const { _llmType, _generate, invoke } = (value ?? {}) as Partial<Record<string, unknown>>;
  return [_llmType, _generate, invoke].every((method) => typeof method === "function");
}

/** The tools that were bound to a model before it came here. */
export function boundTools(given: unknown): readonly unknown[] {
  const tools: unknown[] = [];
  for (let at = given as BoundParts | undefined; typeof at === "object" && at !== null; at = at.bound)
    for (const held of [at.kwargs, at.config, at.defaultOptions])
      if (Array.isArray(held?.tools)) tools.push(...held.tools);
  return tools;
}

interface BoundParts {
  readonly bound?: BoundParts;
  readonly kwargs?: { readonly tools?: unknown };
  readonly config?: { readonly tools?: unknown };
  readonly defaultOptions?: { readonly tools?: unknown };
}

function canStream(model: BaseChatModel & ModelFacts): boolean {
  const { n, modalities, disableStreaming, cache } = model;
  const streamsOwn =
    model._streamResponseChunks.toString() !== BaseChatModel.prototype._streamResponseChunks.toString() ||
    model.stream.toString() !== BaseChatModel.prototype.stream.toString();
  // LangChain looks into a model's cache for whole answers only.
  return (
    streamsOwn &&
    cache == null &&
    disableStreaming !== true &&
    !(typeof n === "number" && n > 1) &&
    !modalities?.includes("audio")
  );
}

export function modelNameOf(given: AnyChatModel): string {
  const model = chatModelOf(given) as (BaseChatModel & ModelFacts) | undefined;
  const found = [model?.model, model?.modelName, model?._defaultConfig?.model].find(
    (name) => typeof name === "string" && name !== "",
  );
  return (found as string | undefined) ?? model?.getName() ?? "model";
}

/** Two routes may go to models of one name: at two providers, or with two keys. */
function uniqueNames(owner: string, routes: readonly ModelRouteOptions[]): readonly string[] {
  const names: string[] = [];
  for (const { name, model } of routes) {
    const wanted = name ?? modelNameOf(model);
    if (name !== undefined && names.includes(name))
      throw new ConfigError(`${owner}: two models are called "${name}"; give each a "name" of its own`);
    let free = wanted;
    for (let number = 2; names.includes(free) || RESERVED.has(free); number += 1) free = `${wanted} #${number}`;
    names.push(free);
  }
  return names;
}

/** Steps of a ladder that are something else. */
const RESERVED: ReadonlySet<string> = new Set(["node", "stale", "person", "cache"]);

function contextTokensOf({ contextTokens, model }: ModelRouteOptions): number | undefined {
  const known = contextTokens ?? (chatModelOf(model) as ModelFacts | undefined)?.profile?.maxInputTokens;
  return typeof known === "number" ? known : undefined;
}

function servesSame({ tasks }: ModelRouteOptions, other: ModelRouteOptions): boolean {
  return tasks === undefined || other.tasks === undefined || other.tasks.some((task) => tasks.includes(task));
}

function retryOf(
  owner: string,
  position: Position,
  ...given: readonly (RetryOptions | false | undefined)[]
): RetryPolicy {
  const [shared, own] = given;
  if ((own ?? shared) === false) return NO_RETRY;
  const layers = [defaultRetry(position), ...given].filter(
    (one): one is RetryOptions => one !== undefined && one !== false,
  );
  const categories = Object.assign({}, ...layers.map((one) => one.categories));
  return parseOptions(`${owner}, retry`, retrySchema, { ...Object.assign({}, ...layers), categories });
}

function timeoutOf(
  owner: string,
  position: Position,
  ...given: readonly (TimeoutOptions | false | undefined)[]
): TimeoutPolicy | false {
  const [shared, own] = given;
  if ((own ?? shared) === false) return false;
  if (typeof own === "object" && own.deadlineMs !== undefined)
    throw new ConfigError(
      `${owner}: "deadlineMs" is for the whole call; give it to resilientModel, and baseMs to a model`,
    );
  const layers = [defaultTimeout(position), ...given].filter((one) => one !== undefined && one !== false);
  const { deadlineMs: _, ...merged } = Object.assign({}, ...layers) as TimeoutOptions;
  return parseOptions(`${owner}, timeout`, timeoutSchema, merged);
}

function serviceOf(
  owner: string,
  name: string,
  { isLast }: Position,
  { service, circuitBreaker, bulkhead, rateLimit, retryBudget }: ModelRouteOptions,
  { clock }: ModelPolicy,
): (() => Service) | undefined {
  // The last one has nobody to step in while it rests: it is asked as long as it may be.
  const breaker = circuitBreaker ?? (service === undefined && !isLast ? DEFAULT_BREAKER : undefined);
  const guards = { service, circuitBreaker: breaker, bulkhead, rateLimit, retryBudget };
  const given = Object.fromEntries(Object.entries(guards).filter(([, value]) => value !== undefined));
  return chooseService(owner, name, parseOptions(owner, routeSchema.omit({ model: true }), given), clock);
}

import { createMiddleware } from "langchain";
import { parseOptions } from "../../core/options.js";
import { modelCallWrapper } from "./model-calls.js";
import { middlewareSchema, type ResilienceMiddlewareOptions } from "./options.js";
import { toolCallWrapper } from "./tool-policies.js";

const OWNER = "resilienceMiddleware()";

/**
 * Gives the model and tool calls of an agent made by `createAgent` the rungs of this package: retries and fallbacks by
 * category, time limits, circuit breakers, budgets. An interrupt within a tool or a middleware passes through untouched,
 * and what it was answered is kept over retries.
 *
 * The agent's model becomes the first of a chain (see `resilientModel`); a `ResilientChatModel` is left as it is. Answers
 * of which no structured response can be made are malformed: the model is told what is wrong, twice, and then the next
 * one is asked. What is left of a tool's failure after its rungs is told to the model, unless only people can help
 * (category auth, permission, quota, environment, stuck, bug), somebody asked for the stop, or an effect was begun.
 *
 * Put it after middlewares that choose the model or supply tools: what is chosen further in is not protected. Where the
 * agent's checkpointer is from `openPersistence`, budgets are the thread's, and events and shared breakers come with it.
 *
 * @throws ConfigError at once for wrong options
 * @example
 * const agent = createAgent({
 *   model: "openai:gpt-4.1",
 *   tools: [search, refund],
 *   middleware: [resilienceMiddleware({
 *     fallbacks: ["openai:gpt-4.1-mini"],
 *     byTool: { refund: { retry: false, onFailure: "throw" } },
 *     budget: { maxUsd: 2 },
 *   })],
 *   checkpointer: openPersistence(process.env.DATABASE_URL).checkpointer,
 * });
 */
export function resilienceMiddleware(options: ResilienceMiddlewareOptions = {}) {
  const policy = parseOptions(OWNER, middlewareSchema, options);
  const { budget, clock, random, fallbacks, structuredOutput } = policy;
  const wrapModelCall =
    policy.model === false
      ? undefined
      : modelCallWrapper({
          fallbacks,
          structuredOutput,
          // As they were given: the defaults of a model depend on its place in the chain.
          primary: options.primary ?? {},
          options: { budget, clock, random, ...(options.model === false ? {} : options.model) },
          toolNames: Object.keys(policy.byTool),
        });
  // An agent takes the errors of tools for fatal as soon as there is a hook, whatever that does.
  const leavesTools = policy.tools === false && Object.keys(policy.byTool).length === 0;
  const wrapToolCall = leavesTools ? undefined : toolCallWrapper(OWNER, options, policy);
  return createMiddleware({
    name: policy.name,
    ...(wrapModelCall === undefined ? {} : { wrapModelCall }),
    ...(wrapToolCall === undefined ? {} : { wrapToolCall }),
  });
}

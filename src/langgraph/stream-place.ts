/** How a text that a step generates is found again by whoever runs that step again. */
import type { BaseLanguageModelInput } from "@langchain/core/language_models/base";
import { type BaseMessage, coerceMessageLikeToMessage, HumanMessage } from "@langchain/core/messages";
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import type { StreamScope, StreamStore } from "../core/store-ports.js";
import { asError } from "../errors/own-errors.js";
import { digestOf } from "../policies/cache-key.js";
import { ordinalInTask } from "./attempt-internals.js";
import { attempt, attemptAround } from "./attempt-scope.js";
import { namespaceOf } from "./internals.js";
import { runContextOf } from "./run-context.js";

export interface StreamPlace {
  readonly store: StreamStore;
  readonly scope: StreamScope;
}

/**
 * Where the text is kept: by thread, node, checkpoint, task, question, and which of the calls with that question it is.
 * To be called once for each call of the model, in the order of the calls.
 *
 * @param question what tells it from texts that answer another question
 * @returns undefined where nothing is kept: outside of a graph, without a thread, or without a store for it
 */
export function streamPlace(
  config: LangGraphRunnableConfig,
  question: string,
  key: string | undefined,
): StreamPlace | undefined {
  const { persistence, threadId, node } = runContextOf(config, "node");
  const { checkpointId, nodeAttempt = 1 } = config.executionInfo ?? {};
  const store = persistence?.streams;
  if (store === undefined || threadId === undefined || checkpointId === undefined) return undefined;
  const namespace = namespaceOf(config);
  // Two tools of one task each count for themselves, and a fallback does not go on with what has failed the node.
  const within = [namespace, attemptAround(config)?.place ?? "", attempt(config).step, key ?? "", question].join("/");
  // LangGraph's own retry has the same task enter the node again, whose calls are then the same ones.
  const ordinal = ordinalInTask(config, `stream ${nodeAttempt} ${within}`);
  return {
    store,
    scope: {
      threadId,
      node: [withoutOwnTask(namespace), node].join("/"),
      step: checkpointId,
      stream: ordinal === 0 ? within : `${within}#${ordinal}`,
    },
  };
}

/** Of the graph around; each of its tasks has its subgraphs to itself. */
function withoutOwnTask(namespace: string): string {
  return namespace.split("|").slice(0, -1).join("|");
}

export function toMessages(input: BaseLanguageModelInput): BaseMessage[] {
  if (typeof input === "string") return [new HumanMessage(input)];
  return Array.isArray(input) ? input.map(coerceMessageLikeToMessage) : input.toChatMessages();
}

interface ModelLike {
  readonly bound?: ModelLike;
  readonly kwargs?: object;
  /** Of a binding; tells more than what is asked. */
  readonly config?: object;
  /** Where ChatOpenAI keeps what is bound to it. */
  readonly defaultOptions?: object;
  /** Of a resilientModel. */
  readonly chain?: { readonly models: readonly { readonly model: ModelLike }[] };
  readonly model?: unknown;
  readonly modelName?: unknown;
  getName?(): string;
}

/**
 * A digest of what is asked of which model. The identities of messages are left out: what is made within a step gets a
 * new one each time.
 *
 * @returns undefined, with a process warning, for messages that cannot be told from others
 */
export function questionOf(model: object, messages: readonly BaseMessage[]): string | undefined {
  try {
    const asked = messages.map((message) => {
      const { type, content, name, tool_calls, tool_call_id } = message as BaseMessage & Record<string, unknown>;
      return { type, content, name, tool_calls, tool_call_id };
    });
    return digestOf([modelIdentity(model), asked]).slice(0, 32);
  } catch (error) {
    process.emitWarning(
      `A text is generated without being saved, because what is asked cannot be told from other questions: ${asError(error).message}`,
      "ResilienceWarning",
    );
    return undefined;
  }
}

function modelIdentity(model: ModelLike): unknown[] {
  const { bound, kwargs, config, defaultOptions, chain, model: name, modelName } = model;
  if (bound !== undefined) return [...modelIdentity(bound), plainOrNames({ ...askedBy(config), ...kwargs })];
  const own = [model.getName?.(), [name, modelName].find((one) => typeof one === "string")];
  if (chain !== undefined) return [...own, ...chain.models.map((routed) => modelIdentity(routed.model))];
  return [...own, plainOrNames(askedBy(defaultOptions))];
}

/** How a call is run is no part of what is asked. */
function askedBy(options: object = {}): object {
  return Object.fromEntries(Object.entries(options).filter(([name]) => !OF_THE_RUN.has(name)));
}

const OF_THE_RUN: ReadonlySet<string> = new Set([
  "callbacks",
  "tags",
  "metadata",
  "runName",
  "runId",
  "configurable",
  "recursionLimit",
  "maxConcurrency",
  "timeout",
  "signal",
]);

/** Tools that are no plain data are told by the names of what they hold. */
function plainOrNames(kwargs: object): string {
  try {
    return digestOf(kwargs);
  } catch {
    return Object.keys(kwargs).join();
  }
}

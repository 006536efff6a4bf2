/** Hears from LangChain what each model call used, however it was made. */
import { BaseCallbackHandler } from "@langchain/core/callbacks/base";
import type { Callbacks } from "@langchain/core/callbacks/manager";
import type { LLMResult } from "@langchain/core/outputs";
import type { ModelUsage } from "../policies/usage.js";
import {
  type GenerationLike,
  minus,
  modelOf,
  NO_TOKENS,
  plus,
  requestedModel,
  type Tokens,
  tokensOf,
  tokensOfOutput,
} from "./token-counts.js";

interface OpenCall {
  /** What was asked for, until the answer names the model that gives it. */
  model: string;
  streamed: boolean;
  /** From the pieces of the answer that have come. */
  known: Tokens;
  /** Whether what was known has been reported, the attempt being over. */
  settled: boolean;
}

/**
 * A callback handler for one attempt, which reports what each model call within it used, when the call ends: chat models
 * and plain language models, whole and streamed. Of a call that breaks off, what its pieces said is reported. Answers
 * from LangChain's own cache cost nothing and are left out.
 *
 * It does not hear of embeddings, which have no callbacks in LangChain; of `model.streamEvents()` in its third version;
 * nor of a call that is given `callbacks` of its own in place of those of the node's config.
 */
export class UsageHandler extends BaseCallbackHandler {
  // Of several handlers of this name the innermost counts, see withHandlers.
  readonly name = "lgr_usage";
  // In the background, which is LangChain's default, a call could be reported after its attempt has ended.
  override awaitHandlers = true;
  override ignoreChain = true;
  override ignoreAgent = true;
  override ignoreRetriever = true;
  override ignoreCustomEvent = true;
  readonly #report: (call: ModelUsage) => void;
  readonly #calls = new Map<string, OpenCall>();
  readonly #countedElsewhere = new Set<string>();

  readonly #isOfThread: boolean;

  /** @param isOfThread whether a thread is charged: calls of a chain of models, which charges it itself, are left to it */
  constructor(report: (call: ModelUsage) => void, isOfThread = false) {
    super();
    this.#report = report;
    this.#isOfThread = isOfThread;
  }

  override copy(): BaseCallbackHandler {
    return this;
  }

  override handleLLMStart(
    _model: unknown,
    _prompts: unknown,
    runId: string,
    _parentRunId?: string,
    extra?: Record<string, unknown>,
    _tags?: string[],
    metadata?: Record<string, unknown>,
  ): void {
    const model = requestedModel(extra, metadata);
    this.#calls.set(runId, { model, streamed: false, known: NO_TOKENS, settled: false });
  }

  override handleChatModelStart(...started: Parameters<UsageHandler["handleLLMStart"]>): void {
    const [model, , runId] = started;
    if (this.#isOfThread && (model as { readonly id?: readonly string[] }).id?.[0] === "langgraph_resilience") {
      this.#countedElsewhere.add(runId);
      return;
    }
    this.handleLLMStart(...started);
  }

  override handleLLMNewToken(
    _token: string,
    _index: unknown,
    runId: string,
    _parentRunId?: string,
    _tags?: string[],
    fields?: { chunk?: unknown },
  ): void {
    const call = this.#calls.get(runId);
    if (call === undefined) return;
    const piece = fields?.chunk as GenerationLike | undefined;
    call.streamed = true;
    call.model = modelOf(piece) ?? call.model;
    const tokens = tokensOf(piece);
    if (tokens !== undefined) call.known = plus(call.known, tokens);
  }

  override handleLLMEnd(
    output: LLMResult,
    runId: string,
    _parentRunId?: string,
    _tags?: string[],
    extra?: Record<string, unknown>,
  ): void {
    const call = this.#calls.get(runId);
    this.#calls.delete(runId);
    if (this.#countedElsewhere.delete(runId) || extra?.cached === true) return;
    const generations = output.generations.flat() as readonly (GenerationLike | undefined)[];
    const model = generations.map(modelOf).find((name) => name !== undefined) ?? call?.model ?? "";
    // Each of several answers to one call comes with the tokens of the whole call.
    const all = generations.map(tokensOf).find((one) => one !== undefined) ?? tokensOfOutput(output.llmOutput);
    const known = call?.known ?? NO_TOKENS;
    const reported = call?.settled === true ? known : NO_TOKENS;
    if (all !== undefined) this.#report({ model, ...minus(all, reported) });
    else if (call?.settled !== true) this.#report(cutOff(model, known));
  }

  override handleLLMError(error: unknown, runId: string): void {
    const call = this.#calls.get(runId);
    this.#calls.delete(runId);
    if (this.#countedElsewhere.delete(runId) || call === undefined || call.settled) return;
    // A request that was refused (429, 503) cost nothing; what an answer cost that broke off, nobody has said.
    if (call.streamed || !isRefusal(error)) this.#report(cutOff(call.model, call.known));
  }

  /**
   * To be called when the attempt is over. A stream that nobody reads to its end neither ends nor fails as far as
   * LangChain goes; a call that an aborted attempt has left behind may still end, and the rest is then reported.
   */
  settle(): void {
    for (const call of this.#calls.values()) {
      if (call.settled) continue;
      call.settled = true;
      this.#report(cutOff(call.model, call.known));
    }
  }
}

/**
 * A copy of a config whose callbacks also reach these handlers, from whatever is called with it or within its reach. A
 * handler that is there already under the name of one of them gives way to it: an attempt within an attempt counts its
 * calls itself, and they must not count twice.
 */
export function withHandlers<C extends { readonly callbacks?: Callbacks | undefined }>(
  config: C,
  handlers: readonly BaseCallbackHandler[],
): C {
  return { ...config, callbacks: joined(config.callbacks, handlers) };
}

function joined(callbacks: Callbacks | undefined, handlers: readonly BaseCallbackHandler[]): Callbacks {
  const names = new Set(handlers.map((handler) => handler.name));
  const givesWay = (handler: object): boolean => names.has((handler as { name?: string }).name ?? "");
  if (!callbacks) return [...handlers];
  if (Array.isArray(callbacks)) return [...callbacks.filter((handler) => !givesWay(handler)), ...handlers];
  const manager = callbacks.copy();
  for (const handler of manager.handlers.filter(givesWay)) manager.removeHandler(handler);
  for (const handler of handlers) manager.addHandler(handler, true);
  return manager;
}

function cutOff(model: string, known: Tokens): ModelUsage {
  return { model, ...known, unmeasured: true };
}

function isRefusal(error: unknown): boolean {
  const { status, statusCode } = (error ?? {}) as { status?: unknown; statusCode?: unknown };
  return typeof status === "number" || typeof statusCode === "number";
}

import type { CallbackManagerForLLMRun } from "@langchain/core/callbacks/manager";
import type { BaseLanguageModelInput, StructuredOutputMethodOptions } from "@langchain/core/language_models/base";
import {
  BaseChatModel,
  type BaseChatModelCallOptions,
  type BindToolsInput,
} from "@langchain/core/language_models/chat_models";
import { convertChunksToEvents } from "@langchain/core/language_models/compat";
import type { AIMessageChunk, BaseMessage } from "@langchain/core/messages";
import type { ChatGenerationChunk, ChatResult } from "@langchain/core/outputs";
import { type Runnable, RunnableLambda } from "@langchain/core/runnables";
import { Cancellation } from "../../core/abort.js";
import { parseOptions } from "../../core/options.js";
import { ConfigError } from "../../errors/own-errors.js";
import {
  AROUND,
  answeredCall,
  callConfig,
  leftAtOnce,
  PARSED,
  type ParsedBox,
  PIPED,
  streamedCall,
} from "./answer-call.js";
import { UNSEEN } from "./answer-output.js";
import type { RoutedModel } from "./ask-model.js";
import { exchanged } from "./bindings.js";
import { createModelChain, type ModelChain } from "./model-chain.js";
import { type ModelRoute, type ResilientModelOptions, resilientModelSchema } from "./model-options.js";
import { boundTools, chatModelOf, defineRoutes } from "./route.js";
import { singleAttempt } from "./single-attempt.js";
import { structuredAnswer } from "./structured-answer.js";

export interface ResilientCallOptions extends BaseChatModelCallOptions {
  /** Which of the models serve the call, and in which order: see `tasks` of a model. */
  readonly taskType?: string;
}

/**
 * A chat model made of several: asks the first, and where that fails, after retries and by category, the next. It is
 * the only owner of retries: those of the models beneath are off. An answer is whole or an error, and says in
 * `response_metadata.resilience` ({@link AnswerProvenance}) who gave it.
 *
 * A stream that breaks off is started anew, by the same model or the next. The first piece of the new answer is marked
 * ({@link restartOf}): the text before it is void. Pieces joined with `concat` come out right by themselves.
 */
export class ResilientChatModel extends BaseChatModel<ResilientCallOptions, AIMessageChunk> {
  /** The chain's name; of the models beneath each answer tells which gave it. */
  readonly model: string;
  readonly chain: ModelChain;
  override lc_namespace = ["langgraph_resilience", "chat_models"];

  constructor(chain: ModelChain) {
    // Retries are the chain's.
    const { outputVersion } = firstOf(chain);
    super({ maxRetries: 0, ...(outputVersion === undefined ? {} : { outputVersion }) });
    this.chain = chain;
    this.model = chain.name;
  }

  static override lc_name(): string {
    return "ResilientChatModel";
  }

  override _llmType(): string {
    return "resilient";
  }

  /** Of the first model; what it says of structured output holds only where all can do it. */
  override get profile(): BaseChatModel["profile"] {
    const { structuredOutput, ...profile } = firstOf(this.chain).profile ?? {};
    const allCan = this.chain.models.every(({ model }) => chatModelOf(model)?.profile?.structuredOutput === true);
    return structuredOutput === undefined ? profile : { ...profile, structuredOutput: allCan };
  }

  override getLsParams(options: this["ParsedCallOptions"]): ReturnType<BaseChatModel["getLsParams"]> {
    return firstOf(this.chain).getLsParams(options);
  }

  override invocationParams(options?: this["ParsedCallOptions"]): unknown {
    return firstOf(this.chain).invocationParams(options);
  }

  override getNumTokens(content: Parameters<BaseChatModel["getNumTokens"]>[0]): Promise<number> {
    return firstOf(this.chain).getNumTokens(content);
  }

  /** Each model binds the tools in its own form. @throws ConfigError for a model that cannot */
  override bindTools(tools: BindToolsInput[], kwargs?: Partial<ResilientCallOptions>): ResilientChatModel {
    return changed(this.chain, (routed) => {
      const model = exchanged(routed.model, (chatModel) => {
        if (chatModel.bindTools === undefined)
          throw new ConfigError(
            `resilientModel(${this.model}): model "${routed.route.name}" cannot have tools bound to it`,
          );
        return chatModel.bindTools(tools, kwargs);
      });
      return { ...routed, model, runnable: singleAttempt(model), tools };
    });
  }

  /**
   * Each model is asked in its own best way. An answer that cannot be parsed, or does not fit, is asked for again with
   * what is wrong with it; then it is the next model's turn. Streamed, the result comes in one piece.
   */
  override withStructuredOutput<RunOutput extends Record<string, unknown> = Record<string, unknown>>(
    schema: Parameters<BaseChatModel["withStructuredOutput"]>[0],
    config?: StructuredOutputMethodOptions<boolean>,
    // biome-ignore lint/suspicious/noExplicitAny: the overloads of LangChain return one type or the other by `includeRaw`
  ): Runnable<BaseLanguageModelInput, any> {
    const asking = changed(this.chain, (routed) => structuredAnswer(routed, schema, config));
    const answered = async (input: BaseLanguageModelInput, options?: Partial<ResilientCallOptions>) => {
      const box: ParsedBox = {};
      await asking.invoke(input, { ...options, [PARSED]: box } as Partial<ResilientCallOptions>);
      return config?.includeRaw === true ? { raw: box.message, parsed: box.value } : box.value;
    };
    return RunnableLambda.from<BaseLanguageModelInput, RunOutput>(answered as never).withConfig({
      runName: "ResilientStructuredOutput",
    });
  }

  override async _generate(
    messages: BaseMessage[],
    options: this["ParsedCallOptions"],
    runManager?: CallbackManagerForLLMRun,
  ): Promise<ChatResult> {
    const message = await answeredCall(this.chain, { messages, options, runManager }, UNSEEN);
    const generations = [{ text: message.text, message }];
    const { usage_metadata: usage } = message;
    if (usage === undefined) return { generations };
    const { input_tokens: promptTokens, output_tokens: completionTokens, total_tokens: totalTokens } = usage;
    return { generations, llmOutput: { tokenUsage: { promptTokens, completionTokens, totalTokens } } };
  }

  override async *_streamResponseChunks(
    messages: BaseMessage[],
    options: this["ParsedCallOptions"],
    runManager?: CallbackManagerForLLMRun,
  ): AsyncGenerator<ChatGenerationChunk> {
    yield* streamedCall(this.chain, { messages, options, runManager });
  }

  /**
   * LangChain runs the generator outside of the task's own context, which is therefore kept here; and a reader who leaves
   * while the model is silent would be heard only when it speaks again.
   */
  override _streamIterator(
    input: BaseLanguageModelInput,
    options: Partial<ResilientCallOptions> = {},
  ): AsyncGenerator<AIMessageChunk> {
    const around = callConfig(options);
    const reading = new Cancellation({ outer: around.signal });
    const { signal } = reading;
    const pieces = super._streamIterator(input, {
      ...options,
      signal,
      [AROUND]: { ...around, signal },
    } as typeof options);
    return leftAtOnce(pieces, reading);
  }

  override async *transform(
    generator: AsyncGenerator<BaseLanguageModelInput>,
    options: Partial<ResilientCallOptions>,
  ): AsyncGenerator<AIMessageChunk> {
    yield* super.transform(generator, { ...options, [PIPED]: true } as Partial<ResilientCallOptions>);
  }

  /** This protocol knows no way to take back what was said: only what is whole is told by it. */
  override async *_streamChatModelEvents(
    messages: BaseMessage[],
    options: this["ParsedCallOptions"],
    runManager?: CallbackManagerForLLMRun,
  ): ReturnType<BaseChatModel["_streamChatModelEvents"]> {
    const chunks = streamedCall(this.chain, { messages, options, runManager }, "held");
    yield* convertChunksToEvents(chunks, options.signal === undefined ? {} : { signal: options.signal });
  }
}

function firstOf({ models }: ModelChain): BaseChatModel {
  return chatModelOf((models[0] as RoutedModel).model) as BaseChatModel;
}

function changed(
  { name, policy, models }: ModelChain,
  change: (routed: RoutedModel) => RoutedModel,
): ResilientChatModel {
  return new ResilientChatModel(createModelChain(name, policy, models.map(change)));
}

/**
 * A chat model that answers although models fail: give it the model you want and those that may stand in for it. Works
 * wherever a LangChain chat model does: `invoke`, `stream`, `batch`, `bindTools`, `withStructuredOutput`, in chains and
 * in agents.
 *
 * With the defaults, a model that another can stand in for gets one retry of what passes quickly (malformed answers: two,
 * with what is wrong with them), 15 s for its first token and between two, and rests for 5 s after three failures in a
 * row; the last one gets all the retries of its category and 30 s. A Retry-After is kept to by all calls.
 *
 * @param models the first one first
 * @throws ConfigError at once for wrong options, and for what is no chat model
 */
export function resilientModel(
  models: readonly [ModelRoute, ...ModelRoute[]],
  options: ResilientModelOptions = {},
): ResilientChatModel {
  const policy = parseOptions("resilientModel", resilientModelSchema, options);
  const routes = defineRoutes("resilientModel", models, policy);
  const routed = routes.map(
    (route): RoutedModel => ({
      route,
      model: route.model,
      runnable: singleAttempt(route.model),
      tools: boundTools(route.model),
    }),
  );
  return new ResilientChatModel(createModelChain(options.name ?? (routes[0]?.name as string), policy, routed));
}

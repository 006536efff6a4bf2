/** One call of a chain of models, as LangChain makes it: its surroundings found, its answer handed out. */
import type { CallbackManagerForLLMRun } from "@langchain/core/callbacks/manager";
import type { AIMessage, BaseMessage } from "@langchain/core/messages";
import type { ChatGenerationChunk } from "@langchain/core/outputs";
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { Cancellation } from "../../core/abort.js";
import { createChannel } from "../../core/channel.js";
import { CancelledError } from "../../errors/own-errors.js";
import { ambientConfig } from "../attempt-internals.js";
import { runContextOf } from "../run-context.js";
import { AnswerChunk, type AnswerMessageChunk } from "./answer-chunk.js";
import { type AnswerOutput, heldOutput, liveOutput } from "./answer-output.js";
import { asMessage, type ModelCall } from "./ask-model.js";
import { type ModelChain, metadataOf } from "./model-chain.js";

/** Option of a call: where the parsed answer is put, beside the message that LangChain passes around. */
export const PARSED = "__lgr_parsed";

export interface ParsedBox {
  message?: BaseMessage;
  value?: unknown;
}

/** Option of a call: its pieces go to the next step of a pipe. */
export const PIPED = "__lgr_piped";

/** Option of a call: the config of the task around, which LangChain keeps from a stream. */
export const AROUND = Symbol("lgr.around");

interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  readonly taskType?: string;
  readonly [PARSED]?: ParsedBox;
  readonly [PIPED]?: boolean;
  readonly [AROUND]?: LangGraphRunnableConfig;
}

/** What LangChain calls a chat model with. */
export interface GivenCall {
  readonly messages: readonly BaseMessage[];
  readonly options: CallOptions;
  readonly runManager: CallbackManagerForLLMRun | undefined;
}

export async function answeredCall(
  chain: ModelChain,
  { messages, options, runManager }: GivenCall,
  output: AnswerOutput,
  config = callConfig(options),
): Promise<AIMessage> {
  const { signal: _, [PIPED]: __, [AROUND]: ___, taskType, [PARSED]: box, ...ofModels } = options;
  const { policy, name } = chain;
  const call: ModelCall = {
    name,
    messages,
    options: ofModels,
    runId: runManager?.runId,
    output,
    validate: policy.validate,
    failures: [],
    attempts: 0,
  };
  const answer = await chain.answer(call, taskType ?? policy.taskType, config);
  const metadata = metadataOf(call, answer);
  output.finish(metadata);
  const message = asMessage(answer.message, metadata);
  if (box !== undefined) Object.assign(box, { message, value: answer.parsed });
  return message;
}

/** The pieces as they come, or all of them once they are whole. A reader who leaves ends the call. */
export async function* streamedCall(
  chain: ModelChain,
  given: GivenCall,
  streaming: "auto" | "live" | "held" = chain.policy.streaming,
): AsyncGenerator<ChatGenerationChunk> {
  const around = callConfig(given.options);
  const reading = new Cancellation({ outer: around.signal });
  const config = { ...around, signal: reading.signal };
  const pieces = createChannel<AnswerMessageChunk>();
  const hand = (chunk: AnswerMessageChunk) => pieces.push(chunk);
  const output =
    streaming === "held" || (streaming === "auto" && given.options[PIPED] === true)
      ? heldOutput(hand)
      : liveOutput(hand, (restart) => runContextOf(config, chain.name).emit("answer.restarted", restart));
  answeredCall(chain, given, output, config).then(
    () => pieces.end(),
    (error: unknown) => pieces.fail(error),
  );
  try {
    for await (const message of pieces) {
      const chunk = new AnswerChunk({ message, text: message.text });
      yield chunk;
      await given.runManager?.handleLLMNewToken(
        chunk.text,
        { prompt: 0, completion: 0 },
        undefined,
        undefined,
        undefined,
        {
          chunk,
        },
      );
    }
  } finally {
    reading.abort(new CancelledError(NOBODY_READS));
  }
}

/** The config of the task around, if there is one, ended by the call's own signal as well. */
export function callConfig({ [AROUND]: given, ...options }: CallOptions): LangGraphRunnableConfig {
  if (given !== undefined) return given;
  const { signal } = options;
  const { signal: ambient } = ambientConfig();
  // What LangChain has made of both of them, where it made something of them.
  const { callbacks: _, ...around } =
    "configurable" in options ? (options as LangGraphRunnableConfig) : ambientConfig();
  const both = signal !== undefined && ambient !== undefined && signal !== ambient;
  const ended = both ? AbortSignal.any([signal, ambient]) : (signal ?? ambient);
  return ended === undefined ? around : { ...around, signal: ended };
}

/** The same pieces; a reader who leaves ends what makes them, also while none comes. */
export function leftAtOnce<T>(pieces: AsyncGenerator<T>, reading: Cancellation): AsyncGenerator<T> {
  const left = () => reading.abort(new CancelledError(NOBODY_READS));
  return {
    next: () => pieces.next(),
    return(value) {
      left();
      return pieces.return(value);
    },
    throw(error) {
      left();
      return pieces.throw(error);
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

const NOBODY_READS = "Nobody reads the answer any more";

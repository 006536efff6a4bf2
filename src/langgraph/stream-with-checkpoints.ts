import type { BaseLanguageModelInput } from "@langchain/core/language_models/base";
import type { AIMessage, AIMessageChunk } from "@langchain/core/messages";
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { parseOptions } from "../core/options.js";
import { CancelledError, InvalidInputError } from "../errors/own-errors.js";
import { ambientConfig } from "./attempt-internals.js";
import { type Generation, generate } from "./stream-generation.js";
import { type StreamableModel, type StreamCheckpointOptions, streamSchema } from "./stream-options.js";
import { questionOf, streamPlace, toMessages } from "./stream-place.js";

/** A text while it is generated; can be read once. */
export interface CheckpointedStream extends AsyncIterable<AIMessageChunk> {
  /**
   * The whole answer as one message, saved part and continuation joined. Reads the stream to its end if nobody has begun
   * to read it.
   *
   * @throws what reading the stream throws; CancelledError when whoever reads it leaves before its end
   */
  final(): Promise<AIMessage>;
}

/**
 * Streams a model's answer and saves its text as it grows: every `everyTokens` tokens, on an error, an abort and a drain.
 * Where the same step asks the same question again, because an attempt failed or the process died, the saved text comes
 * first, as one piece that {@link restoredOf} knows, and the model is asked to go on with it. About one interval at most
 * is generated again. A complete text is handed out without asking the model, unless the attempt before may have failed
 * because of it.
 *
 * Of an answer that calls tools the text before the calls is saved, and the calls never are.
 *
 * Call it for one text after the other, or start calls side by side in the same order each time. Outside of a graph, and
 * on a persistence without `streams`, it streams and saves nothing.
 *
 * @param config the one the node was called with; default that of the task that is running
 * @returns to be read with `for await`, or by waiting for `final()`. Nothing is asked before that.
 * @throws ConfigError at once for wrong options. Reading it throws what the model throws, the signal's reason on an
 * abort, and AnswerCutError (category `malformed_output`) for an answer that was cut; what was saved stays.
 */
export function streamWithCheckpoints(
  model: StreamableModel,
  input: BaseLanguageModelInput,
  config: LangGraphRunnableConfig = ambientConfig(),
  options: StreamCheckpointOptions = {},
): CheckpointedStream {
  const policy = parseOptions("streamWithCheckpoints()", streamSchema, options);
  const messages = toMessages(input);
  const question = questionOf(model, messages);
  const place = question === undefined ? undefined : streamPlace(config, question, policy.key);
  return readOnce({ model, messages, config, policy, place });
}

function readOnce(generation: Generation): CheckpointedStream {
  let isRead = false;
  let resolve: (answer: AIMessage) => void = () => {};
  let reject: (reason: unknown) => void = () => {};
  const answered = new Promise<AIMessage>((...settle) => {
    [resolve, reject] = settle;
  });
  // Whoever reads the stream is told of its failure there, and need not ask for the message.
  answered.catch(() => {});

  async function* read(): AsyncGenerator<AIMessageChunk> {
    try {
      resolve(yield* generate(generation));
    } catch (error) {
      reject(error);
      throw error;
    } finally {
      reject(new CancelledError("The stream was left before its end; what had come of the text is saved"));
    }
  }
  const begin = (): AsyncGenerator<AIMessageChunk> => {
    if (isRead)
      throw new InvalidInputError("A stream with checkpoints can be read once: read it, then wait for final()");
    isRead = true;
    return read();
  };

  return {
    [Symbol.asyncIterator]: begin,
    async final() {
      if (!isRead) for await (const _ of begin());
      return answered;
    },
  };
}

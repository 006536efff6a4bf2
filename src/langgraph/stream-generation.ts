/** One call of a model whose text is saved while it comes. */
import { AIMessage, AIMessageChunk, type BaseMessage, HumanMessage } from "@langchain/core/messages";
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { Cancellation, unlessAborted } from "../core/abort.js";
import type { StoredStream } from "../core/store-ports.js";
import { AnswerCutError } from "../errors/model-errors.js";
import { asError } from "../errors/own-errors.js";
import { onDrain } from "./internals.js";
import { checkAnswer, finishReasonOf } from "./model/answer-check.js";
import { joined, restartOf } from "./model/answer-chunk.js";
import type { AnyChatModel } from "./model/model-options.js";
import { boundTools, modelNameOf } from "./model/route.js";
import {
  answerOf,
  asChunk,
  endOf,
  finishedChunk,
  isOfToolCall,
  restoredChunk,
  usageOf,
  withText,
} from "./stream-chunks.js";
import type { StreamableModel, StreamPolicy } from "./stream-options.js";
import type { StreamPlace } from "./stream-place.js";
import { mayBeAtFault } from "./stream-refusal.js";
import { seamAfter } from "./stream-seam.js";
import { type StreamWriter, streamWriter } from "./stream-writer.js";

export interface Generation {
  readonly model: StreamableModel;
  readonly messages: readonly BaseMessage[];
  readonly config: LangGraphRunnableConfig;
  readonly policy: StreamPolicy;
  /** Where the text is saved, if it is. */
  readonly place: StreamPlace | undefined;
}

/** A text when its generation begins. */
interface Begun {
  readonly earlier: StoredStream | undefined;
  readonly writer: StreamWriter | undefined;
  /** Resolves when what there is of the text is saved. */
  leave(): Promise<void>;
}

const UNSAVED: Begun = { earlier: undefined, writer: undefined, leave: async () => {} };

/** @returns the whole answer */
export async function* generate(generation: Generation): AsyncGenerator<AIMessageChunk, AIMessage> {
  const { config } = generation;
  const { control, signal } = config;
  signal?.throwIfAborted();
  const begun = await begin(generation);
  const { earlier, writer } = begun;
  const aborted = new Cancellation({ outer: signal, onAbort: () => void writer?.close() });
  const forget = control === undefined ? undefined : onDrain(control, () => void writer?.flush());
  try {
    return earlier?.end === undefined ? yield* generated(generation, begun) : yield* finished(earlier);
  } catch (error) {
    // LangChain reports an abort as a plain Error("AbortError"); the signal knows why.
    signal?.throwIfAborted();
    throw error;
  } finally {
    forget?.();
    aborted.dispose();
    await begun.leave();
  }
}

async function* finished(stored: StoredStream): AsyncGenerator<AIMessageChunk, AIMessage> {
  const whole = finishedChunk(stored);
  yield whole;
  return answerOf(whole, undefined);
}

/** Who saves which text in this process. An attempt that was given up on may still be at it. */
const writing = new WeakMap<object, Map<string, StreamWriter>>();

async function begin({ place, config, policy }: Generation): Promise<Begun> {
  if (place === undefined) return UNSAVED;
  const { store, scope } = place;
  const writers = writing.get(store) ?? new Map<string, StreamWriter>();
  writing.set(store, writers);
  const key = JSON.stringify(scope);
  await writers.get(key)?.close();
  try {
    const found = await store.load(scope);
    const isRefused = found?.end !== undefined && mayBeAtFault(config);
    if (isRefused) await store.clear(scope);
    const earlier = isRefused ? undefined : found;
    const { everyTokens, onCheckpoint } = policy;
    const writer = streamWriter(place, { everyTokens, earlier, onCheckpoint });
    writers.set(key, writer);
    const leave = async () => {
      await writer.close();
      if (writers.get(key) === writer) writers.delete(key);
    };
    return { earlier, writer, leave };
  } catch (error) {
    process.emitWarning(
      `A text is generated from its beginning and not saved, because what may be saved of it cannot be read: ${asError(error).message}`,
      "ResilienceWarning",
    );
    return UNSAVED;
  }
}

async function* generated(
  { model, messages, config, policy }: Generation,
  { earlier, writer }: Begun,
): AsyncGenerator<AIMessageChunk, AIMessage> {
  const restored = earlier === undefined ? [] : [restoredChunk(earlier)];
  yield* restored;
  const call = callOf(earlier, writer);
  const asked = unlessAborted(model.stream(requestOf(messages, earlier, policy), config), config.signal);
  for await (const piece of untilAborted(await asked, config.signal)) {
    const { chunk, behind } = call.take(asChunk(piece));
    yield chunk;
    await behind;
  }
  const rest = call.rest();
  if (rest !== undefined) yield rest;
  const pieces = call.pieces();
  refuseCut(joined(pieces), policy);
  const whole = joined([...restored, ...pieces]) as AIMessageChunk;
  // Half of a call's arguments read as whole ones, and half of a text as all of it.
  checkAnswer(whole, {
    model: String(modelNameOf(model as AnyChatModel)),
    needsFinishReason: false,
    messages,
    tools: boundTools(model),
  });
  const answer = answerOf(whole, earlier);
  await call.end(answer);
  return answer;
}

/** A model may mistake its own words for a beginning that it is to complete, or refuse them, unless a user speaks last. */
function requestOf(
  messages: readonly BaseMessage[],
  earlier: StoredStream | undefined,
  { continueWith }: StreamPolicy,
): BaseMessage[] {
  return earlier === undefined
    ? [...messages]
    : [...messages, new AIMessage(earlier.text), new HumanMessage(continueWith)];
}

/** What has come of one call of the model. */
function callOf(earlier: StoredStream | undefined, writer: StreamWriter | undefined) {
  const seamOf = () => (earlier === undefined ? undefined : seamAfter(earlier.text));
  let seam = seamOf();
  let pieces: AIMessageChunk[] = [];
  let callsTools = false;
  let reported = 0;

  const taken = (chunk: AIMessageChunk) => {
    pieces.push(chunk);
    reported += usageOf(chunk)?.output_tokens ?? 0;
    return { chunk, behind: callsTools ? undefined : writer?.add(chunk.text, reported) };
  };

  return {
    pieces: (): readonly AIMessageChunk[] => pieces,
    /** @returns the piece to hand on, and what to wait for after it */
    take(chunk: AIMessageChunk) {
      if (restartOf(chunk) !== undefined) {
        seam = seamOf();
        pieces = [];
        callsTools = false;
        reported = 0;
        writer?.restart();
      }
      if (isOfToolCall(chunk)) callsTools = true;
      if (seam === undefined) return taken(chunk);
      const { text } = chunk;
      return taken(withText(chunk, callsTools ? `${seam.push(text)}${seam.end()}` : seam.push(text)));
    },
    /** What was held back to the end. */
    rest(): AIMessageChunk | undefined {
      const text = seam?.end() ?? "";
      return text === "" ? undefined : taken(new AIMessageChunk(text)).chunk;
    },
    /** Resolves when the answer is saved, as far as it is. */
    end: (answer: AIMessage) => (callsTools ? writer?.abandon() : writer?.finish(endOf(answer), reported)),
  };
}

/** @throws AnswerCutError */
function refuseCut(whole: AIMessageChunk | undefined, { finishReason }: StreamPolicy): void {
  if (whole === undefined) throw new AnswerCutError("The model's response held no answer");
  const saysItsProvider = typeof whole.response_metadata.model_provider === "string";
  const isRequired = finishReason === undefined ? saysItsProvider : finishReason === "required";
  if (!isRequired || finishReasonOf(whole) !== undefined) return;
  throw new AnswerCutError(
    `The answer ended after ${whole.text.length} characters without a finish reason: it was cut. Another attempt goes on from there`,
  );
}

/** @throws the signal's reason at once, whether or not the source listens to the signal */
async function* untilAborted<T>(source: AsyncIterable<T>, signal: AbortSignal | undefined): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  let isOver = false;
  try {
    for (;;) {
      const next = await unlessAborted(iterator.next(), signal);
      if (next.done === true) {
        isOver = true;
        return;
      }
      yield next.value;
    }
  } finally {
    // Nobody waits for it: a source that does not listen ends when it likes.
    if (!isOver) iterator.return?.().catch(() => {});
  }
}

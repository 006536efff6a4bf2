/** One attempt of one model: ask, listen, hand on, and see that what came is an answer. */
import { CallbackManager } from "@langchain/core/callbacks/manager";
import { AIMessage, AIMessageChunk, type BaseMessage, HumanMessage } from "@langchain/core/messages";
import type { Runnable } from "@langchain/core/runnables";
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { classifyError } from "../../errors/classify.js";
import { rethrowControlFlow } from "../../errors/control-flow.js";
import { UnusableResponseError } from "../../errors/model-errors.js";
import { asError, MalformedOutputError, ResilienceError } from "../../errors/own-errors.js";
import type { ErrorReport } from "../../errors/report.js";
import { refuseInvalid } from "../../policies/validate.js";
import { attempt } from "../attempt-scope.js";
import { checkAnswer } from "./answer-check.js";
import { joined, restartOf } from "./answer-chunk.js";
import { type AnswerOutput, saysSomething } from "./answer-output.js";
import type { Route } from "./route.js";
import { settledContent, settledMessages } from "./settled-content.js";

/** A model of the chain as this call uses it: with what is bound to it, and single attempts only. */
export interface RoutedModel {
  readonly route: Route;
  /** As it was bound, for what is to be bound further. */
  readonly model: Route["model"];
  readonly runnable: Runnable;
  readonly tools: readonly unknown[];
  /** Makes of an answer what was asked for. @throws what is wrong with it, for the model to hear */
  readonly parse?: ((answer: AIMessageChunk) => Promise<unknown>) | undefined;
}

/** One call of the chain, over all its attempts. */
export interface ModelCall {
  /** Of the first model, for messages. */
  readonly name: string;
  readonly messages: readonly BaseMessage[];
  /** Options of the call, without signal and callbacks. */
  readonly options: Readonly<Record<string, unknown>>;
  /** The run that the attempts belong to, for whoever traces. */
  readonly runId: string | undefined;
  readonly output: AnswerOutput;
  readonly validate: ((answer: AIMessage) => unknown) | undefined;
  /** Of the requests made, oldest first. */
  readonly failures: { readonly model: string; readonly report: ErrorReport; readonly error: Error }[];
  /** Requests made. */
  attempts: number;
}

export interface ModelAnswer {
  readonly message: AIMessageChunk;
  readonly parsed: unknown;
  /** Its name in the chain. */
  readonly answeredBy: string;
  readonly model: Route["model"];
}

/** @param config the attempt's own: its signal ends the request, its heartbeat keeps it */
export async function askModel(
  routed: RoutedModel,
  call: ModelCall,
  config: LangGraphRunnableConfig,
): Promise<ModelAnswer> {
  const { route } = routed;
  route.cooldown.check();
  const output = call.output.begin(route.name);
  call.attempts += 1;
  try {
    const message = await answerOf(routed, call, config, output.piece);
    checkAnswer(message, {
      model: route.name,
      needsFinishReason: route.needsFinishReason,
      messages: call.messages,
      tools: toolsOf(routed, call),
    });
    const parsed = routed.parse === undefined ? undefined : await parsedBy(routed.parse, message);
    if (call.validate !== undefined) await refuseInvalid(call.validate, message, () => `Model "${route.name}"`);
    return { message, parsed, answeredBy: route.name, model: route.model };
  } catch (thrown) {
    rethrowControlFlow(thrown);
    const error = asAnswerError(asError(thrown), route.name);
    const report = reasonOf(error, config);
    call.failures.push({ model: route.name, report, error });
    route.cooldown.note(report);
    output.broke(report.category, report.message);
    throw error;
  }
}

async function answerOf(
  { runnable, route }: RoutedModel,
  call: ModelCall,
  config: LangGraphRunnableConfig,
  hand: (chunk: AIMessageChunk) => void,
): Promise<AIMessageChunk> {
  const messages = withFeedback(settledMessages(call.messages), attempt(config).previous);
  // LangChain makes the standard form of the whole answer; made piece by piece, it has the arguments of tools wrong.
  const options = {
    ...call.options,
    outputVersion: "v0",
    callbacks: callbacksOf(config, call.runId),
    ...signalOf(config),
  };
  if (!route.streams) {
    const whole = asChunk((await runnable.invoke(messages, options)) as BaseMessage);
    hand(whole);
    return whole;
  }
  const pieces: AIMessageChunk[] = [];
  let id: string | undefined;
  for await (const piece of await runnable.stream(messages, options)) {
    const chunk = asChunk(piece as BaseMessage);
    id = namedBy(chunk) ?? id ?? chunk.id;
    if (id !== undefined && chunk.id !== id) chunk._updateId(id);
    if (saysSomething(chunk)) config.heartbeat?.();
    // Of a chain within the chain. Joined in pairs, its mark could be gone before it meets the text that it takes back.
    if (restartOf(chunk) !== undefined) pieces.length = 0;
    pieces.push(chunk);
    hand(chunk);
  }
  config.signal?.throwIfAborted();
  const message = joined(pieces);
  if (message === undefined) throw new UnusableResponseError(`Model "${route.name}" ended its answer without a word`);
  message.content = settledContent(message) ?? message.content;
  return message;
}

/** LangChain names a piece that has no ID after its run, here the attempt, which nobody outside knows of. */
function namedBy({ id }: AIMessageChunk): string | undefined {
  return id?.startsWith("run-") ? undefined : id;
}

function signalOf({ signal }: LangGraphRunnableConfig): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

/** Only what counts tokens hears the attempts; everyone else hears the call that they are part of. */
function callbacksOf({ callbacks }: LangGraphRunnableConfig, runId: string | undefined): CallbackManager {
  const handlers = Array.isArray(callbacks) ? callbacks : (callbacks?.handlers ?? []);
  const manager = new CallbackManager(runId);
  for (const handler of handlers) {
    if ("name" in handler && handler.name === "lgr_usage") manager.addHandler(handler as never, true);
  }
  return manager;
}

function toolsOf({ tools }: RoutedModel, { options }: ModelCall): readonly unknown[] {
  return Array.isArray(options.tools) ? [...tools, ...options.tools] : tools;
}

/** A model that cannot stream gives its answer in one piece, as a message. */
function asChunk(message: BaseMessage): AIMessageChunk {
  if (AIMessageChunk.isInstance(message)) return message;
  const { content, additional_kwargs, response_metadata, id, tool_calls, invalid_tool_calls, usage_metadata } =
    message as AIMessage;
  const chunk = new AIMessageChunk({
    content: content as string,
    response_metadata,
    tool_call_chunks: [],
    ...(id === undefined ? {} : { id }),
    ...(usage_metadata === undefined ? {} : { usage_metadata }),
  });
  // Given to the constructor, LangChain would warn of calls that it takes for unread.
  chunk.additional_kwargs = additional_kwargs;
  chunk.tool_calls = tool_calls ?? [];
  chunk.invalid_tool_calls = invalid_tool_calls ?? [];
  return chunk;
}

async function parsedBy(parse: NonNullable<RoutedModel["parse"]>, message: AIMessageChunk): Promise<unknown> {
  try {
    return await parse(message);
  } catch (cause) {
    rethrowControlFlow(cause);
    throw new MalformedOutputError(`The answer does not have the form asked for: ${asError(cause).message}`, { cause });
  }
}

/**
 * Clients stumble over answers that are none: what reads as a fault of a program is one of whoever answered. Errors that
 * say anything of themselves (a status, a code, a class of their own) are left as they are.
 */
function asAnswerError(error: Error, model: string): Error {
  // The client says of an answer that was refused on the wire only that there was none.
  if (error.cause instanceof ResilienceError) return error.cause;
  const isPlain = ["TypeError", "SyntaxError", "ReferenceError", "RangeError"].includes(error.name);
  if (!isPlain || error.cause !== undefined || !error.stack?.includes("node_modules")) return error;
  const { category } = classifyError(error);
  if (category !== "bug" && category !== "malformed_output") return error;
  return new UnusableResponseError(`The client of model "${model}" could not read the answer: ${error.message}`, {
    cause: error,
  });
}

/** An attempt that was ended ends in the words of its client; the signal knows why. */
function reasonOf(error: Error, { signal }: LangGraphRunnableConfig): ErrorReport {
  return classifyError(signal?.aborted === true ? signal.reason : error);
}

const TOLD: ReadonlySet<string> = new Set(["MALFORMED_OUTPUT", "INVALID_TOOL_CALL", "OUTPUT_PARSING_FAILURE"]);
/** A model needs to know what is wrong, not to read its whole answer again. */
const MAX_FEEDBACK_CHARACTERS = 2000;

/**
 * With what was wrong with the last answer, where that is the model's doing and not the line's. It goes into the last
 * question, for many templates refuse two messages of a person in a row.
 */
function withFeedback(messages: readonly BaseMessage[], previous: ErrorReport | undefined): readonly BaseMessage[] {
  if (previous?.category !== "malformed_output" || !TOLD.has(previous.code ?? "")) return messages;
  const what = previous.message.slice(0, MAX_FEEDBACK_CHARACTERS);
  const text = `Your previous answer was refused: ${what}\nAnswer the request again, complete and without that fault.`;
  const last = messages.at(-1);
  if (last?.type !== "human") return [...messages, new HumanMessage(text)];
  const content =
    typeof last.content === "string" ? `${last.content}\n\n${text}` : [...last.content, { type: "text", text }];
  return [...messages.slice(0, -1), new HumanMessage({ content: content as string })];
}

/** The whole answer as the message a caller of `invoke` expects. */
export function asMessage(chunk: AIMessageChunk, metadata: object): AIMessage {
  const { content, additional_kwargs, response_metadata, id, tool_calls, invalid_tool_calls, usage_metadata, name } =
    chunk;
  const message = new AIMessage({
    content: content as string,
    response_metadata: { ...response_metadata, ...metadata },
    tool_calls: tool_calls ?? [],
    invalid_tool_calls: invalid_tool_calls ?? [],
    ...(id === undefined ? {} : { id }),
    ...(usage_metadata === undefined ? {} : { usage_metadata }),
    ...(name === undefined ? {} : { name }),
  });
  message.additional_kwargs = additional_kwargs;
  return message;
}

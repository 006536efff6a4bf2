/**
 * What `createAgent` is to get out of an answer where it has a `responseFormat`. It looks itself, but only when the model
 * has had its say: an answer that does not fit is then thrown, or fed back without end. Looked at here, by the model that
 * is asked, such an answer is one more malformed one, which it is told of, twice, before another model is asked.
 */
import type { AIMessage } from "@langchain/core/messages";
import { Validator } from "@langchain/core/utils/json_schema";
import {
  MultipleStructuredOutputsError,
  ProviderStrategy,
  providerStrategy,
  StructuredOutputParsingError,
  ToolStrategy,
  toolStrategy,
} from "langchain";

/** How one call is to be answered. */
export interface StructuredCall {
  /** In place of the request's own: what was made of a schema must be made once, for it has a name in the answers. */
  readonly responseFormat: ToolStrategy[] | ProviderStrategy;
  /** What is wrong with an answer, if anything. */
  fault(answer: AIMessage): string | undefined | Promise<string | undefined>;
}

type Strategies = StructuredCall["responseFormat"];

interface Circumstances {
  /** Whether the provider of every model that may be asked can hold it to a schema. */
  readonly isNative: boolean;
  /** As a middleware further out has it; without one the model must call a tool. */
  readonly toolChoice: unknown;
}

/**
 * @param format as the agent or another middleware has it: a schema, several, or strategies
 * @returns undefined where nothing is asked for, and where `handleError: false` asks for the error itself
 */
export function structuredCall(format: unknown, { isNative, toolChoice }: Circumstances): StructuredCall | undefined {
  if (typeof format !== "object" || format === null || "__responseFormatUndefined" in format) return undefined;
  const responseFormat = strategiesOf(format, isNative);
  if (responseFormat instanceof ProviderStrategy)
    return { responseFormat, fault: (answer) => faultInText(answer, responseFormat) };
  const [first] = responseFormat;
  if (first === undefined || first.options?.handleError === false) return undefined;
  const mustCall = toolChoice === undefined || toolChoice === "required";
  return { responseFormat, fault: (answer) => faultInCalls(answer, responseFormat, mustCall) };
}

const made = new WeakMap<object, { native?: Strategies; tool?: Strategies }>();

/** As `createAgent` chooses them; @throws Error for what it would refuse, too */
function strategiesOf(format: object, isNative: boolean): Strategies {
  if (format instanceof ProviderStrategy) return format;
  if (format instanceof ToolStrategy) return [format];
  if (Array.isArray(format) && format.some((one) => one instanceof ToolStrategy || one instanceof ProviderStrategy)) {
    const tools = format.filter((one) => one instanceof ToolStrategy);
    return tools.length > 0 ? tools : (format[0] as ProviderStrategy);
  }
  const kind = isNative && !Array.isArray(format) ? "native" : "tool";
  const known = made.get(format) ?? {};
  made.set(format, known);
  known[kind] ??= kind === "native" ? providerStrategy(format as never) : [...toolStrategy(format as never)];
  return known[kind];
}

/** Of a provider's own structured output. Along with calls of tools there is none yet. */
function faultInText(answer: AIMessage, { schema }: ProviderStrategy): string | undefined {
  if ((answer.tool_calls?.length ?? 0) > 0) return undefined;
  const text = firstText(answer);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return `The answer is no JSON (${(error as Error).message}); answer with JSON that fits the schema, and nothing else`;
  }
  const faults = faultsIn(value, schema);
  return faults.length === 0 ? undefined : `The answer does not fit the schema: ${faults.join("; ")}`;
}

/** Where the answer is a call of a tool that stands for the schema. */
function faultInCalls(
  answer: AIMessage,
  strategies: readonly ToolStrategy[],
  mustCall: boolean,
): string | undefined | Promise<string | undefined> {
  const calls = answer.tool_calls ?? [];
  const structured = calls.filter(({ name }) => strategies.some((strategy) => strategy.name === name));
  const names = strategies.map((strategy) => strategy.name).join(" or ");
  if (calls.length === 0 && mustCall) return `The answer calls no tool; give it by calling ${names}`;
  const [call] = structured;
  if (call === undefined) return undefined;
  if (structured.length > 1) {
    const called = structured.map(({ name }) => name);
    const words = `The answer was given ${called.length} times (${called.join(", ")}); give it once`;
    return asTheAgentSays(words, new MultipleStructuredOutputsError(called), strategies);
  }
  const { schema } = strategies.find((strategy) => strategy.name === call.name) as ToolStrategy;
  const faults = faultsIn(call.args, schema);
  if (faults.length === 0) return undefined;
  const words = `The arguments of ${call.name} do not fit its schema: ${faults.join("; ")}`;
  return asTheAgentSays(words, new StructuredOutputParsingError(call.name, [...faults]), strategies);
}

/** `handleError` of the agent's strategy has the words that the model is given, if it has any. */
function asTheAgentSays(
  words: string,
  error: StructuredOutputParsingError | MultipleStructuredOutputsError,
  [first]: readonly ToolStrategy[],
): string | Promise<string> {
  const handler = first?.options?.handleError;
  if (typeof handler === "function") return handler(error);
  return typeof handler === "string" ? handler : words;
}

/** The text that `createAgent` reads: all of it, or of several blocks the first that is no thought. */
function firstText({ content }: AIMessage): string {
  if (typeof content === "string") return content;
  const said = content.find((block) => block.type === "text" && !("thought" in block && block.thought === true));
  return typeof said?.text === "string" ? said.text : "";
}

const MAX_FAULTS = 10;
/** Keywords that say no more than that something beneath them is wrong. */
const CONTAINERS = new Set(["properties", "items", "prefixItems", "additionalProperties", "$ref", "allOf"]);

function faultsIn(value: unknown, schema: Readonly<Record<string, unknown>>): readonly string[] {
  const { valid, errors } = new Validator(schema, "2019-09", false).validate(value);
  if (valid) return [];
  const leaves = errors.filter(({ keyword }) => !CONTAINERS.has(keyword));
  const told = leaves.length > 0 ? leaves : errors;
  return told.slice(0, MAX_FAULTS).map(({ instanceLocation, error }) => `${placeOf(instanceLocation)}${error}`);
}

/** `#/lines/0/cents` → `lines.0.cents: ` */
function placeOf(pointer: string): string {
  const path = pointer.replace(/^#\/?/, "").replaceAll("/", ".");
  return path === "" ? "" : `${path}: `;
}

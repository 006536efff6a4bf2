import type { StructuredOutputMethodOptions } from "@langchain/core/language_models/base";
import type { BaseChatModel } from "@langchain/core/language_models/chat_models";
import { type Runnable, RunnableSequence } from "@langchain/core/runnables";
import { Validator } from "@langchain/core/utils/json_schema";
import { isSerializableSchema } from "@langchain/core/utils/standard_schema";
import { isInteropZodSchema } from "@langchain/core/utils/types";
import { ConfigError, MalformedOutputError } from "../../errors/own-errors.js";
import type { RoutedModel } from "./ask-model.js";
import { exchanged } from "./bindings.js";
import { boundTools, chatModelOf } from "./route.js";
import { singleAttempt } from "./single-attempt.js";

type Schema = Parameters<BaseChatModel["withStructuredOutput"]>[0];

/**
 * The model asked for its answer in the form of a schema, in the way that suits it best, and its parser apart: what does
 * not parse is a failed attempt, and the model hears of it.
 *
 * Assumption: LangChain makes of a model and a schema a sequence that begins with the model.
 *
 * @throws ConfigError for a model that does not do so
 */
export function structuredAnswer(
  routed: RoutedModel,
  schema: Schema,
  config: StructuredOutputMethodOptions<boolean> | undefined,
): RoutedModel {
  const { name } = routed.route;
  let parser: Runnable | undefined;
  const model = exchanged(routed.model, (chatModel) => {
    const made = chatModel.withStructuredOutput(schema, { ...config, includeRaw: false } as never) as Runnable;
    const sequence = ((made as { readonly bound?: Runnable }).bound ?? made) as RunnableSequence;
    const [first, ...rest] = RunnableSequence.isRunnableSequence(sequence) ? sequence.steps : [];
    if (first === undefined || chatModelOf(first) === undefined || rest.length === 0)
      throw new ConfigError(
        `withStructuredOutput of model "${name}" makes something else than LangChain's own models do`,
      );
    parser = rest.slice(1).reduce((before: Runnable, next) => before.pipe(next), rest[0] as Runnable);
    return first;
  });
  const check = plainSchemaCheck(schema);
  return {
    ...routed,
    model: model as RoutedModel["model"],
    runnable: singleAttempt(model),
    tools: boundTools(model),
    async parse(answer) {
      const value: unknown = await (parser as Runnable).invoke(answer, { callbacks: [] });
      if (value === undefined || value === null)
        throw new MalformedOutputError("it holds nothing of the kind; give it as you were told to");
      check?.(value);
      return value;
    },
  };
}

/** The forms in which OpenAI takes a schema, and the schema itself. */
interface AsFunction {
  readonly name?: unknown;
  readonly parameters?: object;
  readonly schema?: object;
  readonly function?: { readonly parameters?: object };
}

function plainSchemaIn(given: AsFunction): object {
  const within =
    given.function?.parameters ?? (typeof given.name === "string" ? (given.parameters ?? given.schema) : undefined);
  return typeof within === "object" ? within : given;
}

/** LangChain holds answers against the schemas of zod and its like, and not against plain JSON schemas. */
function plainSchemaCheck(schema: Schema): ((value: unknown) => void) | undefined {
  if (isInteropZodSchema(schema) || isSerializableSchema(schema)) return undefined;
  const validator = new Validator(
    plainSchemaIn(schema as AsFunction) as ConstructorParameters<typeof Validator>[0],
    "7",
    false,
  );
  return (value) => {
    const { valid, errors } = validator.validate(value);
    if (valid) return;
    throw new MalformedOutputError(errors.map((error) => `${error.instanceLocation}: ${error.error}`).join("; "));
  };
}

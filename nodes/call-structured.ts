import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { MalformedOutputError } from "langgraph-resilience";
import { z } from "zod";
import { callModel, type ModelAnswer, type ModelRequest } from "./call-model.js";

export interface StructuredRequest<S extends z.ZodType> extends Omit<ModelRequest, "callOptions"> {
  /** Name of the schema for the provider: letters, digits, `_` and `-`. */
  readonly schemaName: string;
  readonly schema: S;
  /** What the schema cannot say: returns what is wrong with a value that fits it, or nothing. */
  readonly check?: (value: z.output<S>) => string | undefined;
}

export interface StructuredAnswer<T> extends Omit<ModelAnswer, "text"> {
  readonly value: T;
}

/**
 * Asks a model for JSON that fits a zod schema (by `response_format: json_schema`) and returns it parsed.
 *
 * @throws MalformedOutputError that says what is wrong, which the next attempt feeds back to the model
 */
export async function callStructured<S extends z.ZodType>(
  { schemaName, schema, check, ...request }: StructuredRequest<S>,
  config: LangGraphRunnableConfig,
): Promise<StructuredAnswer<z.output<S>>> {
  const responseFormat = {
    type: "json_schema",
    json_schema: { name: schemaName, strict: true, schema: z.toJSONSchema(schema) },
  };
  const { text, ...answer } = await callModel({ ...request, callOptions: { response_format: responseFormat } }, config);
  const value = parse(text, schemaName, schema);
  const objection = check?.(value);
  if (objection !== undefined) throw new MalformedOutputError(`The ${schemaName} is not right: ${objection}`);
  return { ...answer, value };
}

function parse<S extends z.ZodType>(text: string, schemaName: string, schema: S): z.output<S> {
  let json: unknown;
  try {
    json = JSON.parse(withoutFence(text));
  } catch (cause) {
    throw new MalformedOutputError(`The ${schemaName} is not JSON; it begins ${JSON.stringify(text.slice(0, 80))}`, {
      cause,
    });
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map((issue) => `${issue.path.join(".") || "the whole answer"}: ${issue.message}`);
  throw new MalformedOutputError(`The ${schemaName} does not fit its schema: ${faults.join("; ")}`, {
    details: { faults },
  });
}

/** Servers that ignore `response_format` put their JSON into a Markdown fence. */
function withoutFence(text: string): string {
  return /^\s*```(?:json)?\s*\n([\s\S]*?)\n```\s*$/.exec(text)?.[1] ?? text;
}

import { toolCalls } from "./chat-answer.js";
import { type ChatRequest, toolName } from "./chat-request.js";

type Schema = Readonly<Record<string, unknown>>;

/**
 * An answer to anything: JSON that fits the schema asked for, a call of the tool that must be called, or a sentence.
 * A tool that need not be called is not: what stands behind it may be real.
 */
export function defaultAnswer(request: ChatRequest): string | object {
  const { responseFormat, forcedTool, tools, messages } = request;
  if (responseFormat !== undefined) return asObject(sampleOf(responseFormat.schema, responseFormat.schema));
  if (forcedTool !== undefined) {
    const tool = tools.find((one) => toolName(one) === forcedTool);
    const schema = ((tool?.function as { parameters?: Schema } | undefined)?.parameters ?? {}) as Schema;
    return toolCalls([{ name: forcedTool, args: asObject(sampleOf(schema, schema)) }]);
  }
  return `offline: ${messages.at(-1)?.text.length ?? 0} characters read; no language model was asked.`;
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

/** How deep a schema that contains itself is followed. */
const MAX_DEPTH = 8;

/** The plainest value that fits a JSON schema, as far as its types go: formats and patterns are not looked at. */
function sampleOf(schema: Schema, root: Schema, depth = 0): unknown {
  if (depth > MAX_DEPTH) return null;
  const again = (inner: unknown) => sampleOf((inner ?? {}) as Schema, root, depth + 1);
  if (typeof schema.$ref === "string") return again(referred(schema.$ref, root));
  if ("const" in schema) return schema.const;
  if ("default" in schema) return schema.default;
  for (const choice of [schema.enum, schema.examples]) if (Array.isArray(choice) && choice.length > 0) return choice[0];
  for (const choice of [schema.anyOf, schema.oneOf]) if (Array.isArray(choice)) return again(choice[0]);
  if (Array.isArray(schema.allOf)) return Object.assign({}, ...schema.allOf.map(again));
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  switch (type) {
    case "string":
      return "offline";
    case "integer":
    case "number":
      return typeof schema.minimum === "number" ? schema.minimum : 0;
    case "boolean":
      return false;
    case "array":
      return Array.from({ length: typeof schema.minItems === "number" ? schema.minItems : 0 }, () =>
        again(schema.items),
      );
    case "null":
      return null;
    default:
      return Object.fromEntries(Object.entries(asObject(schema.properties)).map(([name, one]) => [name, again(one)]));
  }
}

/** What a `#/…` reference stands for: https://datatracker.ietf.org/doc/html/rfc6901 */
function referred(ref: string, root: Schema): unknown {
  const keys = ref.replace(/^#\/?/, "").split("/").filter(Boolean);
  return keys
    .map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"))
    .reduce<unknown>((at, key) => asObject(at)[key], root);
}

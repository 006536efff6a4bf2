import { toJsonSchema } from "@langchain/core/utils/json_schema";

/** A tool in one of the forms a model may be given: OpenAI's, Anthropic's, LangChain's. */
interface AnyTool {
  readonly name?: unknown;
  readonly schema?: unknown;
  readonly input_schema?: unknown;
  readonly function?: { readonly name?: unknown; readonly parameters?: unknown };
}

/** The arguments that the tool cannot do without; undefined where the tool, or what it takes, is not known. */
export function requiredArguments(tools: readonly unknown[], name: string): readonly string[] | undefined {
  for (const tool of tools as readonly (AnyTool | null)[]) {
    if (tool === null || typeof tool !== "object") continue;
    if (tool.function?.name === name) return requiredOf(tool.function.parameters ?? {});
    if (tool.name === name) return requiredOf(tool.input_schema ?? tool.schema ?? {});
  }
  return undefined;
}

function requiredOf(schema: unknown): readonly string[] | undefined {
  try {
    const { required } = toJsonSchema(schema as Parameters<typeof toJsonSchema>[0]) as { readonly required?: unknown };
    return Array.isArray(required) ? (required as string[]) : [];
  } catch {
    // A schema that has no JSON form says nothing here.
    return undefined;
  }
}

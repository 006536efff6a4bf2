import { z } from "zod";

const ContentPart = z.looseObject({ type: z.string(), text: z.string().optional() });

const ToolCallPart = z.looseObject({
  id: z.string().default(""),
  function: z.looseObject({ name: z.string(), arguments: z.string().default("") }).optional(),
});

/** As much of the Chat Completions request as the provider acts on; everything else is accepted and ignored. */
const Body = z.looseObject({
  model: z.string(),
  messages: z
    .array(
      z.looseObject({
        role: z.string(),
        content: z.union([z.string(), z.array(ContentPart), z.null()]).optional(),
        tool_calls: z.array(ToolCallPart).nullish(),
        tool_call_id: z.string().nullish(),
      }),
    )
    .min(1),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().optional() }).nullish(),
  response_format: z
    .looseObject({
      type: z.string(),
      json_schema: z.looseObject({ name: z.string(), schema: z.record(z.string(), z.unknown()).optional() }).optional(),
    })
    .nullish(),
  tools: z.array(z.looseObject({ type: z.string() })).nullish(),
  tool_choice: z
    .union([z.string(), z.looseObject({ function: z.looseObject({ name: z.string() }).optional() })])
    .nullish(),
});

/** A call of a tool as the protocol has it. */
export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON text, or what a model has made of it. */
  readonly arguments: string;
}

export interface ChatMessage {
  readonly role: string;
  /** The text parts, joined; other parts are left out. */
  readonly text: string;
  /** The calls of an assistant message. */
  readonly toolCalls?: readonly ToolCall[];
  /** Which call a tool message answers. */
  readonly toolCallId?: string;
}

/** A request to `/v1/chat/completions`, as an answerer and a matcher see it. */
export interface ChatRequest {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly stream: boolean;
  readonly includeUsage: boolean;
  /** The JSON schema asked for by `response_format`, where there is one. */
  readonly responseFormat?: { readonly name: string; readonly schema: Readonly<Record<string, unknown>> };
  readonly tools: readonly Readonly<Record<string, unknown>>[];
  /** The tool that must be called: the one `tool_choice` names, or the first of those offered where any will do. */
  readonly forcedTool?: string;
}

export type ParsedRequest =
  | { readonly kind: "request"; readonly request: ChatRequest }
  | { readonly kind: "refused"; readonly message: string; readonly param: string | null };

/** Reads the body of a request the way OpenAI does: what is wrong with it is a 400 that names the parameter. */
export function parseChatRequest(body: string): ParsedRequest {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    return { kind: "refused", message: "We could not parse the JSON body of your request.", param: null };
  }
  const parsed = Body.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const param = issue === undefined ? null : issue.path.join(".");
    return {
      kind: "refused",
      message: `Invalid value for '${param ?? "body"}': ${issue?.message ?? "unknown"}`,
      param,
    };
  }
  return { kind: "request", request: toChatRequest(parsed.data) };
}

type ParsedBody = z.output<typeof Body>;

function toChatRequest(body: ParsedBody): ChatRequest {
  const format = body.response_format?.json_schema;
  const forcedTool = forcedToolOf(body);
  return {
    model: body.model,
    messages: body.messages.map(toChatMessage),
    stream: body.stream === true,
    includeUsage: body.stream_options?.include_usage === true,
    ...(format === undefined ? {} : { responseFormat: { name: format.name, schema: format.schema ?? {} } }),
    tools: body.tools ?? [],
    ...(forcedTool === undefined ? {} : { forcedTool }),
  };
}

function toChatMessage({ role, content, tool_calls: calls, tool_call_id: toolCallId }: ParsedBody["messages"][number]) {
  const toolCalls = (calls ?? []).map(({ id, function: called }) => ({
    id,
    name: called?.name ?? "",
    arguments: called?.arguments ?? "",
  }));
  return {
    role,
    text: textOf(content),
    ...(toolCalls.length === 0 ? {} : { toolCalls }),
    ...(typeof toolCallId === "string" ? { toolCallId } : {}),
  };
}

function forcedToolOf({ tool_choice: choice, tools }: ParsedBody): string | undefined {
  if (typeof choice === "object") return choice?.function?.name;
  if (choice !== "required") return undefined;
  return toolName(tools?.[0]);
}

/** The name of a tool as a request lists it; undefined for one that is no function. */
export function toolName(tool: Readonly<Record<string, unknown>> | undefined): string | undefined {
  const name = (tool?.function as { name?: unknown } | undefined)?.name;
  return typeof name === "string" ? name : undefined;
}

function textOf(content: string | readonly { readonly text?: string | undefined }[] | null | undefined): string {
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => part.text ?? "").join("\n");
}

import { z } from "zod";

const ContentPart = z.looseObject({ type: z.string(), text: z.string().optional() });

/** As much of the Chat Completions request as the provider acts on; everything else is accepted and ignored. */
const Body = z.looseObject({
  model: z.string(),
  messages: z
    .array(
      z.looseObject({ role: z.string(), content: z.union([z.string(), z.array(ContentPart), z.null()]).optional() }),
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
});

export interface ChatMessage {
  readonly role: string;
  /** The text parts, joined; other parts are left out. */
  readonly text: string;
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

function toChatRequest(body: z.output<typeof Body>): ChatRequest {
  const format = body.response_format?.json_schema;
  return {
    model: body.model,
    messages: body.messages.map(({ role, content }) => ({ role, text: textOf(content) })),
    stream: body.stream === true,
    includeUsage: body.stream_options?.include_usage === true,
    ...(format === undefined ? {} : { responseFormat: { name: format.name, schema: format.schema ?? {} } }),
    tools: body.tools ?? [],
  };
}

function textOf(content: string | readonly { readonly text?: string | undefined }[] | null | undefined): string {
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => part.text ?? "").join("\n");
}

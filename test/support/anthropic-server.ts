/**
 * A server on loopback that speaks as much of the Messages protocol of Anthropic as chat models use: whole and streamed,
 * text and tool calls (https://docs.anthropic.com/en/api/messages-streaming). Each request takes the next turn of the
 * script; when that is used up, it gets the answer.
 */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

export const CLAUDE_SAYS = "Revenue grew by four percent.";

interface ClaudeToolUse {
  readonly name: string;
  /** Sent as it is: JSON text, or what a model has made of it. */
  readonly input: string;
  readonly id?: string;
}

export type ClaudeTurn =
  | {
      readonly kind: "answer";
      readonly text?: string;
      readonly tools?: readonly ClaudeToolUse[];
      readonly stopReason?: string;
      readonly outputTokens?: number;
    }
  /** An error body with this status and this type of error. */
  | {
      readonly kind: "status";
      readonly status: number;
      readonly type?: string;
      readonly message?: string;
      readonly retryAfter?: string;
    }
  /** Half of the answer, and the connection is closed in an orderly way. */
  | { readonly kind: "cut" }
  /** Half of the answer, and then silence. */
  | { readonly kind: "stall" }
  /** Half of the answer, and an event that says what went wrong. */
  | { readonly kind: "error_event"; readonly type?: string }
  /** No byte of an answer. */
  | { readonly kind: "hang" }
  /** Status 200 with a page of a proxy. */
  | { readonly kind: "junk" };

interface ClaudeRequest {
  readonly model: string;
  readonly stream: boolean;
  readonly system?: unknown;
  readonly messages: readonly { readonly role: string; readonly content: unknown }[];
  readonly tools?: readonly { readonly name: string; readonly input_schema: unknown }[];
  readonly tool_choice?: unknown;
  /** Whether the client went before the answer was complete. */
  clientGone?: boolean;
}

export interface AnthropicServer {
  /** For `anthropicApiUrl`. */
  readonly url: string;
  readonly requests: readonly ClaudeRequest[];
  /** Resolves when this holds, which is looked at when a request comes and when it ends. */
  waitFor(condition: (requests: readonly ClaudeRequest[]) => boolean): Promise<void>;
}

type Answer = Extract<ClaudeTurn, { kind: "answer" }>;

const ANSWER: Answer = { kind: "answer" };

/** Closed when the test has finished. */
export async function anthropicServer(script: readonly ClaudeTurn[] = []): Promise<AnthropicServer> {
  const turns = [...script];
  const requests: ClaudeRequest[] = [];
  const waiters = new Set<() => void>();
  const tell = () => {
    for (const look of waiters) look();
  };
  const server = createServer(async (incoming, response) => {
    let body = "";
    for await (const part of incoming) body += String(part);
    const request = JSON.parse(body) as ClaudeRequest;
    requests.push(request);
    response.on("close", () => {
      request.clientGone = !response.writableEnded;
      tell();
    });
    const turn = turns.shift() ?? ANSWER;
    play(turn, request, response, requests.length);
    tell();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    waitFor: (condition) =>
      new Promise((resolve) => {
        const look = () => {
          if (!condition(requests)) return;
          waiters.delete(look);
          resolve();
        };
        waiters.add(look);
        look();
      }),
  };
}

function play(turn: ClaudeTurn, request: ClaudeRequest, response: ServerResponse, number: number): void {
  switch (turn.kind) {
    case "hang":
      return;
    case "junk":
      response.writeHead(200, { "content-type": "text/html" }).end("<html><body>Down for maintenance</body></html>");
      return;
    case "status": {
      const headers = {
        "content-type": "application/json",
        ...(turn.retryAfter && { "retry-after": turn.retryAfter }),
      };
      const error = { type: turn.type ?? "api_error", message: turn.message ?? `status ${turn.status}` };
      response.writeHead(turn.status, headers).end(JSON.stringify({ type: "error", error }));
      return;
    }
    case "answer":
      if (request.stream) stream(response, eventsOf(turn, request, number)).end();
      else
        response
          .writeHead(200, { "content-type": "application/json" })
          .end(JSON.stringify(whole(turn, request, number)));
      return;
    default:
      begin(turn, request, response, number);
  }
}

/** What breaks off in the middle. Of a whole answer half of the body comes. */
function begin(
  turn: Extract<ClaudeTurn, { kind: "cut" | "stall" | "error_event" }>,
  request: ClaudeRequest,
  response: ServerResponse,
  number: number,
): void {
  if (!request.stream) {
    const body = JSON.stringify(whole(ANSWER, request, number));
    response.writeHead(200, { "content-type": "application/json" }).write(body.slice(0, body.length / 2));
    if (turn.kind !== "stall") response.end();
    return;
  }
  const events = eventsOf(ANSWER, request, number);
  stream(response, events.slice(0, events.findIndex(([name]) => name === "content_block_stop") - 1));
  if (turn.kind === "stall") return;
  if (turn.kind === "error_event")
    stream(response, [["error", { error: { type: turn.type ?? "overloaded_error", message: "Overloaded" } }]]);
  response.end();
}

type ClaudeEvent = readonly [name: string, data: object];

function stream(response: ServerResponse, events: readonly ClaudeEvent[]): ServerResponse {
  if (!response.headersSent) response.writeHead(200, { "content-type": "text/event-stream" });
  for (const [name, data] of events)
    response.write(`event: ${name}\ndata: ${JSON.stringify({ type: name, ...data })}\n\n`);
  return response;
}

function facts({ text, tools = [], stopReason, outputTokens = 9 }: Answer, number: number) {
  return {
    id: `msg_${number}`,
    said: text ?? (tools.length > 0 ? "" : CLAUDE_SAYS),
    uses: tools.map((use, index) => ({ id: `toolu_${number}_${index + 1}`, ...use })),
    stopReason: stopReason ?? (tools.length > 0 ? "tool_use" : "end_turn"),
    outputTokens,
  };
}

function whole(turn: Answer, { model }: ClaudeRequest, number: number): object {
  const { id, said, uses, stopReason, outputTokens } = facts(turn, number);
  return {
    id,
    type: "message",
    role: "assistant",
    model,
    content: [
      ...(said === "" ? [] : [{ type: "text", text: said }]),
      ...uses.map((use) => ({ type: "tool_use", id: use.id, name: use.name, input: JSON.parse(use.input) as unknown })),
    ],
    stop_reason: stopReason,
    stop_sequence: null,
    usage: { input_tokens: 12, output_tokens: outputTokens },
  };
}

function eventsOf(turn: Answer, { model }: ClaudeRequest, number: number): readonly ClaudeEvent[] {
  const { id, said, uses, stopReason, outputTokens } = facts(turn, number);
  const message = {
    id,
    type: "message",
    role: "assistant",
    model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
  };
  const blocks: (readonly [block: object, deltas: readonly object[]])[] = [];
  if (said !== "")
    blocks.push([
      { type: "text", text: "" },
      (said.match(/\S+\s*/g) ?? []).map((text) => ({ type: "text_delta", text })),
    ]);
  for (const { id: useId, name, input } of uses) {
    const half = Math.ceil(input.length / 2);
    const deltas = [input.slice(0, half), input.slice(half)].filter((part) => part !== "");
    blocks.push([
      { type: "tool_use", id: useId, name, input: {} },
      deltas.map((part) => ({ type: "input_json_delta", partial_json: part })),
    ]);
  }
  return [
    ["message_start", { message: { ...message, usage: { input_tokens: 12, output_tokens: 0 } } }],
    ...blocks.flatMap(([block, deltas], index): ClaudeEvent[] => [
      ["content_block_start", { index, content_block: block }],
      ...deltas.map((delta): ClaudeEvent => ["content_block_delta", { index, delta }]),
      ["content_block_stop", { index }],
    ]),
    [
      "message_delta",
      { delta: { stop_reason: stopReason, stop_sequence: null }, usage: { output_tokens: outputTokens } },
    ],
    ["message_stop", {}],
  ];
}

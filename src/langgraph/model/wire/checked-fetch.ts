import { type Clock, systemClock } from "../../../core/clock.js";
import { ContentFilteredError, UnusableResponseError } from "../../../errors/model-errors.js";
import { type ChatRequestFacts, chatStreamCheck } from "./chat-stream.js";
import { checkedBody } from "./checked-body.js";
import { completionAsStream } from "./completion-as-stream.js";
import { responsesStreamCheck } from "./responses-stream.js";
import { excerpt, parsedObject } from "./stream-check.js";

export type Fetch = typeof globalThis.fetch;

/**
 * A fetch for the client of an OpenAI-compatible server, by which an answer with status 200 is a whole answer or an error:
 * the client itself takes a stream that ends in the middle for complete, and a page of a proxy for an empty answer. Other
 * addresses and other statuses are left to the client.
 *
 * @throws (also by the body it hands out) AnswerCutError, AnswerDamagedError, UnusableResponseError
 */
export function checkedFetch(fetch: Fetch, clock: Clock = systemClock): Fetch {
  return async (input, init) => {
    const response = await fetch(input, init);
    const protocol = protocolOf(input);
    if (protocol === undefined || response.status !== 200 || response.body === null) return response;
    const request = typeof init?.body === "string" ? (parsedObject(init.body) ?? {}) : {};
    const wantsStream = request.stream === true;
    const type = response.headers.get("content-type") ?? "";
    const check = protocol === "chat" ? chatStreamCheck(factsOf(request)) : responsesStreamCheck();
    const asStream = (body: ReadableStream<Uint8Array>) =>
      copyOf(response, checkedBody(body, check, clock), "text/event-stream");
    const isStream = wantsStream && !/application\/json|text\/html/i.test(type);
    if (isStream) return asStream(response.body);
    const text = await response.text();
    // Some servers stream under a wrong name.
    const events = wantsStream && /^\s*(?:data|event|id|):/.test(text) ? new Response(text).body : null;
    return events === null ? checkedWhole(response, text, { protocol, wantsStream, type }) : asStream(events);
  };
}

type Protocol = "chat" | "responses";

function protocolOf(input: Parameters<Fetch>[0]): Protocol | undefined {
  const url = typeof input === "string" ? input : input instanceof URL ? input.href : input.url;
  const path = url.split(/[?#]/, 1)[0] as string;
  if (path.endsWith("/chat/completions")) return "chat";
  return path.endsWith("/responses") ? "responses" : undefined;
}

function factsOf({ n, stream_options }: Record<string, unknown>): ChatRequestFacts {
  const { include_usage } = (stream_options ?? {}) as { readonly include_usage?: unknown };
  return { choices: typeof n === "number" && n > 1 ? n : 1, includesUsage: include_usage === true };
}

function checkedWhole(
  response: Response,
  text: string,
  {
    protocol,
    wantsStream,
    type,
  }: { readonly protocol: Protocol; readonly wantsStream: boolean; readonly type: string },
): Response {
  const body = parsedObject(text);
  if (body === undefined)
    throw new UnusableResponseError(
      text.trim() === ""
        ? "The answer was empty: status 200 without a body"
        : `The answer is no answer of the API but ${type === "" ? "something else" : type}; it begins ${excerpt(text)}`,
    );
  const { error } = body;
  // Some gateways answer 200 and put the status into the error.
  if (typeof error === "object" && error !== null && body.choices === undefined && body.output === undefined)
    return copyOf(response, text, "application/json", statusWithin(error));
  if (protocol === "chat") {
    const choices = (Array.isArray(body.choices) ? body.choices : []) as readonly (WithRefusal | null)[];
    if (!choices.some((choice) => typeof choice === "object" && choice !== null))
      throw new UnusableResponseError(`The answer has no choices: ${excerpt(text)}`);
    const refusal = choices[0]?.message?.refusal;
    // The client passes over it.
    if (typeof refusal === "string" && refusal !== "") throw new ContentFilteredError(String(body.model), refusal);
  }
  if (!wantsStream) return copyOf(response, text, "application/json");
  if (protocol === "responses")
    throw new UnusableResponseError("A stream was asked for, and the answer came whole; ask for whole answers there");
  return copyOf(response, completionAsStream(body), "text/event-stream");
}

interface WithRefusal {
  readonly message?: { readonly refusal?: unknown } | null;
}

function statusWithin(error: object): number {
  const { code, status } = error as { readonly code?: unknown; readonly status?: unknown };
  const found = [code, status].map(Number).find((number) => Number.isInteger(number) && number >= 400 && number <= 599);
  return found ?? 500;
}

function copyOf(
  { headers: given, statusText }: Response,
  body: string | ReadableStream<Uint8Array>,
  type: string,
  status = 200,
): Response {
  const headers = new Headers(given);
  // Of the body as it was sent; this one is unpacked, and may be longer or shorter.
  for (const name of ["content-encoding", "content-length"]) headers.delete(name);
  headers.set("content-type", type);
  return new Response(body, { status, statusText, headers });
}

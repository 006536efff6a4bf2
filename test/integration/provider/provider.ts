/** A provider with an answer, the pieces it streams it in, and the ways the tests ask it. */
import { ChatOpenAI } from "@langchain/openai";
import { onTestFinished } from "vitest";
import {
  type FaultyProvider,
  type FaultyProviderOptions,
  startFaultyProvider,
} from "../../../src/chaos/faulty-provider.js";

export const ANSWER = "offline: one two three four five six seven eight nine ten eleven";
/** What has left when the answer stops in the middle. */
export const HALF = halfOf(ANSWER);
export const QUESTION = { model: "m-1", messages: [{ role: "user", content: "How did the quarter go?" }] };

/** The pieces a text is streamed in, an event each: four characters a token. */
export function tokensOf(text: string): string[] {
  return text.match(/.{1,4}/gsu) ?? [];
}

/** What has left of a text when its stream stops in the middle: half of its events, the odd one with them. */
export function halfOf(text: string): string {
  const tokens = tokensOf(text);
  return tokens.slice(0, Math.ceil(tokens.length / 2)).join("");
}

/** Closed when the test has finished. */
export async function providerFor(options: Partial<FaultyProviderOptions> = {}): Promise<FaultyProvider> {
  const provider = await startFaultyProvider({ answer: () => ANSWER, ...options });
  onTestFinished(() => provider.close());
  return provider;
}

/** ChatOpenAI as docs/chaos.md sets it up: no retries of its own. */
export function chatOpenAi(baseUrl: string, model = "m-1"): ChatOpenAI {
  return new ChatOpenAI({
    model,
    apiKey: "sk-secret",
    maxRetries: 0,
    useResponsesApi: false,
    configuration: { baseURL: baseUrl },
  });
}

export function ask(baseUrl: string, body: object = QUESTION, signal?: AbortSignal): Promise<Response> {
  return fetch(`${baseUrl}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: "Bearer sk-secret" },
    body: JSON.stringify(body),
    ...(signal && { signal }),
  });
}

interface Completion {
  readonly model: string;
  readonly created: number;
  readonly choices: readonly { readonly message: { readonly content: string } }[];
}

/** A whole answer, and the text in it. */
export async function completionOf(asked: Promise<Response>): Promise<Completion & { text: string }> {
  const body = (await (await asked).json()) as Completion;
  return { ...body, text: body.choices[0]?.message.content ?? "" };
}

/** The `data:` lines of a stream, parsed where they are JSON. */
export function eventsIn(body: string): unknown[] {
  return body
    .split("\n")
    .filter((line) => line.startsWith("data: "))
    .map((line) => {
      try {
        return JSON.parse(line.slice(6));
      } catch {
        return line.slice(6);
      }
    });
}

export const contentIn = (events: readonly unknown[]): string =>
  (events as { choices?: { delta?: { content?: string } }[] }[])
    .map((event) => event.choices?.[0]?.delta?.content ?? "")
    .join("");

/** The body as far as it came, and what ended it other than its end. */
export async function readToTheEnd(response: Response): Promise<{ text: string; error?: Error }> {
  const decoder = new TextDecoder();
  let text = "";
  try {
    for await (const part of response.body ?? []) text += decoder.decode(part, { stream: true });
    return { text };
  } catch (error) {
    return { text, error: error as Error };
  }
}

/** How each request so far ended, once all have: the client may have its answer before the provider knows it. */
export async function outcomesOf({ requests, waitForRequest }: FaultyProvider): Promise<unknown[]> {
  await waitForRequest(() => requests.every(({ outcome }) => outcome !== undefined));
  return requests.map(({ outcome }) => outcome);
}

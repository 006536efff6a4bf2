/** Bodies of streams as a server may cut them up, and what a client makes of what comes through the check. */
import type { Clock } from "../../src/core/clock.js";
import { systemClock } from "../../src/core/clock.js";
import { checkedFetch } from "../../src/langgraph/model/wire/checked-fetch.js";

interface BodyOptions {
  /** Whether the server closes the connection after the last part; default true. */
  readonly ends?: boolean;
  readonly contentType?: string;
  readonly request?: object;
  readonly path?: string;
  readonly clock?: Clock;
}

/** The answer of a server that sends these parts, one after the other. */
export function asked(parts: readonly (string | Uint8Array)[], options: BodyOptions = {}): Promise<Response> {
  const { ends = true, contentType = "text/event-stream", request, path = "/v1/chat/completions", clock } = options;
  const encoder = new TextEncoder();
  const left = parts.map((part) => (typeof part === "string" ? encoder.encode(part) : part));
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const next = left.shift();
      if (next !== undefined) controller.enqueue(next);
      else if (ends) controller.close();
      else return new Promise(() => undefined);
    },
  });
  const served = async () => new Response(body, { headers: { "content-type": contentType } });
  const sent = { stream: true, stream_options: { include_usage: true }, ...request };
  return checkedFetch(served, clock ?? systemClock)(`http://127.0.0.1${path}`, {
    method: "POST",
    body: JSON.stringify(sent),
  });
}

interface Delta {
  readonly choices?: readonly { readonly delta?: { readonly content?: string | null } }[];
}

/** The text a client reads of it. @throws what the check found wrong */
export async function textOf(response: Promise<Response>): Promise<string> {
  const events = (await (await response).text()).split("\n\n").filter((event) => event.includes("data:"));
  return events
    .map((event) =>
      event
        .split("\n")
        .filter((line) => line.startsWith("data: "))
        .map((line) => line.slice(6))
        .join("\n"),
    )
    .filter((data) => data !== "[DONE]")
    .map((data) => (JSON.parse(data) as Delta).choices?.[0]?.delta?.content ?? "")
    .join("");
}

/** A receiver of webhooks on loopback that answers as it is told to. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { onTestFinished } from "vitest";

export interface ReceivedPost {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

type Answer = number | ((response: ServerResponse) => void);

/** @param answers to the requests in order; the last one to all that follow */
export async function startReceiver(...answers: Answer[]) {
  const received: ReceivedPost[] = [];
  let closed = 0;
  const server = createServer(async (request, response) => {
    response.on("close", () => {
      if (!response.writableEnded) closed += 1;
    });
    const body = await text(request).catch(() => "");
    received.push({ path: request.url ?? "", headers: request.headers, body });
    const answer = answers[Math.min(received.length, answers.length) - 1] ?? 200;
    if (typeof answer === "function") answer(response);
    else response.writeHead(answer).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return { origin: `http://127.0.0.1:${port}`, received, givenUpOn: () => closed };
}

/** A port on which nobody listens. */
export async function deadOrigin(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}

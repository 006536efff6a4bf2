/** A TCP proxy in front of PostgreSQL that loses things on command. */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

export interface WireProxy {
  /** The given address, through the proxy. */
  readonly url: string;
  /**
   * Lets the next statement that contains the text through to the server and, in place of its reply, cuts the
   * connection: the server did it, the client cannot know.
   */
  swallowReplyTo(text: string): void;
  /** From now on nothing comes back from the server. */
  freeze(): void;
  close(): Promise<void>;
}

export async function startWireProxy(target: string): Promise<WireProxy> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  let swallow: string | undefined;
  let frozen = false;

  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    let cutOnReply = false;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.on("data", (chunk) => {
      if (swallow !== undefined && chunk.includes(swallow)) {
        swallow = undefined;
        cutOnReply = true;
      }
      upstream.write(chunk);
    });
    upstream.on("data", (chunk) => {
      if (cutOnReply) client.destroy();
      else if (!frozen) client.write(chunk);
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The system gave no port");
  const url = new URL(target);
  url.host = `127.0.0.1:${address.port}`;
  return {
    url: url.href,
    swallowReplyTo(text) {
      swallow = text;
    },
    freeze() {
      frozen = true;
    },
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, "close");
    },
  };
}

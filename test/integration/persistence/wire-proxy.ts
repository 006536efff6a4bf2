/** A TCP proxy in front of PostgreSQL that loses things on command. */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/**
 * When a connection is cut: before the server has seen the statement, when it has but its reply has not come back (the
 * server did it, the client cannot know), or in the middle of the reply.
 */
export type CutMoment = "statement" | "reply" | "half of the reply";

export interface WireProxy {
  /** The given address, through the proxy. */
  readonly url: string;
  /** Statements that came through since the last `cutAt`, each with all that belongs to one round trip. */
  readonly statements: number;
  /** Connections cut by `cutAt` or `swallowReplyTo`. */
  readonly cuts: number;
  /** Cuts the connection of the n-th statement from now, counted from 1; 0 only begins to count. */
  cutAt(n: number, moment?: CutMoment): void;
  /** Lets the next statement that contains the text through and cuts the connection in place of its reply. */
  swallowReplyTo(text: string): void;
  /** From now on nothing comes back: what is connected falls silent for good, what connects anew waits for a thaw. */
  freeze(): void;
  /** Connections made since the freeze are served; those from before stay silent. */
  thaw(): void;
  close(): Promise<void>;
}

export async function startWireProxy(target: string): Promise<WireProxy> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  const onFreeze = new Set<() => void>();
  const onThaw = new Set<() => void>();
  let swallow: string | undefined;
  let cut: { readonly at: number; readonly moment: CutMoment } | undefined;
  let statements = 0;
  let cuts = 0;
  let frozen = false;

  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    let cutOnReply: CutMoment | undefined;
    let silent = false;
    const held: (() => void)[] = [];
    const whenThawed = (deliver: () => void) => {
      if (silent) return;
      if (frozen) held.push(deliver);
      else deliver();
    };
    const cutNow = () => {
      cuts += 1;
      client.destroy();
      upstream.destroy();
    };
    const fallSilent = () => {
      silent = true;
    };
    const deliverHeld = () => {
      for (const deliver of held.splice(0)) deliver();
    };
    onFreeze.add(fallSilent);
    onThaw.add(deliverHeld);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        onFreeze.delete(fallSilent);
        onThaw.delete(deliverHeld);
        client.destroy();
        upstream.destroy();
      });
    }

    const roundTrips = statementCounter();
    client.on("data", (chunk) => {
      whenThawed(() => {
        const begun = roundTrips(chunk);
        statements += begun;
        if (swallow !== undefined && chunk.includes(swallow)) {
          swallow = undefined;
          cutOnReply = "reply";
        }
        if (begun > 0 && cut !== undefined && statements >= cut.at) {
          const { moment } = cut;
          cut = undefined;
          if (moment === "statement") return cutNow();
          cutOnReply = moment;
        }
        upstream.write(chunk);
      });
    });
    upstream.on("data", (chunk) => {
      whenThawed(() => {
        if (cutOnReply === undefined) client.write(chunk);
        else if (cutOnReply === "reply") cutNow();
        else client.write(chunk.subarray(0, Math.ceil(chunk.length / 2)), cutNow);
      });
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The system gave no port");
  const url = new URL(target);
  url.host = `127.0.0.1:${address.port}`;
  return {
    url: url.href,
    get statements() {
      return statements;
    },
    get cuts() {
      return cuts;
    },
    cutAt(n, moment = "statement") {
      statements = 0;
      cut = n === 0 ? undefined : { at: n, moment };
    },
    swallowReplyTo(text) {
      swallow = text;
    },
    freeze() {
      frozen = true;
      for (const each of onFreeze) each();
    },
    thaw() {
      frozen = false;
      for (const each of onThaw) each();
    },
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, "close");
    },
  };
}

/**
 * Counts the round trips that a client begins: its Query and Sync messages (PostgreSQL's protocol, chapter 55.7). The
 * first message of a connection bears no type.
 */
function statementCounter(): (chunk: Buffer) => number {
  let pending: Buffer = Buffer.alloc(0);
  let started = false;
  return (chunk) => {
    pending = Buffer.concat([pending, chunk]);
    let begun = 0;
    for (;;) {
      const typeBytes = started ? 1 : 0;
      if (pending.length < typeBytes + 4) return begun;
      const end = typeBytes + pending.readUInt32BE(typeBytes);
      if (pending.length < end) return begun;
      if (started && "QS".includes(String.fromCharCode(pending[0] ?? 0))) begun += 1;
      started = true;
      pending = pending.subarray(end);
    }
  };
}

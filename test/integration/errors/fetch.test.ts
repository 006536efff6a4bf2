/** What Node's fetch (undici) throws, and why: sockets, names, clocks and certificates, all real and on loopback. */
import { createServer, type RequestListener } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { type AddressInfo, createServer as createPlainServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Category } from "../../../src/errors/categories.js";
import { classifyError } from "../../../src/errors/classify.js";
import { selfSigned } from "./certificate.js";
import { failureOf } from "./failing.js";

async function listening(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
  });
  server.on("tlsClientError", () => undefined);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

const http = async (listener: RequestListener) => `http://127.0.0.1:${await listening(createServer(listener))}`;
const socket = async (listener: (socket: Socket) => void) =>
  `127.0.0.1:${await listening(createPlainServer(listener))}`;
const https = async (certificate: { key: string; cert: string }) =>
  `https://127.0.0.1:${await listening(createSecureServer(certificate, (_, response) => response.end("hello")))}`;

/** undici's own agent with other limits; Node gives out the class only through the agent it uses itself. */
async function agent(options: object): Promise<RequestInit> {
  await fetch("data:,");
  const used = (globalThis as Record<symbol, unknown>)[Symbol.for("undici.globalDispatcher.1")] as object;
  const Agent = used.constructor as new (options: object) => NonNullable<RequestInit["dispatcher"]>;
  const dispatcher = new Agent(options);
  onTestFinished(() => dispatcher.destroy());
  return { dispatcher };
}

const read = async (url: string, init: RequestInit = {}) => (await fetch(url, init)).text();

type Row = readonly [what: string, call: () => Promise<unknown>, category: Category, code: RegExp];

const sockets: readonly Row[] = [
  [
    "refused",
    async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const { port } = server.address() as AddressInfo;
      await new Promise((resolve) => server.close(resolve));
      await read(`http://127.0.0.1:${port}`);
    },
    "network",
    /^ECONNREFUSED$/,
  ],
  ["to a name without an address", () => read("http://host.invalid/"), "network", /^(ENOTFOUND|EAI_AGAIN)$/],
  [
    "reset before the headers",
    async () => read(await http((request) => request.socket.resetAndDestroy())),
    "network",
    /^(ECONNRESET|UND_ERR_SOCKET)$/,
  ],
  [
    "closed before the headers",
    async () => read(`http://${await socket((client) => client.once("data", () => client.end()))}`),
    "network",
    /^UND_ERR_SOCKET$/,
  ],
  [
    "reset in the body",
    async () =>
      read(
        await http((request, response) => {
          response.writeHead(200, { "content-length": "100" });
          response.write("half", () => request.socket.resetAndDestroy());
        }),
      ),
    "network",
    /^(ECONNRESET|UND_ERR_SOCKET)$/,
  ],
  [
    "closed in the body",
    async () =>
      read(
        await http((request, response) => {
          response.writeHead(200, { "content-length": "100" });
          response.write("half", () => request.socket.end());
        }),
      ),
    "network",
    /^UND_ERR_SOCKET$/,
  ],
  [
    "answered in another protocol",
    async () => read(`http://${await socket((client) => client.once("data", () => client.end("SSH-2.0-x\r\n")))}`),
    "network",
    /^HPE_/,
  ],
];

/** undici's own clock ticks twice a second; these limits are reached at its next tick. */
const limits: readonly Row[] = [
  [
    "whose handshake does not come to an end",
    async () => read(`https://${await socket(() => undefined)}`, await agent({ connectTimeout: 10 })),
    "timeout",
    /^UND_ERR_CONNECT_TIMEOUT$/,
  ],
  [
    "whose headers do not come",
    async () => read(await http(() => undefined), await agent({ headersTimeout: 10 })),
    "timeout",
    /^UND_ERR_HEADERS_TIMEOUT$/,
  ],
  [
    "whose body stalls",
    async () => {
      const url = await http((_, response) => {
        response.writeHead(200, { "content-length": "100" });
        response.write("half");
      });
      await read(url, await agent({ bodyTimeout: 10 }));
    },
    "timeout",
    /^UND_ERR_BODY_TIMEOUT$/,
  ],
];

const expired = { validFrom: new Date("2020-01-01"), validTo: new Date("2020-02-01") };
const later = { validFrom: new Date("2120-01-01"), validTo: new Date("2120-02-01") };
const trusting = async (certificate: { key: string; cert: string }, connect: object = {}) =>
  read(await https(certificate), await agent({ connect: { ca: certificate.cert, ...connect } }));

const encrypted: readonly Row[] = [
  [
    "to a server with a self-signed certificate",
    async () => read(await https(selfSigned({ host: "127.0.0.1" }))),
    "environment",
    /^DEPTH_ZERO_SELF_SIGNED_CERT$/,
  ],
  [
    "to a server with another host's certificate",
    () => trusting(selfSigned({ host: "other.example" })),
    "environment",
    /^ERR_TLS_CERT_ALTNAME_INVALID$/,
  ],
  [
    "to a server with a certificate that has expired",
    () => trusting(selfSigned({ host: "127.0.0.1", ...expired })),
    "environment",
    /^CERT_HAS_EXPIRED$/,
  ],
  [
    "to a server with a certificate of the future",
    () => trusting(selfSigned({ host: "127.0.0.1", ...later })),
    "environment",
    /^CERT_NOT_YET_VALID$/,
  ],
  [
    "in TLS to a port that speaks plain HTTP",
    async () => read((await http((_, response) => response.end())).replace("http:", "https:")),
    "environment",
    /^ERR_SSL_WRONG_VERSION_NUMBER$/,
  ],
  [
    "in plain HTTP to a port that speaks TLS",
    async () => read((await https(selfSigned({ host: "127.0.0.1" }))).replace("https:", "http:")),
    "network",
    /^(ECONNRESET|UND_ERR_SOCKET)$/,
  ],
  [
    "to a server that wants a newer TLS",
    async () => {
      const certificate = selfSigned({ host: "127.0.0.1" });
      const port = await listening(createTlsServer({ ...certificate, minVersion: "TLSv1.3" }));
      const options = { ca: certificate.cert, maxVersion: "TLSv1.2" };
      await read(`https://127.0.0.1:${port}`, await agent({ connect: options }));
    },
    "environment",
    /^ERR_SSL_/,
  ],
];

describe.each([
  ["of sockets", sockets],
  ["of limits", limits],
  ["of TLS", encrypted],
] as const)("a matter %s: a connection", (_, rows) => {
  it.each(rows)("%s is told by the code beneath the TypeError", async (_what, call, category, code) => {
    const error = await failureOf(call);
    expect(error).toBeInstanceOf(TypeError);
    expect(classifyError(error)).toMatchObject({ category, code: expect.stringMatching(code) });
  });
});

it("a certificate that is trusted, valid and the host's own is accepted: the tests above fail for their own reason", async () => {
  expect(await trusting(selfSigned({ host: "127.0.0.1" }))).toBe("hello");
});

describe("a call that is aborted", () => {
  const silently = (signal: (arrived: Promise<void>) => AbortSignal) =>
    failureOf(async () => {
      let onArrival = () => {};
      const arrived = new Promise<void>((resolve) => {
        onArrival = resolve;
      });
      await read(await http(() => onArrival()), { signal: signal(arrived) });
    });

  it("by the caller is cancelled", async () => {
    const controller = new AbortController();
    const error = await silently((arrived) => {
      void arrived.then(() => controller.abort());
      return controller.signal;
    });
    expect(classifyError(error)).toEqual({
      category: "cancelled",
      retryable: false,
      message: "This operation was aborted",
    });
  });

  it("by AbortSignal.timeout is a timeout", async () => {
    const error = await silently(() => AbortSignal.timeout(20));
    expect(classifyError(error)).toMatchObject({ category: "timeout", retryable: true });
    expect(classifyError(error)).not.toHaveProperty("code");
  });
});

it("an address that is none is a mistake in the code", async () => {
  expect(classifyError(await failureOf(() => fetch("nonsense")))).toMatchObject({
    category: "bug",
    code: "ERR_INVALID_URL",
  });
});

it("an answer that is no JSON is malformed output", async () => {
  const url = await http((_, response) => response.end("<html></html>"));
  const error = await failureOf(async () => (await fetch(url)).json());
  expect(classifyError(error)).toMatchObject({ category: "malformed_output" });
});

it("a Response thrown as it is counts by its status and its headers", async () => {
  const url = await http((_, response) => response.writeHead(429, { "retry-after": "3" }).end());
  const error = await failureOf(async () => {
    throw await fetch(url);
  });
  expect(classifyError(error)).toMatchObject({ category: "rate_limit", status: 429, retryAfterMs: 3000 });
});

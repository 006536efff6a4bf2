/** Replies of a real mail server, as nodemailer tells them: RFC 5321 section 4.2.3, RFC 4954 section 6. */
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import nodemailer from "nodemailer";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import { describe, expect, it, onTestFinished } from "vitest";
import { classifyError } from "../../../src/errors/classify.js";
import { selfSigned } from "./certificate.js";
import { failureOf } from "./failing.js";

const reply = (code: number) => Object.assign(new Error("refused"), { responseCode: code });

async function mailServer(options: SMTPServerOptions): Promise<number> {
  const server = new SMTPServer({ authOptional: true, disableReverseLookup: true, closeTimeout: 10, ...options });
  server.on("error", () => undefined);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
  return (server.server.address() as AddressInfo).port;
}

async function plainServer(listener: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    listener(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

async function reportOf(port: number, transport: object = {}, mail: object = {}) {
  const sender = nodemailer.createTransport({ host: "127.0.0.1", port, ...transport });
  onTestFinished(() => sender.close());
  const message = { from: "ann@example.com", to: "bob@example.com", subject: "Hello", text: "Hello", ...mail };
  return classifyError(await failureOf(() => sender.sendMail(message)));
}

const plain = { hideSTARTTLS: true, allowInsecureAuth: true } as const;

describe("a reply of the mail server", () => {
  it.each([
    [421, "server_error"],
    [450, "server_error"],
    [451, "server_error"],
    [452, "server_error"],
    [550, "invalid_input"],
    [552, "invalid_input"],
    [553, "invalid_input"],
  ] as const)("%i to a recipient is %s", async (code, category) => {
    const port = await mailServer({ ...plain, onRcptTo: (_address, _session, done) => done(reply(code)) });
    expect(await reportOf(port)).toMatchObject({ category, provider: "smtp" });
  });

  it.each([
    [421, "server_error"],
    [452, "server_error"],
    [552, "invalid_input"],
    [554, "invalid_input"],
  ] as const)("%i to the mail itself is %s", async (code, category) => {
    const port = await mailServer({
      ...plain,
      onData: (stream, _session, done) => {
        stream.on("end", () => done(reply(code))).resume();
      },
    });
    expect(await reportOf(port)).toMatchObject({ category, provider: "smtp" });
  });

  it.each([
    [421, "server_error"],
    [454, "server_error"],
    [534, "auth"],
    [535, "auth"],
    [538, "auth"],
  ] as const)("%i to the login is %s", async (code, category) => {
    const port = await mailServer({ ...plain, onAuth: (_auth, _session, done) => done(reply(code)) });
    expect(await reportOf(port, { auth: { user: "ann", pass: "secret" } })).toMatchObject({ category });
  });

  it("530 to a sender who did not log in is a matter of the login", async () => {
    expect(await reportOf(await mailServer({ ...plain, authOptional: false }))).toMatchObject({ category: "auth" });
  });

  it("421 for a greeting is a failure of the server", async () => {
    const port = await mailServer({ ...plain, onConnect: (_session, done) => done(reply(421)) });
    expect(await reportOf(port)).toMatchObject({ category: "server_error" });
  });
});

describe("a mail", () => {
  it("without a recipient is invalid input", async () => {
    expect(await reportOf(await mailServer(plain), {}, { to: "" })).toMatchObject({
      category: "invalid_input",
      code: "EENVELOPE",
    });
  });

  it("whose attachment is missing tells of the file, not of a stream", async () => {
    const port = await mailServer({
      ...plain,
      onData: (stream, _session, done) => void stream.on("end", done).resume(),
    });
    const report = await reportOf(port, {}, { attachments: [{ path: "/no/such/file" }] });
    expect(report).toMatchObject({ category: "not_found", code: "ENOENT" });
  });
});

describe("a mail server that", () => {
  it("refuses the connection is a network failure with its errno", async () => {
    const closed = createServer();
    await new Promise<void>((resolve) => closed.listen(0, "127.0.0.1", resolve));
    const { port } = closed.address() as AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    expect(await reportOf(port)).toMatchObject({ category: "network", code: "ECONNREFUSED" });
  });

  it("resets the connection is a network failure", async () => {
    expect(await reportOf(await plainServer((socket) => socket.resetAndDestroy()))).toMatchObject({
      category: "network",
    });
  });

  it("has no address is a network failure", async () => {
    expect(await reportOf(25, { host: "host.invalid" })).toMatchObject({ category: "network" });
  });

  it("says nothing is a timeout", async () => {
    expect(await reportOf(await plainServer(() => undefined), { greetingTimeout: 20 })).toMatchObject({
      category: "timeout",
    });
  });

  it("speaks something else is a failure of the server", async () => {
    expect(await reportOf(await plainServer((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n")))).toMatchObject({
      category: "server_error",
      code: "EPROTOCOL",
    });
  });

  it.each([
    ["over TLS", { secure: true }],
    ["by STARTTLS", { secure: false }],
  ])("shows a self-signed certificate %s is a matter of the environment", async (_how, options) => {
    const port = await mailServer({ ...selfSigned({ host: "127.0.0.1" }), ...options });
    expect(await reportOf(port, options)).toMatchObject({
      category: "environment",
      code: "DEPTH_ZERO_SELF_SIGNED_CERT",
    });
  });
});

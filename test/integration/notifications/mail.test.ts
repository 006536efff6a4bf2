/** Mail against a real SMTP server on loopback. */
import type { AddressInfo } from "node:net";
import { SMTPServer } from "smtp-server";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { mailChannel } from "../../../src/notifications/mail-channel.js";
import { FakeClock } from "../../support/fake-clock.js";
import { notice } from "../../unit/notifications/sample-notice.js";
import { selfSigned } from "../errors/certificate.js";
import { startMailServer } from "../graphs/mail-server.js";
import { failureOf } from "./failing.js";
import { deadOrigin } from "./http-receiver.js";

const PASSWORD = "p@ss/w0rd-of-the-mail";
const SECRETS = [
  PASSWORD,
  encodeURIComponent(PASSWORD),
  Buffer.from(PASSWORD).toString("base64"),
  Buffer.from(`\0ann\0${PASSWORD}`).toString("base64"),
];
const withLogin = (url: string) => url.replace(/\/\/(ann:secret@)?/, `//ann:${encodeURIComponent(PASSWORD)}@`);

const never = new AbortController().signal;
const channel = (url: string, options: object = {}) =>
  mailChannel({ url, from: "LangGraph <lgr@example.com>", initialDelayMs: 1, ...options });

/** What a mail says in plain text, its transfer encoding undone. */
function plainText(body: string): string {
  const part = /Content-Type: text\/plain[\s\S]*?\n\n([\s\S]*?)\n--/.exec(body)?.[1] ?? body;
  return part
    .replace(/=\n/g, "")
    .replace(/(?:=[0-9A-F]{2})+/g, (hex) => Buffer.from(hex.replaceAll("=", ""), "hex").toString());
}

describe("a mail", () => {
  it("arrives as plain text with HTML beside it", async () => {
    const { url, received } = await startMailServer();
    await channel(url).send(notice({ to: ["Anna <anna@example.com>"] }), never);
    expect(received).toHaveLength(1);
    const [{ to, headers, body } = { to: [], headers: {}, body: "" }] = received;
    expect(to).toEqual(["anna@example.com"]);
    expect(headers).toMatchObject({
      from: "LangGraph <lgr@example.com>",
      to: "Anna <anna@example.com>",
      subject: "Decision needed: charge in order-saga (order-42)",
      "auto-submitted": "auto-generated",
    });
    expect(headers["content-type"]).toMatch(/^multipart\/alternative/);
    expect(plainText(body)).toContain("npx lgr inbox show order-42");
    expect(body).toContain("<!doctype html>");
  });

  it("of one question belongs to one thread of mails, and a repeated one is the same mail", async () => {
    const { url, received } = await startMailServer();
    const mail = channel(url);
    const reminder = notice({ event: "reminder", id: "reminder-1" });
    await Promise.all([notice(), reminder, reminder].map((one) => mail.send(one, never)));
    const all = received.map(({ headers }) => headers);
    const [opening] = all.filter((headers) => headers["in-reply-to"] === undefined);
    const [first, again] = all.filter((headers) => headers["in-reply-to"] !== undefined);
    expect(again).toBeDefined();
    expect(first).toMatchObject({ "in-reply-to": opening?.["message-id"], references: opening?.["message-id"] });
    expect(first?.["message-id"]).not.toBe(opening?.["message-id"]);
    expect(again?.["message-id"]).toBe(first?.["message-id"]);
    expect(first?.subject).toBe(`Re: ${opening?.subject}`);
  });

  it("names those whom it could not reach", async () => {
    const { url, received } = await startMailServer();
    const mail = channel(url, { people: { anna: "anna@example.com" }, to: "boss@example.com" });
    await Promise.all([["anna", "carl"], ["carl"]].map((to) => mail.send(notice({ to }), never)));
    expect(received.map(({ to }) => to.join()).sort()).toEqual(["anna@example.com", "boss@example.com"]);
    for (const { body } of received) expect(plainText(body)).toContain("No mail address is known of: carl");
    await expect(channel(url).send(notice({ to: ["carl"] }), never)).rejects.toMatchObject({
      code: "CONFIG",
      message: expect.stringContaining("carl"),
    });
  });

  it("gets no header, recipient or second mail by what it is about", async () => {
    const evil = "x\r\nBcc: evil@example.com\r\nX-Evil: 1\r\n\r\n.\r\nMAIL FROM:<evil@example.com>\r\n";
    const { url, received } = await startMailServer();
    const of = notice(
      { id: evil, event: "reminder", to: ["x\r\nBcc: evil@example.com <anna@example.com>"], command: evil },
      { id: evil, thread: evil, graph: evil, node: evil, summary: evil },
    );
    const worded = channel(url, { template: () => ({ subject: evil, text: evil }) });
    await Promise.all([channel(url), worded].map((one) => one.send(of, never)));
    expect(received).toHaveLength(2);
    for (const { to, headers } of received) {
      expect(to).toEqual(["anna@example.com"]);
      expect(Object.keys(headers)).not.toContain("bcc");
      expect(Object.keys(headers)).not.toContain("x-evil");
    }
  });
});

describe("a mail server that", () => {
  it("is busy is asked again", async () => {
    const { url, received, offered } = await startMailServer({ mail: [451, undefined] });
    await channel(url).send(notice(), never);
    expect([received.length, offered()]).toEqual([1, 2]);
  });

  it("wants no such mail is not asked again", async () => {
    const { url, offered } = await startMailServer({ mail: [554] });
    const error = await failureOf(channel(url).send(notice(), never), []);
    expect(error).toMatchObject({ code: "DELIVERY_FAILED", category: "invalid_input", retryable: false });
    expect(offered()).toBe(1);
  });

  it("refuses one recipient for good has told the others, and a warning says whom not", async () => {
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
    const { url, received } = await startMailServer({
      recipient: (address) => (address.startsWith("carl") ? 550 : undefined),
    });
    await channel(url).send(notice({ to: ["anna@example.com", "carl@example.com"] }), never);
    expect(received.map(({ to }) => to)).toEqual([["anna@example.com"]]);
    expect(warned).toHaveBeenCalledExactlyOnceWith(
      expect.stringMatching(/"mail" could not tell carl@example.com: .*550/),
      "ResilienceWarning",
    );
    warned.mockRestore();
  });

  it("puts one recipient off gets the mail for that one alone again", async () => {
    let asked = 0;
    const greylisted = (address: string) => (address.startsWith("carl") && ++asked === 1 ? 450 : undefined);
    const { url, received } = await startMailServer({ recipient: greylisted });
    await channel(url).send(notice({ to: ["anna@example.com", "carl@example.com"] }), never);
    expect(received.map(({ to }) => to)).toEqual([["anna@example.com"], ["carl@example.com"]]);
    expect(received[1]?.headers["message-id"]).toBe(received[0]?.headers["message-id"]);
  });

  it("refuses everybody has told nobody", async () => {
    const { url } = await startMailServer({ recipient: () => 550 });
    expect(await failureOf(channel(url).send(notice(), never), [])).toMatchObject({ category: "invalid_input" });
  });

  it("refuses the login is not asked again, and the error does not hold the password", async () => {
    const { url, closed } = await startMailServer({ login: true });
    const error = await failureOf(channel(withLogin(url)).send(notice(), never), SECRETS);
    expect(error).toMatchObject({ category: "auth", retryable: false });
    await vi.waitFor(() => expect(closed()).toBe(1));
  });

  it("tells the password back is not repeated", async () => {
    const told = Object.assign(new Error(`no such login: ${SECRETS.join(" ")}`), { responseCode: 535 });
    const url = await tlsServer({ onAuth: (_auth, _session, done) => done(told) });
    const error = await failureOf(
      channel(withLogin(url), { tls: { rejectUnauthorized: false } }).send(notice(), never),
      SECRETS,
    );
    expect(error.message).toContain("no such login: [redacted]");
  });

  it("is not there is a matter of the network", async () => {
    const url = withLogin((await deadOrigin()).replace("http", "smtp"));
    const error = await failureOf(channel(url).send(notice(), never), SECRETS);
    expect(error).toMatchObject({ category: "network", retryable: true });
  });

  it("never answers is given up on after 10 seconds, and its connection closed", async () => {
    const clock = new FakeClock();
    const { url, offered, closed } = await startMailServer({ silent: true });
    const failure = failureOf(channel(url, { clock, attempts: 1 }).send(notice(), never), []);
    await vi.waitFor(() => expect(offered()).toBe(1));
    expect(clock.alarms).toEqual([10_000]);
    await clock.advance(10_000);
    expect(await failure).toMatchObject({ category: "timeout" });
    await vi.waitFor(() => expect(closed()).toBe(1));
  });

  it("is left at once when the signal aborts", async () => {
    const { url, offered, closed } = await startMailServer({ silent: true });
    const controller = new AbortController();
    const sending = channel(url).send(notice(), controller.signal);
    sending.catch(() => undefined);
    await vi.waitFor(() => expect(offered()).toBe(1));
    const reason = new Error("the sweep is over");
    controller.abort(reason);
    await expect(sending).rejects.toBe(reason);
    await vi.waitFor(() => expect(closed()).toBe(1));
  });
});

/** By STARTTLS; takes any login, unless told otherwise. */
async function tlsServer(
  options: ConstructorParameters<typeof SMTPServer>[0] = {},
  certificate = selfSigned({ host: "127.0.0.1" }),
) {
  const server = new SMTPServer({
    ...certificate,
    disableReverseLookup: true,
    closeTimeout: 10,
    onAuth: ({ username }, _session, done) => done(null, { user: username }),
    onData: (stream, _session, done) => void stream.on("end", done).resume(),
    ...options,
  });
  server.on("error", () => undefined);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
  return `smtp://127.0.0.1:${(server.server.address() as AddressInfo).port}`;
}

describe("by STARTTLS", () => {
  it("login and mail go over TLS alone", async () => {
    const certificate = selfSigned({ host: "127.0.0.1" });
    const seen: object[] = [];
    const url = await tlsServer(
      {
        onAuth: ({ username, password }, { secure }, done) => {
          seen.push({ username, right: password === PASSWORD, secure });
          done(null, { user: username });
        },
      },
      certificate,
    );
    await channel(withLogin(url), { requireTls: true, tls: { ca: certificate.cert } }).send(notice(), never);
    expect(seen).toEqual([{ username: "ann", right: true, secure: true }]);
  });

  it("a certificate that nobody vouches for is refused, before the login", async () => {
    let logins = 0;
    const url = await tlsServer({ onAuth: (_auth, _session, done) => done(new Error(`${++logins}`)) });
    const error = await failureOf(channel(withLogin(url)).send(notice(), never), SECRETS);
    expect(error).toMatchObject({ category: "environment", retryable: false });
    expect(logins).toBe(0);
  });

  it("a server without it gets no login where TLS is required", async () => {
    let logins = 0;
    const url = await tlsServer({
      hideSTARTTLS: true,
      disabledCommands: ["STARTTLS"],
      allowInsecureAuth: true,
      onAuth: (_auth, _session, done) => done(new Error(`${++logins}`)),
    });
    await failureOf(channel(withLogin(url), { requireTls: true }).send(notice(), never), SECRETS);
    expect(logins).toBe(0);
  });
});

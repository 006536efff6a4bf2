/** A mail server on loopback that refuses what it is told to. */
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { SMTPServer } from "smtp-server";
import { onTestFinished } from "vitest";

export interface Refusals {
  /** Reply to each recipient; undefined accepts. */
  readonly recipient?: (address: string) => number | undefined;
  /** Replies to the mails themselves, in order; undefined accepts. */
  readonly mail?: readonly (number | undefined)[];
  /** Takes no login. */
  readonly login?: boolean;
  /** Never answers the mail itself. */
  readonly silent?: boolean;
}

export interface ReceivedMail {
  readonly to: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
  /** Without its headers. */
  readonly body: string;
}

/** Headers by their names in small letters, unfolded (RFC 5322, 2.2.3), and the rest. */
export function parseMail(source: string): Pick<ReceivedMail, "headers" | "body"> {
  const text = source.replaceAll("\r\n", "\n");
  const end = text.indexOf("\n\n");
  const lines = text
    .slice(0, end)
    .replace(/\n[ \t]+/g, " ")
    .split("\n");
  const headers = lines.map((line) => [
    line.slice(0, line.indexOf(":")).toLowerCase(),
    line.slice(line.indexOf(":") + 1).trim(),
  ]);
  return { headers: Object.fromEntries(headers), body: text.slice(end + 2) };
}

const refusal = (code: number) => Object.assign(new Error(`refused with ${code}`), { responseCode: code });

export async function startMailServer({ recipient, mail = [], login = false, silent = false }: Refusals = {}) {
  const received: ReceivedMail[] = [];
  let offered = 0;
  let closed = 0;
  const server = new SMTPServer({
    authOptional: !login,
    hideSTARTTLS: true,
    allowInsecureAuth: true,
    disableReverseLookup: true,
    closeTimeout: 10,
    onAuth: (_auth, _session, done) => done(refusal(535)),
    onRcptTo: ({ address }, _session, done) => {
      const code = recipient?.(address);
      done(code === undefined ? null : refusal(code));
    },
    onData: (stream, session, done) => {
      void text(stream).then((source) => {
        const code = mail[offered];
        offered += 1;
        if (silent) return;
        if (code !== undefined) return done(refusal(code));
        received.push({ to: session.envelope.rcptTo.map(({ address }) => address), ...parseMail(source) });
        done();
      });
    },
    onClose: () => {
      closed += 1;
    },
  });
  server.on("error", () => undefined);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
  const { port } = server.server.address() as AddressInfo;
  return {
    url: `smtp://${login ? "ann:secret@" : ""}127.0.0.1:${port}`,
    received,
    offered: () => offered,
    closed: () => closed,
  };
}

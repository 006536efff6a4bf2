import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { ConfigError, InvalidInputError } from "langgraph-resilience";
import { createTransport, type SendMailOptions } from "nodemailer";
import { quarterName } from "./figures.js";
import { reportHtml } from "./report.js";
import { present, type QuarterlyReport } from "./state.js";

const CHART_CID = "chart@quarterly-report";
/** A server that accepts a connection and says nothing must not hold the run. */
const TIMEOUTS = { connectionTimeout: 5_000, greetingTimeout: 5_000, socketTimeout: 15_000 };
const ADDRESS = /^[^\s@<>,]+@[^\s@<>,]+$/;

/** The addresses of `mailTo`, else of MAIL_TO. */
export function recipients(mailTo: string | undefined): string[] {
  return (mailTo ?? process.env.MAIL_TO ?? "")
    .split(",")
    .map((address) => address.trim())
    .filter((address) => address !== "");
}

/**
 * @throws InvalidInputError before any work is done for a mail that could not be addressed
 * @throws ConfigError for an SMTP_URL that is none
 */
export function checkRecipients(mailTo: string | undefined): void {
  if (process.env.SMTP_URL) checkSmtpUrl(process.env.SMTP_URL);
  const addresses = recipients(mailTo);
  const wrong = addresses.find((address) => !ADDRESS.test(address));
  if (wrong !== undefined) throw new InvalidInputError(`mailTo: ${JSON.stringify(wrong)} is not a mail address`);
  if (addresses.length === 0 && process.env.SMTP_URL) {
    throw new InvalidInputError("SMTP_URL is set but there is no recipient: give mailTo in the input or set MAIL_TO");
  }
}

/**
 * The report as a mail. The Message-ID is made of the thread and the report's content: when a step is repeated after a
 * crash, the second copy carries the same one and receivers can drop it.
 */
export async function composeMail(
  state: QuarterlyReport,
  thread: string,
): Promise<SendMailOptions & { messageId: string; to: string[] }> {
  const { company, current } = present(state, "figures");
  const { markdownPath } = present(state, "report");
  const { pngPath } = present(state, "chart");
  const markdown = await readFile(markdownPath, "utf8");
  const digest = createHash("sha256")
    .update(JSON.stringify([thread, markdown]))
    .digest("hex")
    .slice(0, 40);
  return {
    messageId: `<${digest}@quarterly-report.langgraph-resilience>`,
    from: process.env.MAIL_FROM || "quarterly-report@localhost",
    to: recipients(state.mailTo),
    subject: `${company}: fiscal ${quarterName(current)} report`,
    text: markdown,
    html: reportHtml(markdown, `cid:${CHART_CID}`),
    attachments: [{ filename: "chart.png", path: pngPath, cid: CHART_CID }],
  };
}

/** Sends by SMTP and stops when the signal aborts. @returns the addresses the server took and those it refused */
export async function sendBySmtp(
  url: string,
  mail: SendMailOptions,
  signal?: AbortSignal,
): Promise<{ accepted: string[]; refused: string[] }> {
  checkSmtpUrl(url);
  signal?.throwIfAborted();
  const transport = createTransport({ url, ...TIMEOUTS });
  try {
    const { accepted, rejected } = await transport.sendMail({ ...mail, ...(signal && { signal }) });
    return { accepted: accepted.map(addressOf), refused: rejected.map(addressOf) };
  } catch (error) {
    // nodemailer reports an abort as an error of its own; the signal knows why.
    signal?.throwIfAborted();
    throw error;
  } finally {
    transport.close();
  }
}

/** nodemailer takes what it cannot read for port 587 of this machine, where another mail server may listen. */
function checkSmtpUrl(url: string): void {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed !== undefined && ["smtp:", "smtps:"].includes(parsed.protocol) && parsed.hostname !== "") return;
  // It may hold a password, so it is not printed.
  throw new ConfigError("SMTP_URL is not an address like smtp://user:password@mail.example.com:587");
}

/** The mail as a file that mail programs open as a draft (`X-Unsent` is Outlook's header for that). */
export async function mailFile(mail: SendMailOptions): Promise<Buffer> {
  const transport = createTransport({ streamTransport: true, buffer: true, newline: "unix" });
  const { message } = await transport.sendMail({
    ...mail,
    headers: { "X-Unsent": "1", "X-Outbox-Note": "Not sent: SMTP_URL is not set" },
  });
  return message as Buffer;
}

function addressOf(recipient: string | { readonly address: string }): string {
  return typeof recipient === "string" ? recipient : recipient.address;
}

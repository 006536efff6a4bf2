import type { SendMailOptions } from "nodemailer";
import { z } from "zod";
import type { Channel, Notice } from "../core/notice-ports.js";
import { parseOptions } from "../core/options.js";
import { ConfigError } from "../errors/own-errors.js";
import { type ChannelOptions, channelShape, peopleShape, unprinted } from "./channel-options.js";
import { chosenWords } from "./chosen-words.js";
import { delivery } from "./delivery.js";
import { handIn, type MailConnection, type Refusal } from "./hand-in.js";
import { type Hide, hiding } from "./hidden.js";
import { mailIdentity } from "./mail-identity.js";
import { type NoticeMessage, noticeMessage } from "./notice-message.js";
import { escapeHtml, oneLine } from "./plain-text.js";
import { type MailAddress, mailAddress, type Recipients, recipientsOf } from "./recipients.js";
import { secretsOfSmtp, smtpServer } from "./smtp-server.js";

export interface MailChannelOptions extends ChannelOptions<NoticeMessage> {
  /** `smtp://user:password@host:587`, or `smtps://…` for TLS from the first byte on (port 465). Never printed. */
  readonly url: string;
  /** The sender: `lgr@example.com` or `LangGraph <lgr@example.com>`. */
  readonly from: string;
  /** Who gets what is addressed to nobody, or to nobody with a known address. */
  readonly to?: string | readonly string[];
  /** Addresses of the people that graphs name: `{ anna: "anna@example.com" }`. */
  readonly people?: Readonly<Record<string, string>>;
  /** Whether a server without STARTTLS is refused; default for a login that goes to another machine. */
  readonly requireTls?: boolean;
  /** For a server with a certificate of your own: the authority that issued it, in PEM. */
  readonly tls?: { readonly ca?: string; readonly rejectUnauthorized?: boolean };
}

const schema = z.strictObject({
  ...channelShape,
  url: unprinted,
  from: z.string(),
  to: z.union([z.string(), z.array(z.string())]).default([]),
  people: peopleShape.default({}),
  requireTls: z.boolean().optional(),
  tls: z.strictObject({ ca: z.string().optional(), rejectUnauthorized: z.boolean().optional() }).optional(),
});

const messageSchema: z.ZodType<NoticeMessage> = z.object({
  subject: z.string(),
  text: z.string(),
  html: z.string().optional(),
});

const MAX_SUBJECT = 250;

/**
 * Mails, as plain text with an HTML alternative, one thread of mails for each question. Needs the package `nodemailer`.
 *
 * @throws ConfigError for wrong options; `send` rejects with it where nobody has an address, with a DeliveryError where
 * no server took the mail
 */
export function mailChannel(options: MailChannelOptions): Channel {
  const owner = "mailChannel";
  const policy = parseOptions(owner, schema, options);
  const { name = "mail", events, people, template } = policy;
  const server = smtpServer(owner, policy.url, policy.requireTls);
  const from = addressIn(owner, "from", policy.from);
  const byDefault = [policy.to].flat().map((one) => addressIn(owner, "to", one));
  for (const address of Object.values(people)) addressIn(owner, "people", address);
  const hide = hiding(secretsOfSmtp(String(policy.url), server));
  const deliver = delivery(name, { where: `${server.host}:${server.port}`, hide }, policy);
  const connection: MailConnection = { ...server, ...(policy.tls === undefined ? {} : { tls: policy.tls }) };

  const compose = (notice: Notice, { addresses, unknown }: Recipients): SendMailOptions => {
    const { subject, text, html } = chosenWords(name, notice, template, messageSchema, noticeMessage);
    const { messageId, inReplyTo } = mailIdentity(notice);
    const missing = unknown.length === 0 ? "" : `No mail address is known of: ${unknown.join(", ")}`;
    return {
      messageId,
      ...(inReplyTo === undefined ? {} : { inReplyTo, references: [inReplyTo] }),
      from,
      to: [...addresses],
      envelope: { from: from.address },
      subject: oneLine(subject, MAX_SUBJECT),
      text: missing === "" ? text : `${text}\n${missing}\n`,
      ...(html === undefined ? {} : { html: missing === "" ? html : `${html}\n<p>${escapeHtml(missing)}</p>` }),
      // Keeps out-of-office replies away: RFC 3834, section 5, and Exchange's own header.
      headers: { "Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All" },
      disableFileAccess: true,
      disableUrlAccess: true,
    };
  };

  return {
    name,
    ...(events === undefined ? {} : { events }),
    async send(notice, signal) {
      signal.throwIfAborted();
      const recipients = recipientsOf(`${owner}(${name})`, notice.to, people, byDefault);
      const mail = compose(notice, recipients);
      let left = recipients.addresses.map(({ address }) => address);
      let told = 0;
      await deliver(async (attemptSignal) => {
        const refused = await handIn(connection, mail, left, attemptSignal);
        told += left.length - refused.length;
        const later = refused.filter(mayPass);
        if (told === 0 && later.length === 0) throw refused[0];
        for (const refusal of refused) if (!mayPass(refusal)) warnOfRefusal(name, refusal, hide);
        left = later.flatMap(({ recipient }) => recipient ?? []);
        // The others have the mail; those that the server puts off are tried again.
        if (later[0] !== undefined) throw later[0];
      }, signal);
    },
  };
}

function addressIn(owner: string, option: string, text: string): MailAddress {
  const address = mailAddress(text);
  if (address !== undefined) return address;
  throw new ConfigError(
    `${owner}: option "${option}" has ${JSON.stringify(oneLine(text, 100))}, which is no mail address`,
  );
}

/** RFC 5321, section 4.2.1: from 500 on it is final. */
const mayPass = ({ responseCode = 0 }: Refusal) => responseCode < 500;

function warnOfRefusal(channel: string, { recipient, message }: Refusal, hide: Hide): void {
  process.emitWarning(
    `Channel "${channel}" could not tell ${hide(recipient ?? "a recipient")}: ${hide(message)}`,
    "ResilienceWarning",
  );
}

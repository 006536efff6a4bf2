/** Replies of mail servers (RFC 5321 section 4.2, RFC 4954 section 6), and nodemailer's own codes. */
import type { ErrorRule } from "../error-rule.js";
import type { ErrorFacts } from "../facts.js";
import { coded, either, row } from "./row.js";

const replied =
  (from: number, to: number) =>
  ({ smtpStatus }: ErrorFacts): boolean =>
    smtpStatus !== undefined && smtpStatus >= from && smtpStatus <= to;
const repliedOneOf =
  (...codes: number[]) =>
  ({ smtpStatus }: ErrorFacts): boolean =>
    smtpStatus !== undefined && codes.includes(smtpStatus);

export const MAIL_RULES: readonly ErrorRule[] = [
  // Before the login: 454 is a login that may succeed later.
  row("mail, transient reply", "server_error", replied(400, 499)),
  row("mail login", "auth", either(coded("EAUTH", "ENOAUTH", "EOAUTH2"), repliedOneOf(530, 534, 535, 538))),
  row("mail, permanent reply", "invalid_input", replied(500, 599)),
  row("mail address or text", "invalid_input", coded("EENVELOPE", "EMESSAGE", "EMAXRECIPIENTS")),
  row("mail server talks nonsense", "server_error", coded("EPROTOCOL")),
  row("mail server lacks TLS", "environment", coded("EREQUIRETLS")),
  row("mail connection", "network", coded("ECONNECTION", "ESOCKET", "EDNS", "ESTREAM", "ETLS", "EPROXY")),
];

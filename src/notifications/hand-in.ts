import type { SendMailOptions } from "nodemailer";
import { importOptional } from "../core/optional-import.js";
import type { SmtpServer } from "./smtp-server.js";

/** What a server said of one recipient. */
export interface Refusal extends Error {
  readonly recipient?: string | undefined;
  readonly responseCode?: number | undefined;
}

export interface MailConnection extends SmtpServer {
  readonly tls?: { readonly ca?: string | undefined; readonly rejectUnauthorized?: boolean | undefined };
}

/**
 * Hands the mail in for these recipients, over a connection of its own.
 *
 * @returns the recipients that the server refused, be it some or all; the others have the mail
 * @throws what nodemailer throws where it is not about recipients; the connection is closed when the signal aborts
 */
export async function handIn(
  { auth, tls, ...server }: MailConnection,
  mail: SendMailOptions,
  to: readonly string[],
  signal: AbortSignal,
): Promise<readonly Refusal[]> {
  const who = "mailChannel needs a package";
  const { createTransport } = await importOptional(() => import("nodemailer"), "nodemailer", who);
  const transport = createTransport({ ...server, ...(auth && { auth: { ...auth } }), ...(tls && { tls: { ...tls } }) });
  try {
    const envelope = { from: mail.envelope?.from, to: [...to] };
    const { rejectedErrors } = await transport.sendMail({ ...mail, envelope, signal });
    return rejectedErrors ?? [];
  } catch (error) {
    const { code, rejectedErrors } = error as { code?: unknown; rejectedErrors?: readonly Refusal[] };
    if (code === "EENVELOPE" && rejectedErrors?.length === to.length) return rejectedErrors;
    throw error;
  } finally {
    transport.close();
  }
}

import { ConfigError } from "../errors/own-errors.js";
import { isLoopback } from "./http-post.js";

/** Where mail is handed in, and as whom. */
export interface SmtpServer {
  readonly host: string;
  readonly port: number;
  /** TLS from the first byte on; otherwise STARTTLS where the server offers it. */
  readonly secure: boolean;
  /** No login and no mail goes to this server without TLS. */
  readonly requireTLS: boolean;
  readonly auth?: { readonly user: string; readonly pass: string };
}

/** RFC 8314, section 3.3, and RFC 6409, section 3.1. */
const PORTS = { "smtps:": 465, "smtp:": 587 } as const;

/**
 * A server by its address. A login is sent over TLS alone, except on this machine.
 *
 * @param given is not printed
 * @throws ConfigError for anything but smtp://user:password@host:port and smtps://…
 */
export function smtpServer(owner: string, given: unknown, requireTls: boolean | undefined): SmtpServer {
  const fault = (says: string) => new ConfigError(`${owner}: option "url" ${says}`);
  if (typeof given !== "string" || !URL.canParse(given))
    throw fault(
      "must be an address like smtp://user:password@mail.example.com:587; write / ? # @ in a password as %2F %3F %23 %40",
    );
  const { protocol, hostname, port, username, password, pathname, search, hash } = new URL(given);
  if (protocol !== "smtp:" && protocol !== "smtps:") throw fault("must begin with smtp:// or smtps://");
  // nodemailer would take no host for this machine, where another mail server may listen.
  if (hostname === "") throw fault("names no host");
  if ((pathname !== "" && pathname !== "/") || search !== "" || hash !== "")
    throw fault("must end after host and port; write / ? # @ in a password as %2F %3F %23 %40");
  const auth = login(username, password);
  if (auth === undefined) throw fault("has a % in its login that is none of %25, %40, …; write it as %25");
  const secure = protocol === "smtps:";
  return {
    host: hostname.replace(/^\[|\]$/g, ""),
    port: port === "" ? PORTS[protocol] : Number(port),
    secure,
    requireTLS: !secure && (requireTls ?? (auth !== "none" && !isLoopback(hostname))),
    ...(auth === "none" ? {} : { auth }),
  };
}

function login(username: string, password: string): { user: string; pass: string } | "none" | undefined {
  if (username === "" && password === "") return "none";
  try {
    return { user: decodeURIComponent(username), pass: decodeURIComponent(password) };
  } catch {
    return undefined;
  }
}

/** The password as it is given and as it is sent (RFC 4616; base64 by RFC 4954, section 4). */
export function secretsOfSmtp(url: string, { auth }: SmtpServer): string[] {
  if (auth === undefined) return [];
  const { user, pass } = auth;
  const base64 = [pass, `\0${user}\0${pass}`].map((text) => Buffer.from(text).toString("base64"));
  return pass === "" ? [] : [url, new URL(url).password, pass, ...base64];
}

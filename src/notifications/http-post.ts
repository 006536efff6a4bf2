/** Posts to an address that may be a secret itself: nothing said here names more of it than scheme, host and port. */
import type { Category } from "../errors/categories.js";
import { ConfigError } from "../errors/own-errors.js";

/** What is read of an answer that is no success; a longer one is a page and not a reason. */
const MAX_REASON_BYTES = 200;

/**
 * The address, if notices may be sent there.
 *
 * @param given is not printed
 * @throws ConfigError for what is no URL, has a login in it, or would go over a network without TLS
 */
export function checkHttpUrl(owner: string, given: unknown, allowHttp: boolean): URL {
  const fault = (says: string) => new ConfigError(`${owner}: option "url" ${says}`);
  const text = given instanceof URL ? given.href : given;
  if (typeof text !== "string" || !URL.canParse(text)) throw fault("must be an address like https://example.com/…");
  const url = new URL(text);
  if (url.protocol !== "https:" && url.protocol !== "http:") throw fault("must begin with https://");
  if (url.username !== "" || url.password !== "")
    throw fault("must not hold a login; a webhook can be given one in its headers");
  if (url.protocol === "http:" && !allowHttp && !isLoopback(url.hostname))
    throw fault(
      `must begin with https://, for everybody on the way to ${url.hostname} could read it; or set allowHttp`,
    );
  url.hash = "";
  return url;
}

/** Names and addresses that do not leave this machine (RFC 6761, section 6.3; RFC 1122, section 3.2.1.3; RFC 4291). */
export function isLoopback(hostname: string): boolean {
  return /^(localhost|.+\.localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/.test(hostname);
}

/**
 * Resolves once the receiver has answered with success. Redirects are not followed: the secret in the address, or the
 * signature, is for this receiver.
 *
 * @throws HttpReplyError for any other answer
 */
export async function postJson(
  url: URL,
  body: string,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<void> {
  const response = await fetch(url, {
    method: "POST",
    headers: { ...headers, "content-type": "application/json" },
    body,
    redirect: "manual",
    signal,
  });
  if (response.ok) {
    // What it says besides is nobody's; the connection is free again.
    await response.body?.cancel().catch(() => undefined);
    return;
  }
  throw new HttpReplyError(response, await reasonOf(response));
}

/** As `classifyError` reads it. */
class HttpReplyError extends Error {
  readonly status: number;
  readonly headers: Headers;
  readonly category?: Category;

  constructor({ status, headers }: Response, reason: string) {
    const redirects = status >= 300 && status < 400;
    super(
      redirects
        ? `it answered ${status}, and redirects are not followed; give the address it leads to`
        : `it answered ${status}${reason === "" ? "" : `: ${reason}`}`,
    );
    this.name = "HttpReplyError";
    this.status = status;
    this.headers = headers;
    // Whoever looks after it has to give another address.
    if (redirects) this.category = "environment";
  }
}

/** The whole answer where it is short, such as Slack's `invalid_payload`. */
async function reasonOf({ body }: Response): Promise<string> {
  const reader = body?.getReader();
  if (reader === undefined) return "";
  const read: Uint8Array[] = [];
  let bytes = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return Buffer.concat(read).toString("utf8");
      bytes += value.byteLength;
      if (bytes > MAX_REASON_BYTES) return "";
      read.push(value);
    }
  } catch {
    // The status has been said.
    return "";
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

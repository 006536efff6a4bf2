/** Addresses as people type them. No message made here holds a password. */
import { ConfigError } from "../errors/own-errors.js";

const withScheme = /^([a-z][a-z0-9+.-]*):/i;

export function schemeOf(address: string): string | undefined {
  return withScheme.exec(address)?.[1]?.toLowerCase();
}

/**
 * `PostgreSQL at localhost:5432/app`.
 *
 * @throws ConfigError when the address cannot be read
 */
export function describePostgres(address: string): string {
  const url = readUrl(address);
  const socket = url.searchParams.get("host");
  const database = url.pathname.length > 1 ? decodeURIComponent(url.pathname) : "";
  const place = url.hostname === "" ? (socket ?? "the default address") : `${url.hostname}:${url.port || "5432"}`;
  return `PostgreSQL at ${place}${database}`;
}

function readUrl(address: string): URL {
  try {
    const url = new URL(address);
    for (const part of [url.username, url.password, url.pathname]) decodeURIComponent(part);
    return url;
  } catch {
    throw new ConfigError(
      `The address "${withoutSecrets(address)}" is not a usable PostgreSQL URL; the form is postgres://user:password@host:5432/database, with special characters in the password percent-encoded`,
    );
  }
}

/** The cause is left out on purpose: Node's own "Invalid URL" error repeats the whole input. */
function withoutSecrets(address: string): string {
  return address
    .replace(/\?.*$/s, "?…")
    .replace(/\/\/.*@/s, "//…@")
    .replace(/^([^:]*:\/\/)[^@/]*$/s, "$1…");
}

/**
 * Signatures by the Standard Webhooks specification 1.0.0 (github.com/standard-webhooks/standard-webhooks): receivers can
 * check them with a library of theirs in any language, or with {@link verifyWebhook}.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { systemClock } from "../core/clock.js";
import { ConfigError, ResilienceError } from "../errors/own-errors.js";

const PREFIX = "whsec_";
/** Bytes; the specification's own limits. */
const MIN_KEY = 24;
const MAX_KEY = 64;

/** Clocks differ, and what is older may be a copy that somebody kept; the specification's libraries allow as much. */
const TOLERANCE_MS = 300_000;

/** One secret, or several while one takes the place of another. */
export type WebhookSecret = string | readonly string[];

/**
 * The keys that the secrets stand for.
 *
 * @throws ConfigError that does not print them
 */
export function signingKeys(owner: string, secret: unknown): Buffer[] {
  const given: readonly unknown[] = Array.isArray(secret) ? secret : [secret];
  if (given.length === 0) throw new ConfigError(`${owner}: option "secret" is empty; ${ADVICE}`);
  return given.map((one) => {
    const text = typeof one === "string" && one.startsWith(PREFIX) ? one.slice(PREFIX.length) : "";
    const key = /^[A-Za-z0-9+/]+={0,2}$/.test(text) ? Buffer.from(text, "base64") : Buffer.alloc(0);
    if (key.length >= MIN_KEY && key.length <= MAX_KEY) return key;
    throw new ConfigError(`${owner}: option "secret" must be whsec_ and 24 to 64 random bytes in base64; ${ADVICE}`);
  });
}

const ADVICE = 'make one with echo "whsec_$(openssl rand -base64 32)"';

/** @param sentAt ms since the Unix epoch */
export function signatureHeaders(id: string, sentAt: number, body: string, keys: readonly Buffer[]) {
  const timestamp = String(Math.floor(sentAt / 1000));
  const signatures = keys.map((key) => `v1,${digest(key, id, timestamp, body).toString("base64")}`);
  return { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signatures.join(" ") };
}

function digest(key: Buffer, id: string, timestamp: string, body: string | Uint8Array): Buffer {
  return createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest();
}

/** As `fetch`, Node and frameworks give them. */
export type ReceivedHeaders =
  | { get(name: string): string | null }
  | Readonly<Record<string, string | readonly string[] | undefined>>;

export interface WebhookRequest {
  readonly headers: ReceivedHeaders;
  /** As it was received: JSON that was parsed and written anew may differ. */
  readonly body: string | Uint8Array;
  readonly secret: WebhookSecret;
  /** How far its time may be from the clock here; default 300,000 ms. */
  readonly toleranceMs?: number;
  /** Default: the system clock's. Ms since the Unix epoch. */
  readonly nowMs?: number;
}

/** What has come, and truly from who knows the secret. */
export interface VerifiedWebhook {
  /** The same each time the notice is sent: what has been dealt with can be passed over. */
  readonly id: string;
  /** Milliseconds since the Unix epoch, in whole seconds. */
  readonly sentAt: number;
  /** What the body holds. */
  readonly payload: unknown;
}

/** A request that nobody who knows the secret has made, or not now. Answer it with 401. */
export class WebhookRefusedError extends ResilienceError {
  readonly category = "auth";

  constructor(message: string) {
    super("WEBHOOK_REFUSED", `The webhook is refused: ${message}`);
  }
}

/**
 * For whoever receives what {@link webhookChannel} sends.
 *
 * @throws WebhookRefusedError for what is not signed with one of the secrets, is too old, or is no JSON
 * @throws ConfigError for a secret that is none
 */
export function verifyWebhook({ headers, body, secret, toleranceMs, nowMs }: WebhookRequest): VerifiedWebhook {
  const keys = signingKeys("verifyWebhook", secret);
  const id = headerOf(headers, "webhook-id");
  const timestamp = headerOf(headers, "webhook-timestamp");
  const signatures = headerOf(headers, "webhook-signature");
  if (id === undefined || timestamp === undefined || signatures === undefined)
    throw new WebhookRefusedError("one of the headers webhook-id, webhook-timestamp and webhook-signature is missing");
  const sentAt = /^\d{1,12}$/.test(timestamp) ? Number(timestamp) * 1000 : Number.NaN;
  const apartMs = Math.abs((nowMs ?? systemClock.now()) - sentAt);
  if (!(apartMs <= (toleranceMs ?? TOLERANCE_MS))) throw new WebhookRefusedError("its time is too far from now");
  const expected = keys.map((key) => digest(key, id, timestamp, body));
  const given = signatures
    .split(" ")
    .filter((one) => one.startsWith("v1,"))
    .map((one) => Buffer.from(one.slice(3), "base64"));
  // All of them are compared, so that time tells nothing.
  const matching = expected.flatMap((one) => given.filter((other) => isSame(one, other)));
  if (matching.length === 0) throw new WebhookRefusedError("no signature fits");
  return { id, sentAt, payload: parsed(body) };
}

function isSame(expected: Buffer, given: Buffer): boolean {
  return given.length === expected.length && timingSafeEqual(expected, given);
}

function parsed(body: string | Uint8Array): unknown {
  try {
    return JSON.parse(typeof body === "string" ? body : Buffer.from(body).toString("utf8"));
  } catch {
    throw new WebhookRefusedError("its body is no JSON");
  }
}

function headerOf(headers: ReceivedHeaders, name: string): string | undefined {
  if (typeof headers.get === "function") return headers.get(name) ?? undefined;
  const key = Object.keys(headers).find((one) => one.toLowerCase() === name);
  const value = key === undefined ? undefined : (headers as Readonly<Record<string, unknown>>)[key];
  const text = Array.isArray(value) ? value[0] : value;
  return typeof text === "string" ? text : undefined;
}

import { z } from "zod";
import type { Channel } from "../core/notice-ports.js";
import { parseOptions } from "../core/options.js";
import { ConfigError } from "../errors/own-errors.js";
import { type ChannelOptions, channelShape, unprinted } from "./channel-options.js";
import { chosenWords } from "./chosen-words.js";
import { delivery } from "./delivery.js";
import { hiding, secretsOfUrl } from "./hidden.js";
import { checkHttpUrl, postJson } from "./http-post.js";
import { webhookId, webhookPayload } from "./webhook-payload.js";
import { signatureHeaders, signingKeys, type WebhookSecret } from "./webhook-signature.js";

export interface WebhookChannelOptions extends ChannelOptions<unknown> {
  /** Never printed beyond its host. */
  readonly url: string;
  /** `whsec_` and 24 to 64 random bytes in base64; several sign side by side while one takes the place of another. Never printed. */
  readonly secret: WebhookSecret;
  /** Sent as well, such as a login of the receiver's. Never printed. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Lets the notices go unencrypted to another machine; default false. */
  readonly allowHttp?: boolean;
}

const schema = z.strictObject({
  ...channelShape,
  url: unprinted,
  secret: unprinted,
  headers: unprinted,
  allowHttp: z.boolean().default(false),
});

/** What JSON can hold. */
const payloadSchema = z.unknown().refine((value) => JSON.stringify(value) !== undefined, "must be JSON");

/**
 * The notice as signed JSON, for a program of yours: see {@link verifyWebhook} for the receiving end.
 *
 * @throws ConfigError for wrong options; `send` rejects with a DeliveryError where the receiver has not taken the notice
 */
export function webhookChannel(options: WebhookChannelOptions): Channel {
  const owner = "webhookChannel";
  const policy = parseOptions(owner, schema, options);
  const { name = "webhook", events, template, clock } = policy;
  const url = checkHttpUrl(owner, policy.url, policy.allowHttp);
  const keys = signingKeys(owner, policy.secret);
  const headers = checkHeaders(owner, policy.headers);
  const secrets = [policy.secret].flat().flatMap((one) => [String(one), String(one).slice("whsec_".length)]);
  const hide = hiding([...secretsOfUrl(url), ...secrets, ...Object.values(headers)]);
  const deliver = delivery(name, { where: url.origin, hide }, policy);
  return {
    name,
    ...(events === undefined ? {} : { events }),
    async send(notice, signal) {
      signal.throwIfAborted();
      const body = JSON.stringify(chosenWords(name, notice, template, payloadSchema, webhookPayload));
      // The time is that of the attempt: what waits too long would be refused as a copy.
      await deliver((attemptSignal) => {
        const signed = signatureHeaders(webhookId(notice), clock.now(), body, keys);
        return postJson(url, body, { ...headers, ...signed }, attemptSignal);
      }, signal);
    },
  };
}

function checkHeaders(owner: string, given: unknown): Record<string, string> {
  if (given === undefined) return {};
  const fault = (says: string) => new ConfigError(`${owner}: option "headers" ${says}`);
  if (typeof given !== "object" || given === null) throw fault("must be an object of texts");
  for (const [name, value] of Object.entries(given)) {
    if (/^(webhook-.*|content-type|content-length|host)$/i.test(name)) throw fault(`must not set ${name}`);
    if (typeof value !== "string" || !isHeader(name, value))
      throw fault(`has ${JSON.stringify(name)}, whose name or value cannot be a header`);
  }
  return { ...given } as Record<string, string>;
}

function isHeader(name: string, value: string): boolean {
  try {
    new Headers([[name, value]]);
    return true;
  } catch {
    return false;
  }
}

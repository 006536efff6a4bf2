/** Slack and webhooks against real servers on loopback. */
import { describe, expect, it, vi } from "vitest";
import { slackChannel } from "../../../src/notifications/slack-channel.js";
import { webhookChannel } from "../../../src/notifications/webhook-channel.js";
import { verifyWebhook } from "../../../src/notifications/webhook-signature.js";
import { FakeClock } from "../../support/fake-clock.js";
import { item, notice, OPENED_AT } from "../../unit/notifications/sample-notice.js";
import { failureOf, hidesAll } from "./failing.js";
import { deadOrigin, startReceiver } from "./http-receiver.js";

const PATH = "/services/T0SECRET1/B0SECRET2/x0SecretOfTheHook3";
const KEY = Buffer.alloc(32, 7).toString("base64");
const SECRET = `whsec_${KEY}`;
const TOKEN = "Bearer-of-the-receiver-9";
const SECRETS = ["T0SECRET1", "B0SECRET2", "x0SecretOfTheHook3", KEY, TOKEN];

const never = new AbortController().signal;
const quick = { initialDelayMs: 1 } as const;
const slack = (origin: string, options: object = {}) => slackChannel({ url: `${origin}${PATH}`, ...quick, ...options });
const webhook = (origin: string, options: object = {}) =>
  webhookChannel({ url: `${origin}${PATH}`, secret: SECRET, headers: { authorization: TOKEN }, ...quick, ...options });

describe("a message to Slack", () => {
  it("is taken", async () => {
    const { origin, received } = await startReceiver(200);
    const channel = slack(origin, { people: { anna: "U012ABC" } });
    await channel.send(notice({ to: ["anna"] }), never);
    expect(received).toHaveLength(1);
    expect(received[0]).toMatchObject({ path: PATH, headers: { "content-type": "application/json" } });
    const { text, blocks } = JSON.parse(received[0]?.body ?? "");
    expect(text).toBe("A decision is needed: Decision needed: charge in order-saga (order-42)");
    expect(JSON.stringify(blocks)).toContain("<@U012ABC>");
  });

  it("says it in the words of its template", async () => {
    const { origin, received } = await startReceiver(200);
    await slack(origin, { template: () => ({ text: "look here" }) }).send(notice(), never);
    expect(JSON.parse(received[0]?.body ?? "")).toEqual({ text: "look here" });
  });

  it.each([
    [
      "throws",
      () => {
        throw new Error("broken: token=abcdef123456");
      },
    ],
    ["makes nothing", () => undefined],
    ["is asynchronous", () => Promise.reject(new Error("late"))],
    ["makes too many blocks", () => ({ text: "x", blocks: Array.from({ length: 51 }, () => ({})) })],
  ])("is sent in the built-in words where its template %s", async (_what, template) => {
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
    const { origin, received } = await startReceiver(200);
    await slack(origin, { template }).send(notice(), never);
    expect(received[0]?.body).toContain("A decision is needed");
    expect(warned).toHaveBeenCalledExactlyOnceWith(
      expect.stringContaining('template of channel "slack"'),
      "ResilienceWarning",
    );
    expect(JSON.stringify(warned.mock.calls)).not.toContain("abcdef123456");
    warned.mockRestore();
  });

  it("that Slack cannot read is not repeated, and the error says why", async () => {
    const { origin, received } = await startReceiver((response) => response.writeHead(400).end("invalid_payload"));
    const error = await failureOf(slack(origin).send(notice(), never), SECRETS);
    expect(error).toMatchObject({ code: "DELIVERY_FAILED", category: "invalid_input", retryable: false });
    expect(error.message).toBe(
      `Channel "slack" did not reach ${origin} (invalid_input): it answered 400: invalid_payload`,
    );
    expect(received).toHaveLength(1);
  });
});

describe("a webhook", () => {
  it("is taken, and its signature can be checked", async () => {
    const clock = new FakeClock(OPENED_AT);
    const { origin, received } = await startReceiver(204);
    await webhook(origin, { clock }).send(notice(), never);
    const [{ headers, body } = { headers: {}, body: "" }] = received;
    expect(headers).toMatchObject({ authorization: TOKEN });
    const verified = verifyWebhook({ headers, body, secret: SECRET, nowMs: clock.now() });
    expect(verified).toMatchObject({
      id: expect.stringMatching(/^msg_[0-9a-f]{40}$/),
      sentAt: OPENED_AT,
      payload: { type: "notice.opened", v: 1, id: notice().id, command: notice().command, item: { id: item().id } },
    });
    expect(() =>
      verifyWebhook({ headers, body: body.replace("opened", "closed"), secret: SECRET, nowMs: OPENED_AT }),
    ).toThrow("no signature fits");
  });

  it("has the same ID each time, and a time of its own", async () => {
    const clock = new FakeClock(OPENED_AT);
    const { origin, received } = await startReceiver(503, 200);
    const sending = webhook(origin, { clock, initialDelayMs: 5000 }).send(notice(), never);
    await vi.waitFor(() => expect(clock.pending).toHaveLength(1));
    await clock.advance(10_000);
    await sending;
    const [first, second] = received.map(({ headers }) => headers);
    expect(second?.["webhook-id"]).toBe(first?.["webhook-id"]);
    expect(Number(second?.["webhook-timestamp"])).toBeGreaterThan(Number(first?.["webhook-timestamp"]));
    expect(second?.["webhook-signature"]).not.toBe(first?.["webhook-signature"]);
  });

  it("holds what its template makes", async () => {
    const { origin, received } = await startReceiver(200);
    await webhook(origin, { template: ({ item: { node } }: { item: { node: string } }) => ({ node }) }).send(
      notice(),
      never,
    );
    expect(received[0]?.body).toBe('{"node":"charge"}');
  });
});

describe("what a receiver answers", () => {
  it("503 is tried again, and three times is enough", async () => {
    const { origin, received } = await startReceiver(503, 500, 200);
    await slack(origin).send(notice(), never);
    expect(received).toHaveLength(3);
    const down = await startReceiver(503);
    const error = await failureOf(webhook(down.origin).send(notice(), never), SECRETS);
    expect(error).toMatchObject({ category: "server_error", retryable: true });
    expect(down.received).toHaveLength(3);
  });

  it("429 is tried again when it says", async () => {
    const clock = new FakeClock();
    const { origin, received } = await startReceiver(
      (response) => response.writeHead(429, { "retry-after": "7" }).end(),
      200,
    );
    const sending = slack(origin, { clock }).send(notice(), never);
    await vi.waitFor(() => expect(clock.pending).toEqual([7000]));
    expect(received).toHaveLength(1);
    await clock.advance(7000);
    await sending;
    expect(received).toHaveLength(2);
  });

  it("429 for longer than 30 seconds is for later: the error says when", async () => {
    const { origin, received } = await startReceiver((response) =>
      response.writeHead(429, { "retry-after": "31" }).end(),
    );
    const error = await failureOf(slack(origin).send(notice(), never), SECRETS);
    expect(error).toMatchObject({ category: "rate_limit", retryable: true, retryAfterMs: 31_000 });
    expect(received).toHaveLength(1);
  });

  it.each([401, 403, 404, 409, 410, 413, 423, 425])("%i is not tried again", async (status) => {
    const { origin, received } = await startReceiver(status);
    await failureOf(webhook(origin).send(notice(), never), SECRETS);
    expect(received).toHaveLength(1);
  });

  it("408 is tried again", async () => {
    const { origin, received } = await startReceiver(408, 200);
    await slack(origin).send(notice(), never);
    expect(received).toHaveLength(2);
  });

  it.each([301, 302, 307, 308])("%i is not followed", async (status) => {
    const elsewhere = await startReceiver(200);
    const { origin, received } = await startReceiver((response) =>
      response.writeHead(status, { location: `${elsewhere.origin}${PATH}` }).end(),
    );
    const error = await failureOf(webhook(origin).send(notice(), never), SECRETS);
    expect(error.message).toContain(`it answered ${status}, and redirects are not followed`);
    expect([received.length, elsewhere.received.length]).toEqual([1, 0]);
  });

  it("a page is not repeated in the error, and no secret that is sent back", async () => {
    const echo = (body: string) => startReceiver((response) => response.writeHead(404).end(body));
    for (const body of [
      `Cannot POST ${PATH}`,
      `key ${SECRET} of ${TOKEN}`,
      `"${PATH.replaceAll("/", "\\/")}"`,
      "x".repeat(500) + PATH,
    ]) {
      const { origin } = await echo(body);
      const { message } = await failureOf(webhook(origin).send(notice(), never), SECRETS);
      expect(message.length).toBeLessThan(300);
    }
  });
});

describe("a receiver that", () => {
  it("never answers is given up on after 10 seconds", async () => {
    const clock = new FakeClock();
    const { origin, received, givenUpOn } = await startReceiver(() => undefined);
    const failure = failureOf(slack(origin, { clock, attempts: 1 }).send(notice(), never), SECRETS);
    await vi.waitFor(() => expect(received).toHaveLength(1));
    expect(clock.alarms).toEqual([10_000]);
    await clock.advance(10_000);
    expect(await failure).toMatchObject({ category: "timeout", retryable: true });
    await vi.waitFor(() => expect(givenUpOn()).toBe(1));
  });

  it("is not there is a matter of the network", async () => {
    const error = await failureOf(webhook(await deadOrigin()).send(notice(), never), SECRETS);
    expect(error).toMatchObject({ category: "network", retryable: true });
    expect(error.message).toContain("ECONNREFUSED");
  });

  it("hangs up is a matter of the network", async () => {
    const { origin, received } = await startReceiver((response) => response.socket?.destroy(), 200);
    await slack(origin).send(notice(), never);
    expect(received).toHaveLength(2);
  });
});

describe("an abort", () => {
  const reason = new Error("the sweep is over");

  it("ends a request under way, with its own reason", async () => {
    const { origin, received, givenUpOn } = await startReceiver(() => undefined);
    const controller = new AbortController();
    const sending = slack(origin).send(notice(), controller.signal);
    sending.catch(() => undefined);
    await vi.waitFor(() => expect(received).toHaveLength(1));
    controller.abort(reason);
    await expect(sending).rejects.toBe(reason);
    await vi.waitFor(() => expect(givenUpOn()).toBe(1));
    expect(received).toHaveLength(1);
    hidesAll(reason, SECRETS);
  });

  it("ends the wait for the next attempt", async () => {
    const clock = new FakeClock();
    const { origin, received } = await startReceiver(503);
    const controller = new AbortController();
    const sending = slack(origin, { clock }).send(notice(), controller.signal);
    sending.catch(() => undefined);
    await vi.waitFor(() => expect(clock.pending).toHaveLength(1));
    controller.abort(reason);
    await expect(sending).rejects.toBe(reason);
    expect(received).toHaveLength(1);
  });

  it("before the sending leaves nothing to send", async () => {
    const { origin, received } = await startReceiver(200);
    await expect(webhook(origin).send(notice(), AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(received).toHaveLength(0);
  });
});

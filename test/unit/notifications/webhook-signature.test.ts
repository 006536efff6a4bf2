import { describe, expect, it } from "vitest";
import { signatureHeaders, signingKeys, verifyWebhook } from "../../../src/notifications/webhook-signature.js";

const secretOf = (letter: string) => `whsec_${Buffer.from(letter.repeat(32)).toString("base64")}`;
const NOW = 1_674_087_231_000;
const body = '{"type":"notice.opened"}';

const signed = (...secrets: string[]) => signatureHeaders("msg_1", NOW, body, signingKeys("test", secrets));
const verify = (changes: object = {}) =>
  verifyWebhook({ headers: signed(secretOf("a")), body, secret: secretOf("a"), nowMs: NOW, ...changes });

describe("a signature", () => {
  it("is that of the specification, by its own example", () => {
    // The test vector of the specification's libraries.
    const keys = signingKeys("test", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    expect(signatureHeaders("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330_000, '{"test": 2432232314}', keys)).toEqual({
      "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
      "webhook-timestamp": "1614265330",
      "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    });
  });

  it.each([
    ["Headers", (headers: Record<string, string>) => new Headers(headers)],
    ["headers of Node", (headers: Record<string, string>) => headers],
    [
      "headers in capitals",
      (headers: Record<string, string>) =>
        Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toUpperCase(), [value]])),
    ],
  ])("is accepted from %s", (_what, given) => {
    expect(verify({ headers: given(signed(secretOf("a"))), body: Buffer.from(body) })).toEqual({
      id: "msg_1",
      sentAt: NOW,
      payload: { type: "notice.opened" },
    });
  });

  it("is accepted while one secret takes the place of another, on either side", () => {
    expect(verify({ secret: [secretOf("b"), secretOf("a")] }).id).toBe("msg_1");
    expect(verify({ headers: signed(secretOf("b"), secretOf("a")) }).id).toBe("msg_1");
    expect(
      verify({
        headers: {
          ...signed(secretOf("a")),
          "webhook-signature": `v1a,xxx v1,zz= ${signed(secretOf("a"))["webhook-signature"]}`,
        },
      }).id,
    ).toBe("msg_1");
  });

  it.each([
    ["another body", { body: `${body} ` }, "no signature fits"],
    ["another secret", { secret: secretOf("b") }, "no signature fits"],
    ["another ID", { headers: { ...signed(secretOf("a")), "webhook-id": "msg_2" } }, "no signature fits"],
    ["another time", { headers: { ...signed(secretOf("a")), "webhook-timestamp": "1674087230" } }, "no signature fits"],
    ["no time", { headers: { ...signed(secretOf("a")), "webhook-timestamp": "soon" } }, "too far from now"],
    ["no signature", { headers: { ...signed(secretOf("a")), "webhook-signature": undefined } }, "is missing"],
    [
      "an empty signature",
      { headers: { ...signed(secretOf("a")), "webhook-signature": "v1, v1" } },
      "no signature fits",
    ],
    ["a copy that was kept", { nowMs: NOW + 300_001 }, "too far from now"],
    ["a time to come", { nowMs: NOW - 300_001 }, "too far from now"],
    ["a tolerance that is no number", { toleranceMs: Number.NaN }, "too far from now"],
  ])("is refused with %s", (_what, changes, because) => {
    expect(() => verify(changes)).toThrow(
      expect.objectContaining({ code: "WEBHOOK_REFUSED", message: expect.stringContaining(because) }),
    );
  });

  it("over what is no JSON is refused too", () => {
    const headers = signatureHeaders("msg_1", NOW, "hello", signingKeys("test", secretOf("a")));
    expect(() => verify({ headers, body: "hello" })).toThrow("no JSON");
  });
});

describe("a secret", () => {
  it.each([
    "short",
    "whsec_",
    "whsec_c2hvcnQ=",
    "whsec_not base64 at all, but long enough to be a key",
    7,
    [],
    undefined,
  ])("such as %j is refused, and not printed", (secret) => {
    expect(() => signingKeys("webhookChannel", secret)).toThrow(
      expect.objectContaining({ code: "CONFIG", message: expect.not.stringContaining("c2hvcnQ") }),
    );
  });
});

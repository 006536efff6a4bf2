import { describe, expect, it } from "vitest";
import { redact, redactText } from "../../../src/core/redact.js";

describe("what may be shown", () => {
  it.each([
    "password",
    "apiKey",
    "apiKeys",
    "api_key",
    "OPENAI_API_KEY",
    "APIKey",
    "x-api-key",
    "Authorization",
    "authHeader",
    "auth",
    "accessToken",
    "refresh_token",
    "tokens",
    "client_secret",
    "clientSecret",
    "SecretString",
    "secretAccessKey",
    "AWS_SECRET_ACCESS_KEY",
    "secretKey",
    "accessKey",
    "privateKey",
    "cardNumber",
    "cookie",
    "Set-Cookie",
    "dbPassword",
    "PGPASSWORD",
    "passWord",
    "password1",
    "passwordConfirmation",
    "pwd",
    "passcode",
    "credentials",
  ])("hides the text and the object under %s", (key) => {
    expect(redact({ [key]: "hunter2hunter2", other: "x" })).toEqual({ [key]: "[redacted]", other: "x" });
    expect(redact({ [key]: { deep: ["hunter2"] } })).toEqual({ [key]: "[redacted]" });
  });

  it.each([
    "passwordHint",
    "cardinal",
    "monkey",
    "scorecard",
    "discard",
    "bypass",
    "compass",
    "author",
    "authority",
    "authenticated",
    "tokenCount",
    "tokenType",
    "tokenizer",
    "secretary",
    "idempotencyKey",
    "primaryKey",
    "pinned",
  ])("leaves %s as it is", (key) => {
    expect(redact({ [key]: "x" })).toEqual({ [key]: "x" });
  });

  it("shows numbers that count secrets, and hides numbers that are one", () => {
    const counts = { tokens: 512, maxTokens: 4096, token: 3, apiKeys: 2, MAX_TOKENS: "4096" };
    expect(redact(counts)).toEqual(counts);
    expect(redact({ password: 1234, pin: 1234, cardNumber: 4111n, cvc2: 737 })).toEqual({
      password: "[redacted]",
      pin: "[redacted]",
      cardNumber: "[redacted]",
      cvc2: "[redacted]",
    });
    const said = { auth: true, pass: false, password: null, token: undefined };
    expect(redact(said), "yes, no and nothing are no secrets").toEqual(said);
  });

  it("hides bearer tokens, provider keys and passwords of URLs within texts", () => {
    expect(redactText("Authorization: Bearer abc.def-123== for sk-proj-abcdefgh at postgres://ann:s3cr/et@db/x")).toBe(
      "Authorization: Bearer [redacted] for [redacted] at postgres://ann:[redacted]@db/x",
    );
    expect(redactText("https://example.com/a?b=c")).toBe("https://example.com/a?b=c");
  });

  it.each([
    ["Basic dXNlcjpodW50ZXIy", "Basic [redacted]"],
    ["authorization: basic dXNlcg", "authorization: Basic [redacted]"],
    ["https://x.test/v1?api_key=hunter2&n=1", "https://x.test/v1?api_key=[redacted]&n=1"],
    ["https://x.test/?n=1&token=hunter2#top", "https://x.test/?n=1&token=[redacted]#top"],
    ["https://x.test/blob?se=2030&sig=hunter2", "https://x.test/blob?se=2030&sig=[redacted]"],
    ["https://x.test/#access_token=hunter2", "https://x.test/#access_token=[redacted]"],
    ["?next=https://x.test/?token=hunter2", "?next=https://x.test/?token=[redacted]"],
    ['<a href="https://x.test/?token=hunter2">', '<a href="https://x.test/?token=[redacted]">'],
    ["Server=db;Uid=ann;Pwd=hunter2;", "Server=db;Uid=ann;Pwd=[redacted];"],
    ["env OPENAI_API_KEY=hunter2 --password='hunter 2' x", "env OPENAI_API_KEY=[redacted] --password='[redacted]' x"],
    ["key AIzaSyA1234567890abcdefghijklmnopqrstuv.", "key [redacted]."],
    ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl-_x", "[redacted]"],
    ["ghp_abcdefghijklmnopqrstuvwxyz0123456789", "[redacted]"],
    ["github_pat_11ABCDEFG0abcdefghij_klmnop", "[redacted]"],
    ["AKIAIOSFODNN7EXAMPLE", "[redacted]"],
    ["xoxb-123456789012-abcdefABCDEF", "[redacted]"],
    ["xoxp-123456789012-abcdefABCDEF", "[redacted]"],
    ["-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nx", "[redacted]\nx"],
    ["redis://:hunter2@cache:6379/0", "redis://:[redacted]@cache:6379/0"],
    ["postgres://ann:hun@ter@2@db:5432/x?a=b@c", "postgres://ann:[redacted]@db:5432/x?a=b@c"],
    ["smtp://ann@example.com:hunter2@mail", "smtp://ann@example.com:[redacted]@mail"],
    ["http://a.test:80/x, https://ann:pw@b.test", "http://a.test:80/x, https://ann:[redacted]@b.test"],
    ['{"user":"ann","password":"hun\\"ter2","n":1}', '{"user":"ann","password":"[redacted]","n":1}'],
    ['{"body":"{\\"apiKey\\":\\"hunter2\\",\\"n\\":1}"}', '{"body":"{\\"apiKey\\":\\"[redacted]\\",\\"n\\":1}"}'],
    ["{ user: 'ann', clientSecret: 'hunter2' }", "{ user: 'ann', clientSecret: '[redacted]' }"],
    ['cut off: {"password":"hunt', 'cut off: {"password":"[redacted]"'],
  ])("hides what is secret in %s", (text, shown) => {
    expect(redactText(text)).toBe(shown);
    expect(redactText(shown), "a second time changes nothing").toBe(shown);
  });

  it.each([
    "http://localhost:8080/users/bob@example.com",
    "http://localhost:8080?to=bob@example.com",
    "http://[::1]:8080/users/bob@example.com",
    "git+ssh://git@github.com:owner/repo@v1",
    "mail bob@example.com about http://localhost:8080/x",
    "Basic understanding of Basic TypeScript, Basic Operations, basic auth=true",
    "Missing bearer token; Bearer authentication is required",
    "https://x.test/?max_tokens=100&author=ann&page_token_count=7",
    '{"max_tokens":100,"author":"ann","tokenType":"x"}',
    "auth=failed pass=12 fail=3",
    "risk-assessment, task-management-system",
    "three.part.name and v1.2.3",
  ])("leaves %s as it is, in a text", (text) => {
    expect(redactText(text)).toBe(text);
  });

  it("hides a secret that is itself a key", () => {
    expect(redact({ ghp_abcdefghijklmnopqrstuvwxyz0123456789: 1 })).toEqual({ "[redacted]": 1 });
  });

  it("shortens long texts, lists and objects, and says by how much", () => {
    expect(redact("x".repeat(600))).toBe(`${"x".repeat(500)}… [100 more characters]`);
    expect(redact([1, 2, 3], { maxItems: 2 })).toEqual([1, 2, "[1 more]"]);
    expect(redact({ a: 1, b: 2, c: 3 }, { maxItems: 1 })).toEqual({ a: 1, "…": "[2 more]" });
    expect(redact({ a: { b: { c: 1 } } }, { maxDepth: 2 })).toEqual({ a: { b: "[deeper]" } });
  });

  it("ends at cycles and gives JSON for everything else", () => {
    const round: Record<string, unknown> = {
      at: new Date(0),
      bytes: new Uint8Array(3),
      big: 7n,
      fn: () => 1,
      map: new Map([["a", 1]]),
    };
    round.self = round;
    const shown = redact(round);
    expect(shown).toMatchObject({
      at: "1970-01-01T00:00:00.000Z",
      bytes: "[3 bytes]",
      big: "7",
      fn: "[function]",
      self: "[seen above]",
    });
    expect(() => JSON.stringify(shown)).not.toThrow();
  });

  it("shows one value in two places twice: only a cycle is cut", () => {
    const shared = { id: 1 };
    expect(redact({ before: shared, after: shared })).toEqual({ before: { id: 1 }, after: { id: 1 } });
  });

  it("does not fail for an invalid date or a toJSON that throws", () => {
    expect(() => redact({ at: new Date(Number.NaN) })).not.toThrow();
    expect(() =>
      redact({
        toJSON: () => {
          throw new Error("x");
        },
      }),
    ).not.toThrow();
  });

  it("shows that a field cannot be read, and the others all the same", () => {
    const given = Object.defineProperty({ n: 1 }, "broken", {
      enumerable: true,
      get: () => {
        throw new Error("x");
      },
    });
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    expect(redact({ given, proxy })).toEqual({
      given: { n: 1, broken: "[not readable]" },
      proxy: "[not readable]",
    });
  });

  it("takes time in proportion to the text", () => {
    const hard = ["a://b:c", "a.", "A", "\\", ", ", "eyJ-", '"a', "a='", "-----BEGIN PRIVATE KEY----", "x@", "basic "];
    for (const one of hard) {
      // Of this process: others may be busy beside it.
      const before = process.cpuUsage();
      redact({ [one.repeat(20_000)]: one.repeat(20_000) });
      const { user } = process.cpuUsage(before);
      expect(user / 1000, JSON.stringify(one)).toBeLessThan(6000);
    }
  });
});

import { describe, expect, it } from "vitest";
import { redact, redactText } from "../../../src/core/redact.js";

describe("what may be shown", () => {
  it.each([
    "password",
    "apiKey",
    "api_key",
    "OPENAI_API_KEY",
    "Authorization",
    "accessToken",
    "client_secret",
    "privateKey",
    "cardNumber",
    "cookie",
    "dbPassword",
  ])("hides the value of %s", (key) => {
    expect(redact({ [key]: "hunter2hunter2", other: "x" })).toEqual({ [key]: "[redacted]", other: "x" });
  });

  it.each(["tokens", "passwordHint", "cardinal", "monkey"])("leaves %s as it is", (key) => {
    expect(redact({ [key]: "x" })).toEqual({ [key]: "x" });
  });

  it("hides bearer tokens, provider keys and passwords of URLs within texts", () => {
    expect(redactText("Authorization: Bearer abc.def-123== for sk-proj-abcdefgh at postgres://ann:s3cr/et@db/x")).toBe(
      "Authorization: Bearer [redacted] for [redacted] at postgres://ann:[redacted]@db/x",
    );
    expect(redactText("https://example.com/a?b=c")).toBe("https://example.com/a?b=c");
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
});

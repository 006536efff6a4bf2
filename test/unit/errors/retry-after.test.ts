import { describe, expect, it } from "vitest";
import { parseRetryAfter, retryAfterMsOf } from "../../../src/errors/retry-after.js";

const now = Date.parse("Sun, 06 Nov 1994 08:49:00 GMT");

describe("Retry-After (RFC 9110, 10.2.3)", () => {
  it.each([
    ["120", 120_000],
    ["0", 0],
    [" 7 ", 7000],
    ["1.5", 1500],
    ["Sun, 06 Nov 1994 08:49:37 GMT", 37_000],
    ["Sunday, 06-Nov-94 08:49:37 GMT", 37_000],
    ["Sun, 06 Nov 1994 08:00:00 GMT", 0],
  ])("%j asks for %d ms", (value, expected) => {
    expect(parseRetryAfter(value, now)).toBe(expected);
  });

  it.each(["", "soon", "-1", "1994-11-06", "NaN", "Infinity", "12 parsecs"])("%j says nothing usable", (value) => {
    expect(parseRetryAfter(value, now)).toBeUndefined();
  });

  it("of a number that is not finite says nothing usable", () => {
    expect(parseRetryAfter("9".repeat(400), now)).toBeUndefined();
  });
});

describe("where a wait is looked for", () => {
  it.each([
    ["a Headers object", { headers: new Headers({ "Retry-After": "2" }) }],
    ["plain headers in any case", { headers: { "RETRY-AFTER": "2" } }],
    ["the response's headers", { response: { headers: { "retry-after": "2" } } }],
    ["responseHeaders", { responseHeaders: { "retry-after": "2" } }],
    ["what LangChain read already", { retryAfterMs: 2000 }],
    ["the words of the message", { message: "Rate limit reached. Please try again in 2s." }],
    ["the words of the message in milliseconds", { message: "Please try again in 2000ms." }],
  ])("is found in %s", (_, error) => {
    expect(retryAfterMsOf(error, now)).toBe(2000);
  });

  it.each([
    ["Please try again in 20ms.", 20],
    ["Please try again in 6m0s.", 360_000],
    ["Please try again in 1h2m3.5s. Visit …", 3_723_500],
    ["Please retry after 6 seconds.", 6000],
    ["Please retry in 25.344591208s.", 25_345],
    ["Retry after 2 minutes", 120_000],
    ["Try again in 90 milliseconds", 90],
  ])("understands %j", (message, expected) => {
    expect(retryAfterMsOf({ message }, now)).toBe(expected);
  });

  it.each(["try again in a moment", "try again in 3 months", "retry after lunch", "try again in s", "in 6 s"])(
    "takes no wait from %j",
    (message) => {
      expect(retryAfterMsOf({ message }, now)).toBeUndefined();
    },
  );

  it("prefers retry-after-ms to Retry-After and headers to words", () => {
    const headers = { "retry-after-ms": "1500", "retry-after": "2" };
    expect(retryAfterMsOf({ headers, message: "try again in 9s" }, now)).toBe(1500);
  });

  it("ignores what makes no sense", () => {
    expect(retryAfterMsOf({ retryAfterMs: -1, headers: { "retry-after": "later" } }, now)).toBeUndefined();
    expect(retryAfterMsOf({ retryAfterMs: Number.NaN }, now)).toBeUndefined();
    expect(retryAfterMsOf({ retryAfterMs: Number.POSITIVE_INFINITY }, now)).toBeUndefined();
  });
});

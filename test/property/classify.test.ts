import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isCategory } from "../../src/errors/categories.js";
import { classifyError } from "../../src/errors/classify.js";
import { asError } from "../../src/errors/own-errors.js";

const FIELDS = [
  "name",
  "message",
  "code",
  "status",
  "statusCode",
  "cause",
  "errors",
  "response",
  "headers",
  "error",
  "type",
  "category",
  "retryAfterMs",
  "provider",
  "lc_error_code",
  "responseCode",
  "constructor",
  "issues",
  "severity",
];

const throwing = (): never => {
  throw new Error("hostile");
};
const revoked = () => {
  const { proxy, revoke } = Proxy.revocable([], {});
  revoke();
  return proxy;
};
const endless = (): object => new Proxy({}, { get: () => endless(), getPrototypeOf: () => endless() });
const selfPrototype = (): object => {
  const proxy: object = new Proxy({}, { getPrototypeOf: () => proxy });
  return proxy;
};

const hostile: readonly (readonly [string, () => unknown])[] = [
  ["a revoked proxy", revoked],
  [
    "a proxy whose every trap throws",
    () => new Proxy(new Error("x"), { get: throwing, has: throwing, getPrototypeOf: throwing, ownKeys: throwing }),
  ],
  ["a proxy that answers everything with another of its kind", endless],
  ["a proxy that is its own prototype", selfPrototype],
  ["errors that is a revoked proxy", () => ({ errors: revoked() })],
  ["headers whose get throws", () => ({ headers: { get: throwing } })],
  ["headers whose keys throw", () => ({ headers: new Proxy({}, { ownKeys: throwing, get: () => undefined }) })],
  ["a function whose toString throws", () => Object.assign(() => 1, { toString: throwing })],
  ["an object without a prototype", () => Object.create(null)],
  ["a list of errors that never ends", () => ({ errors: new Array(2 ** 31) })],
  [
    "a chain of a million causes",
    () => {
      let error: unknown = new Error("deep");
      for (let depth = 0; depth < 1_000_000; depth += 1) error = { cause: error };
      return error;
    },
  ],
  ["a very long message", () => new Error("a ".repeat(500_000))],
  ...FIELDS.map((field): readonly [string, () => unknown] => [
    `a getter "${field}" that throws`,
    () => Object.defineProperty({}, field, { get: throwing }),
  ]),
];

const isReport = (value: unknown) => {
  const report = classifyError(value);
  expect(isCategory(report.category)).toBe(true);
  expect(typeof report.message).toBe("string");
  expect(() => JSON.stringify(report)).not.toThrow();
  return true;
};

describe("classifyError", () => {
  it("gives a report for whatever was thrown", () => {
    fc.assert(
      fc.property(
        fc.anything({
          withBigInt: true,
          withDate: true,
          withMap: true,
          withNullPrototype: true,
          withObjectString: true,
          withSparseArray: true,
          withTypedArray: true,
          withSet: true,
        }),
        isReport,
      ),
    );
  });

  it("gives a report for objects with any value in the fields it reads", () => {
    const field = fc.constantFrom(...FIELDS);
    fc.assert(fc.property(fc.dictionary(field, fc.anything({ withBigInt: true })), isReport));
    fc.assert(
      fc.property(fc.dictionary(field, fc.anything()), (fields) =>
        isReport(Object.assign(new Error("x"), { ...fields, name: "x", message: "x" })),
      ),
    );
  });

  it.each(hostile)("does not throw for %s", (_, make) => {
    isReport(make());
  });

  it.each(hostile)("nor does making an error of %s", (_, make) => {
    expect(asError(make())).toBeDefined();
  });

  it("names a wait that is finite and not negative", () => {
    const value = fc.oneof(
      fc.string(),
      fc.double(),
      fc.integer().map(String),
      fc.date({ noInvalidDate: true }).map((date) => date.toUTCString()),
    );
    const bag = fc.record(
      {
        retryAfterMs: value,
        headers: fc.record({ "retry-after": value, "retry-after-ms": value }),
        message: fc.string(),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(bag, (error) => {
        const { retryAfterMs } = classifyError(error);
        return retryAfterMs === undefined || (Number.isFinite(retryAfterMs) && retryAfterMs >= 0);
      }),
    );
  });
});

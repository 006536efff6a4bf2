import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CATEGORIES, isCategory } from "../../src/errors/categories.js";
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
  "errno",
  "originalCode",
  "requestID",
  "stack",
  "suppressed",
  "toolError",
  "is_bubble_up",
  "retryable",
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
  ...[
    "a ",
    " ",
    "model ",
    "edge ",
    'tool "',
    "relation ",
    "unexpected token ",
    "try again in 1s ",
    "4",
    "Troubleshooting URL: http",
  ].map((piece): readonly [string, () => unknown] => [
    `a message of a million characters of ${JSON.stringify(piece)}`,
    () => new Error(piece.repeat(1_000_000 / piece.length)),
  ]),
  [
    "errors that are each other's causes",
    () => {
      const [one, two] = [new Error("one") as Error & { cause?: unknown }, new Error("two", { cause: null })];
      one.cause = two;
      Object.assign(two, { cause: one, errors: [one, two], error: one, suppressed: two, toolError: two });
      return two;
    },
  ],
  ...FIELDS.map((field): readonly [string, () => unknown] => [
    `a getter "${field}" that throws`,
    () => Object.defineProperty({}, field, { get: throwing }),
  ]),
];

/** What the rules look for, so that they are met more often than by chance. */
const telling = fc.oneof(
  fc.anything(),
  fc.constantFrom(...CATEGORIES),
  fc.constantFrom(
    "40001",
    "E2BIG",
    "23505",
    "ECONNRESET",
    "429",
    "insufficient_quota",
    "EAUTH",
    "APIError",
    "ZodError",
  ),
  fc.constantFrom("429 slow down", "fetch failed", "terminated", "deadlock detected", "[]"),
  fc.integer({ min: 0, max: 600 }),
  fc.boolean(),
);

const LINKS = ["cause", "errors", "error", "suppressed", "toolError"] as const;

/** Up to ten errors and plain objects, with links to any of them, themselves included. */
const graphOfErrors = fc
  .array(
    fc.record({
      isError: fc.boolean(),
      fields: fc.dictionary(fc.constantFrom(...FIELDS), telling),
      links: fc.dictionary(fc.constantFrom(...LINKS), fc.array(fc.nat(9), { minLength: 1, maxLength: 3 })),
    }),
    { minLength: 1, maxLength: 10 },
  )
  .map((nodes) => {
    const made = nodes.map(({ isError, fields }) => {
      const node: Record<string, unknown> = isError ? Object(new Error("x")) : {};
      for (const [key, value] of Object.entries(fields))
        Object.defineProperty(node, key, { value, configurable: true });
      return node;
    });
    nodes.forEach(({ links }, index) => {
      for (const [key, targets] of Object.entries(links)) {
        const linked = targets.map((target) => made[target % made.length]);
        Object.defineProperty(made[index], key, { value: key === "errors" ? linked : linked[0], configurable: true });
      }
    });
    return made[0];
  });

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

  it("gives a report for any JSON value", () => {
    fc.assert(fc.property(fc.jsonValue(), isReport));
  });

  it("gives a report for any graph of errors, in whatever circles it runs", () => {
    fc.assert(fc.property(graphOfErrors, isReport));
  });

  it("gives the report itself for a report that was stored as JSON", () => {
    const thrown = fc.oneof(fc.anything(), graphOfErrors, fc.dictionary(fc.constantFrom(...FIELDS), telling));
    fc.assert(
      fc.property(thrown, (error) => {
        const report = classifyError(error);
        const stored = JSON.parse(JSON.stringify(report));
        expect(stored).toEqual(report);
        const { message: _, cause: __, ...facts } = report;
        expect(classifyError(stored)).toMatchObject(facts);
        const { message: ___, cause: ____, ...again } = classifyError(stored);
        expect(again).toEqual(facts);
      }),
    );
  });

  it("does not change what was thrown", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const before = JSON.stringify(value);
        classifyError(value);
        expect(JSON.stringify(value)).toBe(before);
      }),
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

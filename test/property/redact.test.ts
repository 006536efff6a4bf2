import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { redact, redactText } from "../../src/core/redact.js";

const anything = fc.anything({
  withBigInt: true,
  withBoxedValues: true,
  withDate: true,
  withMap: true,
  withNullPrototype: true,
  withObjectString: true,
  withSet: true,
  withSparseArray: true,
  withTypedArray: true,
});

const throwing = (): never => {
  throw { toString: throwing };
};
const revoked = (target: object) => {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
};
const endless = (): object => new Proxy({}, { get: () => endless(), ownKeys: () => ["a", "b"] });
const hostile: readonly (readonly [string, () => unknown])[] = [
  ["a revoked proxy", () => revoked({})],
  ["a revoked list", () => revoked([])],
  ["an endless proxy", endless],
  ["a getter that throws", () => Object.defineProperty({}, "a", { enumerable: true, get: throwing })],
  ["a toJSON that throws", () => ({ toJSON: throwing })],
  ["a toJSON that cannot be read", () => Object.defineProperty({}, "toJSON", { get: throwing })],
  ["a toJSON that gives itself", () => ({ toJSON: (): unknown => ({ toJSON: throwing, self: endless() }) })],
  ["an object that only says it is a date", () => Object.create(Date.prototype)],
  ["a list of 2^32 - 1 elements", () => new Array(2 ** 32 - 1)],
  ["keys that no proxy will tell", () => new Proxy({}, { ownKeys: throwing, getPrototypeOf: throwing })],
];

const isShowable = (value: unknown) => {
  const shown = redact(value);
  expect(() => JSON.stringify(shown)).not.toThrow();
  return true;
};

const from = (alphabet: string, minLength: number, maxLength = minLength) =>
  fc.string({ unit: fc.constantFrom(...alphabet), minLength, maxLength });
const LOWER = "abcdefghijklmnopqrstuvwxyz";
const DIGITS = "0123456789";
const BASE64URL = `${LOWER}${LOWER.toUpperCase()}${DIGITS}-_`;
/** Long and odd enough not to turn up by chance. */
const word = from(`${LOWER}${DIGITS}`, 20).map((text) => `hunter2${text}`);

/** A secret, and a text in which it stands. */
interface Planted {
  readonly secret: string;
  readonly text: string;
}
const itself = (secret: fc.Arbitrary<string>): fc.Arbitrary<Planted> => secret.map((text) => ({ secret: text, text }));
const within = (secret: fc.Arbitrary<string>, ...frames: ((secret: string) => string)[]): fc.Arbitrary<Planted> =>
  fc.tuple(secret, fc.constantFrom(...frames)).map(([one, frame]) => ({ secret: one, text: frame(one) }));

const base64url = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
/** What a URL's password may hold without being escaped: also "@" and ":". */
const urlPassword = from(`${BASE64URL}@:!$*+%~`, 1, 12).map((odd) => `hunter2${odd}q7w8e9r0`);

const texts = fc.oneof(
  itself(from(BASE64URL, 24, 48).map((rest) => `sk-${rest}`)),
  itself(from(BASE64URL, 35).map((rest) => `AIza${rest}`)),
  itself(from(`${LOWER}${DIGITS}`, 36).map((rest) => `ghp_${rest}`)),
  itself(from(`${LOWER}${DIGITS}_`, 40, 80).map((rest) => `github_pat_${rest}`)),
  itself(from(`${LOWER.toUpperCase()}${DIGITS}`, 16).map((rest) => `AKIA${rest}`)),
  itself(
    fc.tuple(fc.constantFrom("b", "p"), from(`${DIGITS}-${LOWER}`, 24)).map(([kind, rest]) => `xox${kind}-${rest}`),
  ),
  itself(
    fc
      .tuple(fc.constantFrom("HS256", "RS256"), fc.string(), from(BASE64URL, 0, 43))
      .map(([alg, sub, signature]) => `${base64url({ alg })}.${base64url({ sub })}.${signature}`),
  ),
  within(word, (secret) => `Bearer ${secret}`),
  within(
    fc.tuple(fc.string({ minLength: 1 }), word).map((pair) => Buffer.from(pair.join(":")).toString("base64")),
    (secret) => `Authorization: Basic ${secret}`,
  ),
  within(
    word.map((password) => Buffer.from(`ann:${password}`).toString("base64")),
    (secret) => `Basic ${secret}`,
  ),
  within(
    word,
    (secret) => `https://x.test/v1?api_key=${secret}&n=1`,
    (secret) => `https://x.test/v1?n=1&token=${secret}#top`,
    (secret) => `{"n":1,"refresh_token":"${secret}"}`,
    (secret) => JSON.stringify({ body: JSON.stringify({ clientSecret: secret }) }),
    (secret) => `{ password: '${secret}' }`,
    (secret) => `OPENAI_API_KEY=${secret}`,
  ),
  within(
    urlPassword,
    (secret) => `postgres://ann:${secret}@db:5432/x`,
    (secret) => `redis://:${secret}@cache`,
    (secret) => `https://ann:${secret}@x.test/a?b=c`,
  ),
);

const SECRET_KEYS = [
  "apiKeys",
  "auth",
  "clientSecret",
  "refresh_token",
  "secretAccessKey",
  "x-api-key",
  "DB_PASSWORD",
  "pwd",
  "passcode",
];

/** A field or element with a secret in it, and the secret. */
const planted: fc.Arbitrary<{ readonly secret: string; readonly value: unknown }> = fc.oneof(
  fc
    .tuple(texts, fc.string(), fc.string())
    .map(([{ secret, text }, before, after]) => ({ secret, value: `${before}\n${text}\n${after}` })),
  fc
    .tuple(fc.constantFrom(...SECRET_KEYS), word, fc.boolean())
    .map(([key, secret, deep]) => ({ secret, value: { [key]: deep ? [{ a: secret }] : secret } })),
  texts.map(({ secret, text }) => ({ secret, value: { [text]: 1 } })),
);

const wrapped = fc.array(
  fc.oneof(
    fc.string().map((key) => (value: unknown) => ({ before: 1, [key]: value })),
    fc.array(fc.string(), { maxLength: 5 }).map((others) => (value: unknown) => [...others, value]),
    fc.constant((value: unknown) => ({ toJSON: () => ({ kwargs: value }) })),
  ),
  { maxLength: 4 },
);

describe("redact", () => {
  it("gives something JSON-able for whatever it is given", () => {
    fc.assert(fc.property(anything, isShowable));
    fc.assert(fc.property(fc.dictionary(fc.constantFrom(...SECRET_KEYS, "toJSON", "length"), anything), isShowable));
  });

  it.each(hostile)("does not throw for %s", (_, make) => {
    isShowable(make());
    isShowable({ inside: [make()] });
  });

  it("does not throw for nesting beyond the stack", () => {
    let deep: unknown = "bottom";
    for (let level = 0; level < 50_000; level += 1) deep = [deep];
    expect(() => redact(deep, { maxDepth: Number.POSITIVE_INFINITY })).not.toThrow();
    isShowable(deep);
  });

  it("lets no secret through, wherever it stands", () => {
    const limits = { maxText: 100_000, maxItems: 1000, maxDepth: 20 };
    fc.assert(
      fc.property(planted, wrapped, ({ secret, value }, wraps) => {
        const given = wraps.reduce((inner, wrap) => wrap(inner), value);
        return !JSON.stringify(redact(given, limits)).includes(secret);
      }),
      { numRuns: 2000 },
    );
  });

  it("has nothing left to hide the second time", () => {
    fc.assert(
      fc.property(texts, ({ text }) => {
        const once = redactText(text);
        return redactText(once) === once;
      }),
    );
  });
});

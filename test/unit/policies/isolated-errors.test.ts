import { describe, expect, it } from "vitest";
import { classifyError } from "../../../src/errors/classify.js";
import { packThrown, unpackThrown } from "../../../src/policies/isolated-errors.js";
import { FAILURES } from "../../support/isolated/failures.js";

/** As between two threads. */
const sent = (thrown: unknown): unknown => unpackThrown(structuredClone(packThrown(thrown)));

describe("what was thrown, sent to another thread", () => {
  it.each(Object.keys(FAILURES))("means the same: %s", (name) => {
    const mine = FAILURES[name]?.();
    const theirs = sent(mine);
    expect(classifyError(theirs)).toEqual(classifyError(mine));
    expect(theirs instanceof Error).toBe(mine instanceof Error);
  });

  it("keeps the classes of the language and the names of all others", () => {
    class Wrong extends RangeError {}
    const error = sent(new Wrong("too far"));
    expect(error).toBeInstanceOf(RangeError);
    expect(Object.getPrototypeOf(error).constructor.name).toBe("Wrong");
    expect(error).toMatchObject({ name: "RangeError", message: "too far" });
  });

  it("keeps the stack, and does not enumerate it", () => {
    const mine = new Error("here");
    const theirs = sent(mine) as Error;
    expect(theirs.stack).toBe(mine.stack);
    expect(Object.keys(theirs)).toEqual([]);
  });

  it("leaves out what cannot be sent and keeps the rest", () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    const error = Object.assign(new Error("odd"), {
      code: "EODD",
      retry: () => undefined,
      mark: Symbol("mark"),
      proxy,
      socket: { write: () => undefined, port: 25 },
    });
    Object.defineProperty(error, "locked", {
      enumerable: true,
      get: () => {
        throw new Error("not for you");
      },
    });
    const theirs = sent(error) as Error;
    expect({ ...theirs }).toEqual({ code: "EODD", socket: { port: 25 } });
  });

  it("takes a proxy that refuses everything for a value without content", () => {
    const { proxy, revoke } = Proxy.revocable(new Error("gone"), {});
    revoke();
    expect(() => sent(proxy)).not.toThrow();
  });

  it("ends where causes run in a circle", () => {
    const mine = new Error("a");
    mine.cause = new Error("b", { cause: mine });
    expect(sent(mine)).toMatchObject({ message: "a", cause: { message: "b", cause: { message: "a" } } });
  });

  it("ends where data run in a circle, or never end", () => {
    const ring: { next?: unknown } = {};
    ring.next = ring;
    const wide = Array.from({ length: 100_000 }, (_, n) => ({ n }));
    const packed = packThrown(Object.assign(new Error("large"), { ring, wide }));
    expect(JSON.stringify(packed).length).toBeLessThan(100_000);
  });

  it("does not let a property reach the prototype", () => {
    const mine = Object.assign(new Error("sly"), JSON.parse('{"__proto__": {"polluted": true}, "code": "X"}'));
    Object.defineProperty(mine, "__proto__", { value: { polluted: true }, enumerable: true });
    const theirs = sent(mine) as Error & { polluted?: unknown };
    expect(theirs).toBeInstanceOf(Error);
    expect(theirs.polluted).toBeUndefined();
  });
});

import { describe, expect, it } from "vitest";
import { isControlFlow, rethrowControlFlow } from "../../../src/errors/control-flow.js";
import {
  AttemptTimeoutError,
  asError,
  ConfigError,
  NonErrorThrown,
  RunAbortedError,
} from "../../../src/errors/own-errors.js";

describe("our own errors", () => {
  it("carry a stable code, their class's name, details and cause", () => {
    const cause = new Error("why");
    const error = new ConfigError("wrong", { cause, details: { option: "x" } });
    expect(error).toMatchObject({ name: "ConfigError", code: "CONFIG", cause, details: { option: "x" } });
    expect(JSON.parse(JSON.stringify(error))).toEqual({
      name: "ConfigError",
      code: "CONFIG",
      message: "wrong",
      details: { option: "x" },
    });
  });

  it("say what, which and what next", () => {
    expect(new AttemptTimeoutError('Node "a"', 50).message).toBe(
      'Node "a" did not finish within 50 ms; the attempt was aborted',
    );
    expect(new RunAbortedError("a", "ann", "too dear").message).toBe(
      'Run aborted at node "a" by ann: too dear; to go on all the same, resume from an earlier checkpoint',
    );
  });
});

describe("what was thrown", () => {
  it("is kept when it is an error", () => {
    const error = new Error("x");
    expect(asError(error)).toBe(error);
  });

  it.each([
    ["a text", "boom", "boom"],
    ["an object", { a: 1 }, '{"a":1}'],
    ["nothing", undefined, "undefined"],
    ["null", null, "null"],
  ])("is wrapped when it is %s", (_, thrown, words) => {
    const error = asError(thrown);
    expect(error).toBeInstanceOf(NonErrorThrown);
    expect(error.message).toContain(words);
  });
});

describe("control flow", () => {
  it("is told by its flag and thrown on", () => {
    const command = { is_bubble_up: true };
    expect(isControlFlow(command)).toBe(true);
    expect(() => rethrowControlFlow(command)).toThrow(expect.objectContaining(command));
  });

  it.each([[null], [undefined], ["text"], [{}], [{ is_bubble_up: "yes" }], [new Error("x")]])("is not %j", (value) => {
    expect(isControlFlow(value)).toBe(false);
    expect(() => rethrowControlFlow(value)).not.toThrow();
  });
});

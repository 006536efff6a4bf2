import { describe, expect, it } from "vitest";
import { classifyError } from "../../../src/errors/classify.js";
import { isControlFlow, rethrowControlFlow } from "../../../src/errors/control-flow.js";
import {
  AttemptTimeoutError,
  asError,
  CancelledError,
  ConfigError,
  DecisionRefusedError,
  InjectedFaultError,
  InvalidInputError,
  MalformedOutputError,
  NodeFailedError,
  NonErrorThrown,
  OwnedElsewhereError,
  RunAbortedError,
  ThreadError,
} from "../../../src/errors/own-errors.js";

import { CheckpointCorruptError, LeaseLostError, ThreadBusyError } from "../../../src/errors/persistence-errors.js";
import {
  BudgetExceededError,
  BulkheadFullError,
  CircuitOpenError,
  DeadlineExceededError,
  RateLimitedError,
} from "../../../src/errors/policy-errors.js";

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

  it.each([
    ["AttemptTimeoutError", new AttemptTimeoutError("Node", 5), "timeout"],
    ["AttemptTimeoutError between tokens", new AttemptTimeoutError("Node", 5, { kind: "idle" }), "timeout"],
    ["BudgetExceededError", new BudgetExceededError("spent"), "quota"],
    ["BulkheadFullError", new BulkheadFullError("openai", "full"), "rate_limit"],
    ["CancelledError", new CancelledError("stop"), "cancelled"],
    [
      "CheckpointCorruptError",
      new CheckpointCorruptError({ threadId: "t", namespace: "", checkpointId: "c", part: "writes" }, "gone"),
      "environment",
    ],
    ["CircuitOpenError", new CircuitOpenError("openai", 5), "model_unavailable"],
    ["ConfigError", new ConfigError("wrong"), "invalid_input"],
    ["DeadlineExceededError", new DeadlineExceededError("Node", 5), "timeout"],
    ["DecisionRefusedError", new DecisionRefusedError("no such question"), "invalid_input"],
    ["InjectedFaultError", new InjectedFaultError("node", "tool_execution"), "tool_execution"],
    ["InvalidInputError", new InvalidInputError("no such quarter"), "invalid_input"],
    ["LeaseLostError", new LeaseLostError("thread/t"), "cancelled"],
    ["MalformedOutputError", new MalformedOutputError("half a table"), "malformed_output"],
    ["NodeFailedError", new NodeFailedError("node", "stuck", new Error("in circles")), "stuck"],
    ["OwnedElsewhereError", new OwnedElsewhereError("taken"), "environment"],
    ["RateLimitedError", new RateLimitedError("openai", "used up", 5), "rate_limit"],
    ["RunAbortedError", new RunAbortedError("node", "ann", ""), "cancelled"],
    ["ThreadBusyError", new ThreadBusyError("t", "host:1", 100), "conflict"],
    ["ThreadError", new ThreadError("THREAD_NOT_FOUND", "nothing stored"), "not_found"],
  ])("keep their meaning as JSON: %s", (_, error, category) => {
    expect(classifyError(error).category).toBe(category);
    expect(classifyError(JSON.parse(JSON.stringify(error))).category).toBe(category);
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

  it("is not asked of what refuses to tell", () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    expect(() => rethrowControlFlow(proxy)).not.toThrow();
  });

  it.each([[null], [undefined], ["text"], [{}], [{ is_bubble_up: "yes" }], [new Error("x")]])("is not %j", (value) => {
    expect(isControlFlow(value)).toBe(false);
    expect(() => rethrowControlFlow(value)).not.toThrow();
  });
});

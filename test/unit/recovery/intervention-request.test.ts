import { describe, expect, it } from "vitest";
import type { FailureRecord } from "../../../src/core/records.js";
import { ACTIONS } from "../../../src/recovery/decision.js";
import {
  checkDecision,
  interventionRequest,
  isInterventionRequest,
} from "../../../src/recovery/intervention-request.js";

const failure: FailureRecord = {
  v: 1,
  node: "charge",
  input: { orderId: "17", apiKey: "sk-abcdefghijkl", url: "postgres://ann:secret@db/x" },
  report: {
    category: "network",
    retryable: true,
    message: "refused by https://ann:secret@pay.example",
    cause: ["Error: Bearer abc.def"],
  },
  attempts: [
    {
      number: 1,
      step: "node",
      startedAt: 1,
      durationMs: 2,
      report: { category: "network", retryable: true, message: "Bearer abc.def" },
      delayMs: 3,
    },
    {
      number: 1,
      step: "later",
      startedAt: 4,
      durationMs: 5,
      report: { category: "unknown", retryable: true, message: "no" },
    },
  ],
  fallbacks: ["later", "never"],
  decisions: [],
};
const request = interventionRequest(failure, ACTIONS, { threadId: "uuid", threadName: "q3", graph: "orders" });

describe("the request to a person", () => {
  it("says in one sentence what failed, after what, and how", () => {
    expect(request.summary).toBe(
      'Node "charge" failed after 1 attempt and the fallback later (network): refused by https://ann:[redacted]@pay.example',
    );
  });

  it("shows no secret, in the input, the messages or the causes", () => {
    expect(JSON.stringify(request)).not.toMatch(/secret@|abc\.def|sk-abc/);
    expect(request.input).toEqual({ orderId: "17", apiKey: "[redacted]", url: "postgres://ann:[redacted]@db/x" });
  });

  it("survives JSON unchanged and knows itself again", () => {
    const stored: unknown = JSON.parse(JSON.stringify(request));
    expect(stored).toEqual(request);
    expect(isInterventionRequest(stored)).toBe(true);
    for (const other of [null, undefined, "x", {}, { kind: "intervention" }, { kind: "intervention", v: 2 }])
      expect(isInterventionRequest(other)).toBe(false);
  });

  it("offers each action with a JSON schema and the command that answers", () => {
    expect(request.actions.map((one) => one.action)).toEqual([...ACTIONS]);
    for (const { schema, description } of request.actions) {
      expect(schema).toMatchObject({ type: "object", required: expect.arrayContaining(["action"]) });
      expect(description).not.toBe("");
    }
    expect(request.resumeCommand).toMatch(/^(npx )?lgr resume q3 --action retry/);
    expect(request.fallbacksTried).toEqual(["later"]);
  });

  it("does not offer a fallback where there is none", () => {
    const without = interventionRequest({ ...failure, fallbacks: [] }, ACTIONS, {});
    expect(without.actions.map((one) => one.action)).not.toContain("fallback");
    expect(without.suggestion.action).not.toBe("fallback");
  });
});

describe("a decision", () => {
  it.each([
    { action: "retry" },
    { action: "retry", by: "ann", reason: "it is back" },
    { action: "adjust", state: { cents: 5 } },
    { action: "adjust", parameters: { maxAttempts: 2, timeoutMs: 5000 } },
    { action: "fallback" },
    { action: "fallback", step: "never" },
    { action: "provide", result: { id: "x" } },
    { action: "escalate", to: "ops" },
    { action: "abort" },
  ])("%j fits", (decision) => {
    expect(checkDecision(request, decision)).toEqual(decision);
  });

  it.each([
    [null, 'the answer names no "action"; choose one of retry, adjust, fallback, provide, escalate, abort'],
    ["retry", 'the answer names no "action"'],
    [{ action: "dance" }, 'action "dance" is not offered'],
    [{ action: "fallback", step: "x" }, '"fallback" does not fit: step:'],
    [{ action: "retry", parameters: {} }, '"retry" does not fit'],
    [{ action: "provide" }, '"provide" does not fit: result:'],
    [{ action: "adjust", parameters: { maxAttempts: 1.5 } }, "parameters.maxAttempts:"],
    [{ action: "retry", by: 7 }, '"retry" does not fit: by:'],
  ])("%j is refused with what is wrong", (decision, words) => {
    expect(() => checkDecision(request, decision)).toThrow(words);
    expect(() => checkDecision(request, decision)).toThrow('Node "charge"');
    expect(() => checkDecision(request, decision)).toThrow(expect.objectContaining({ code: "DECISION_REFUSED" }));
  });
});

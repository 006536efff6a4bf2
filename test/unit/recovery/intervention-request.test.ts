import { describe, expect, it } from "vitest";
import type { EffectFrame, EffectScope, StoredEffect } from "../../../src/core/effect-ports.js";
import type { AttemptRecord, FailureRecord } from "../../../src/core/records.js";
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
const request = interventionRequest(failure, ACTIONS, {
  threadId: "uuid",
  threadName: "q3",
  graph: "orders",
  effects: [],
});

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
    // Nor a rollback where nothing is recorded.
    expect(without.actions.map((one) => one.action)).not.toContain("rollback");
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

  it("for what is not shown any more is refused", () => {
    expect(() => checkDecision(request, { action: "retry", of: "feed" })).toThrow("has changed since");
    expect(checkDecision(request, { action: "retry", of: request.hash })).toMatchObject({ action: "retry" });
  });

  it.each([
    [null, 'the answer names no "action"; choose one of retry, adjust, fallback, provide, rollback, escalate, abort'],
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

describe("the effects in a request", () => {
  const step: EffectScope = [{ namespace: "", checkpointId: "c", node: "charge", taskId: "t" }];
  const effect = (more: Partial<StoredEffect>): StoredEffect => ({
    v: 1,
    threadId: "uuid",
    key: "0123456789abcdef",
    epoch: 0,
    idempotencyKey: "k",
    effect: "charge",
    kind: "irreversible",
    state: "confirmed",
    scope: step,
    place: "charge",
    name: "#0",
    inputHash: "h",
    input: {},
    calls: 1,
    undoCalls: 0,
    intendedAt: 0,
    change: "x",
    seq: 1,
    ...more,
  });
  const ofStep: FailureRecord = { ...failure, scope: step };
  const asked = (effects: StoredEffect[], of = ofStep) =>
    interventionRequest(of, ACTIONS, { threadName: "my q3", effects });
  const stuck: FailureRecord = {
    ...ofStep,
    report: { category: "stuck", retryable: false, code: "EFFECT_UNKNOWN", message: "not known" },
  };

  it("are absent where nothing was recorded", () => {
    expect(request).not.toHaveProperty("effects");
    expect(asked([])).not.toHaveProperty("effects");
  });

  it("are the last 20, oldest first, with where they belong and when they last changed", () => {
    const many = Array.from({ length: 25 }, (_, n) => effect({ key: `${n}`.padStart(16, "0"), seq: n, settledAt: n }));
    const { effects } = asked(many);
    expect(effects?.map(({ at }) => new Date(at).getTime())).toEqual(many.slice(5).map(({ seq }) => seq));
    const inner = { namespace: "charge:t", checkpointId: "d", node: "deep", taskId: "u" };
    expect(asked([effect({ scope: [...step, inner], dispatchedAt: 1000 })]).effects).toEqual([
      {
        effect: "charge",
        state: "confirmed",
        node: "charge/deep",
        key: "0123456789ab",
        at: "1970-01-01T00:00:01.000Z",
      },
    ]);
  });

  it("show what came back without secrets, and survive JSON", () => {
    const shown = asked([effect({ receipt: { id: "r", apiKey: "sk-abcdefghijkl", text: "x".repeat(1000) } })]);
    expect(shown.effects?.[0]?.receipt).toMatchObject({ id: "r", apiKey: "[redacted]" });
    expect(JSON.stringify(shown.effects).length).toBeLessThan(500);
    expect(JSON.parse(JSON.stringify(shown))).toEqual(shown);
  });

  it("that may have happened have to be settled before a retry, however often it was tried, and the reason says how", () => {
    const tries = Array.from({ length: 6 }, () => failure.attempts[0] as AttemptRecord);
    const { suggestion, actions } = asked([effect({ state: "unknown" })], { ...stuck, attempts: tries });
    expect(suggestion.action).toBe("retry");
    expect(suggestion.reason).toContain(
      "say so with npx lgr effects 'my q3' --settle 0123456789ab --happened '<receipt>', or --did-not-happen; then retry",
    );
    expect(actions.map(({ action }) => action)).toEqual([...ACTIONS]);
  });

  it("beside another failure leave the suggestion and are named with it", () => {
    const auth: FailureRecord = { ...ofStep, report: { category: "auth", retryable: false, message: "401" } };
    const { suggestion } = asked([effect({ state: "unknown" }), effect({ state: "unknown", effect: "mail" })], auth);
    expect(suggestion.action).toBe("escalate");
    expect(suggestion.reason).toMatch(/^A login was refused.* But first: .*effect "charge" happened, nor of 1 more/);
  });

  it.each<[string, Partial<StoredEffect>]>([
    ["known", { state: "confirmed" }],
    ["harmless to repeat", { state: "unknown", kind: "idempotent" }],
    ["another step's", { state: "unknown", scope: [{ ...step[0], taskId: "other" } as EffectFrame] }],
  ])("that are %s change no suggestion", (_, more) => {
    expect(asked([effect(more)]).suggestion).toEqual(asked([]).suggestion);
  });
});

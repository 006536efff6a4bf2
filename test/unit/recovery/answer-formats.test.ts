import { toJsonSchema } from "@langchain/core/utils/json_schema";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { DeclaredRollback } from "../../../src/core/records.js";
import type { About } from "../../../src/recovery/answer-fields.js";
import { ownAnswer, withForeign } from "../../../src/recovery/answer-formats.js";
import { approvalSchema } from "../../../src/recovery/approval-request.js";
import { ACTIONS, type Action, decisionSchema } from "../../../src/recovery/decision.js";
import type { Suggestion } from "../../../src/recovery/suggestion.js";

const fallbacks = ["cheaper", "cheaper still"];
function failed(suggestion: Partial<Suggestion> = {}, fields: object = {}): About {
  return {
    kind: "intervention",
    actions: ACTIONS,
    fallbacks,
    suggestion: { action: "retry", reason: "It may have passed.", ...suggestion },
    label: 'Node "charge"',
    ...fields,
  };
}
const approval: About = { kind: "approval", label: 'Effect "pay"' };
const slowDown = { action: "adjust", parameters: { initialDelayMs: 30_000 } } as const;

/** As Agent Inbox sends it. */
const inbox = (type: string, args: unknown = null) => [{ type, args }];
const edit = (args: object, action = "charge failed") => inbox("edit", { action, args });
/** As front ends of LangChain's middleware send it. */
const hitl = (...decisions: object[]) => ({ decisions });
const schemaOf = (about: About) =>
  about.kind === "approval" ? approvalSchema : decisionSchema(about.actions, about.fallbacks);

/** What is made of an answer, which the question's own schema must take. */
function made(given: unknown, about: About = failed()): unknown {
  const own = ownAnswer(given, about);
  expect(schemaOf(about).safeParse(own).error).toBeUndefined();
  expect(withForeign<unknown>(schemaOf(about), about).parse(given)).toEqual(own);
  return own;
}
function refused(given: unknown, about: About = failed()) {
  expect(withForeign<unknown>(schemaOf(about), about).safeParse(given).success).toBe(false);
  return expect(() => ownAnswer(given, about));
}

describe("what accepts, in either format", () => {
  const accepts = [inbox("accept"), { type: "accept", args: null }, hitl({ type: "approve" })];

  it.each(accepts)("takes the suggested action with all that belongs to it: %j", (given) => {
    expect(made(given)).toEqual({ action: "retry" });
    expect(made(given, failed(slowDown))).toEqual(slowDown);
    expect(made(given, failed({ action: "fallback" }))).toEqual({ action: "fallback", step: "cheaper" });
    const automatic: DeclaredRollback = { scope: "transaction", transaction: "order", max: 1, acceptStanding: true };
    expect(made(given, failed({ action: "rollback" }, { automatic }))).toEqual({
      action: "rollback",
      scope: "transaction",
      transaction: "order",
      acceptStanding: true,
    });
    expect(made(given, approval)).toEqual({ action: "approve" });
  });

  it("takes what was shown, where that came back, though something else is suggested by now", () => {
    const shown = { action: "charge failed", args: { ...slowDown, reason: "", by: "", of: "feed" } };
    expect(made(inbox("accept", shown), failed({ action: "escalate" }))).toEqual({ ...slowDown, of: "feed" });
    expect(made(inbox("accept", { action: "abort", args: {} }))).toEqual({ action: "abort" });
    expect(made(inbox("accept", { action: "charge failed", args: {} }))).toEqual({ action: "retry" });
    const approved = { action: "pay needs approval", args: { action: "approve", reason: "", by: "", of: "feed" } };
    expect(made(inbox("accept", approved), approval)).toEqual({ action: "approve", of: "feed" });
  });

  it("is refused where a result would have to be given, or nothing is suggested", () => {
    expect(ownAnswer(inbox("accept"), failed({ action: "provide" }))).toEqual({ action: "provide" });
    expect(schemaOf(failed()).safeParse({ action: "provide" }).success).toBe(false);
    const { suggestion: _, ...unsuggested } = failed() as Extract<About, { kind: "intervention" }>;
    refused(inbox("accept"), unsuggested).toThrow(/Node "charge": nothing is suggested; choose one of retry, adjust/);
  });
});

describe("an edit", () => {
  it("names the action and its fields, parsed where no text is wanted, without what is empty", () => {
    const fields = { parameters: '{"maxAttempts": 2}', state: " ", reason: "slow \n", by: "ada" };
    expect(made(edit({ action: "Adjust\n", ...fields }))).toEqual({
      action: "adjust",
      parameters: { maxAttempts: 2 },
      reason: "slow",
      by: "ada",
    });
    expect(made(edit({ action: "provide", result: '{"total": 3}' }))).toEqual({
      action: "provide",
      result: { total: 3 },
    });
    expect(made(edit({ action: "abort", compensate: "false" }))).toEqual({ action: "abort", compensate: false });
    expect(made(edit({ action: "escalate", to: "17" }))).toEqual({ action: "escalate", to: "17" });
    expect(made(edit({ action: "rollback", scope: "session", to: '{"before":"pay"}' }))).toMatchObject({
      to: { before: "pay" },
    });
    expect(made(edit({ action: "rollback", scope: "session", to: "1ef-2" }))).toMatchObject({ to: "1ef-2" });
  });

  it("may name the action as the edited action, in either spelling", () => {
    expect(made(edit({ reason: "r" }, "retry"))).toEqual({ action: "retry", reason: "r" });
    const edited = { name: "fallback", args: { step: "cheaper" } };
    for (const key of ["editedAction", "edited_action"])
      expect(made(hitl({ type: "edit", [key]: edited }))).toEqual({ action: "fallback", step: "cheaper" });
    const both = { type: "edit", editedAction: edited, edited_action: edited };
    expect(made(hitl(both))).toEqual({ action: "fallback", step: "cheaper" });
  });

  it("to another action leaves out what was filled in for the suggested one, and nothing else", () => {
    const about = failed(slowDown);
    for (const parameters of [slowDown.parameters, JSON.stringify(slowDown.parameters)])
      expect(made(edit({ action: "retry", parameters }), about)).toEqual({ action: "retry" });
    expect(ownAnswer(edit({ action: "retry", parameters: { maxAttempts: 9 } }), about)).toEqual({
      action: "retry",
      parameters: { maxAttempts: 9 },
    });
  });

  it("is refused where it names no action that is offered, or two", () => {
    const few = failed({}, { actions: ["retry", "escalate"] satisfies Action[] });
    refused(edit({ action: "abort" }), few).toThrow(
      /action "abort" is not offered; choose one of retry, escalate, as a text such as "retry: because …"/,
    );
    refused(edit({ amount: "3" })).toThrow(/names no action; choose one of/);
    refused(edit({ action: "retry" }, "abort")).toThrow(/names both "abort" and "retry"/);
    refused(inbox("edit")).toThrow(/has no args/);
    refused(inbox("edit", { action: "retry" })).toThrow(/has no args/);
    refused(hitl({ type: "edit" })).toThrow(/no action was edited/);
  });

  it("of an effect's input approves nothing", () => {
    expect(made(edit({ action: "reject", reason: "too much" }), approval)).toEqual({
      action: "reject",
      reason: "too much",
    });
    refused(edit({ cents: "4" }, "pay needs approval"), approval).toThrow(
      /names no action; choose one of approve, reject/,
    );
    const named = edit({ action: "approve", cents: "4" }, "pay needs approval");
    expect(withForeign(approvalSchema, approval).safeParse(named).success).toBe(false);
  });
});

describe("a text", () => {
  it("is a decision as JSON, or an action and a reason", () => {
    expect(made(inbox("response", ' {"action":"provide","result":{"a":1}} '))).toEqual({
      action: "provide",
      result: { a: 1 },
    });
    const wordings = [
      "retry: it is back",
      "Retry - it is back",
      "retry it is back",
      "RETRY\nit is back",
      "retry:it is back",
    ];
    for (const said of wordings)
      expect(made(inbox("response", said))).toEqual({ action: "retry", reason: "it is back" });
    expect(made(inbox("response", "abort."))).toEqual({ action: "abort" });
    expect(made(hitl({ type: "respond", message: "escalate" }))).toEqual({ action: "escalate" });
    expect(made(inbox("response", "reject only this once"), approval)).toEqual({
      action: "reject",
      reason: "only this once",
    });
  });

  it("may name the fallback", () => {
    const said = (text: string) => made(inbox("response", `fallback ${text}`));
    expect(said("cheaper still: for now")).toEqual({ action: "fallback", step: "cheaper still", reason: "for now" });
    expect(said("cheaper")).toEqual({ action: "fallback", step: "cheaper" });
    expect(said("cheapest of all")).toEqual({ action: "fallback", reason: "cheapest of all" });
  });

  it("approves by that word alone or with a colon, never on a condition", () => {
    for (const said of ["approve", "Approve!", " approve\n"])
      expect(made(inbox("response", said), approval)).toEqual({ action: "approve" });
    expect(made(inbox("response", "approve: agreed"), approval)).toEqual({ action: "approve", reason: "agreed" });
    for (const said of [
      "approve only if it is cheap",
      "approve, but later",
      "approve - not",
      "approve? no",
      "approved",
    ])
      refused(inbox("response", said), approval).toThrow(/Effect "pay": .*answer "approve" alone|choose one of/);
  });

  it.each(["please try again", "", "{retry}", "[1]", "retry?", "retrying", "retry/abort"])(
    "is refused otherwise: %j",
    (said) => {
      refused(inbox("response", said)).toThrow(/choose one of retry, adjust, .* as JSON such as \{"action":"retry"\}/);
    },
  );
});

describe("what ignores or rejects", () => {
  it("rejects an effect, and aborts a run where that is offered", () => {
    expect(made(inbox("ignore"), approval)).toEqual({ action: "reject" });
    expect(made(inbox("ignore"))).toEqual({ action: "abort" });
    const because = hitl({ type: "reject", message: "too much" });
    expect(made(because, approval)).toEqual({ action: "reject", reason: "too much" });
    expect(made(because)).toEqual({ action: "abort", reason: "too much" });
    const few = failed({}, { actions: ["retry"] satisfies Action[] });
    for (const given of [inbox("ignore"), because])
      refused(given, few).toThrow(/"abort" is not offered; choose one of retry/);
  });
});

describe("other answers", () => {
  it("are refused where there is more than one, none or one of no known type", () => {
    const approve = { type: "approve" };
    refused(hitl(approve, approve)).toThrow(/one question, and 2 answers were given to it/);
    refused([...inbox("accept"), ...inbox("ignore")]).toThrow(/one question, and 2 answers/);
    refused(hitl()).toThrow(/one question, and 0 answers/);
    refused(hitl({ type: "maybe" })).toThrow(/none of approve, edit, reject and respond; choose one of/);
    refused({ decisions: ["approve"] }).toThrow(/no object/);
  });

  it("that are ours already are returned as they are given", () => {
    const ours = fc.record(
      { action: fc.oneof(fc.constantFrom(...ACTIONS, "approve"), fc.jsonValue()) },
      { requiredKeys: ["action"] },
    );
    const more = fc.dictionary(fc.constantFrom("type", "args", "decisions", "by", "of", "result"), fc.jsonValue());
    const property = fc.property(ours, more, fc.constantFrom(failed(), approval), (one, besides, about) => {
      const given = { ...besides, ...one };
      return ownAnswer(given, about) === given;
    });
    fc.assert(property);
  });

  it("that are in no format known here are returned as they are given", () => {
    const property = fc.property(fc.jsonValue(), fc.constantFrom(failed(), approval), (given, about) => {
      return ownAnswer(given, about) === given;
    });
    fc.assert(property);
    for (const given of [undefined, "retry", true, [], [{ type: "accept" }, 1], { type: "human" }, { decisions: "no" }])
      expect(ownAnswer(given, approval)).toBe(given);
  });

  it("leave the question's schema as it is, as JSON schema and in what it refuses", () => {
    const about = failed();
    const schema = decisionSchema(ACTIONS, fallbacks);
    expect(toJsonSchema(withForeign(schema, about))).toEqual(toJsonSchema(schema));
    const wrong = { action: "retry", speed: 1 };
    expect(withForeign(schema, about).safeParse(wrong).error?.issues).toEqual(schema.safeParse(wrong).error?.issues);
    expect(withForeign(schema, about).safeParse(inbox("response", "hm")).error?.issues).toMatchObject([
      { code: "custom", path: [], message: expect.stringContaining("choose one of") },
    ]);
  });
});

import { afterEach, describe, expect, it } from "vitest";
import { classifyError } from "../../../src/errors/classify.js";
import type { ErrorRule } from "../../../src/errors/error-rule.js";
import { defineErrorRule } from "../../../src/errors/rules.js";

const undo: (() => void)[] = [];
const define = (rule: ErrorRule) => {
  const takeBack = defineErrorRule(rule);
  undo.push(takeBack);
  return takeBack;
};
afterEach(() => {
  for (const one of undo.splice(0)) one();
});

const crm = (category: ErrorRule["category"], more: Partial<ErrorRule> = {}): ErrorRule => ({
  name: "crm",
  category,
  when: (facts) => facts.code === "CRM_BUSY",
  ...more,
});
const crmBusy = Object.assign(new Error("busy"), { code: "CRM_BUSY", status: 400 });

describe("a rule of the user's own", () => {
  it("comes before the built-in ones of its pass", () => {
    expect(classifyError(crmBusy).category).toBe("invalid_input");
    define(crm("rate_limit"));
    expect(classifyError(crmBusy)).toMatchObject({ category: "rate_limit", retryable: true });
  });

  it("is gone once it is taken back", () => {
    define(crm("rate_limit"))();
    expect(classifyError(crmBusy).category).toBe("invalid_input");
  });

  it("replaces the earlier one of the same name, and taking that back leaves it in place", () => {
    const first = define(crm("rate_limit"));
    define(crm("conflict"));
    first();
    expect(classifyError(crmBusy).category).toBe("conflict");
  });

  it("that is newer comes before an older one", () => {
    define(crm("rate_limit"));
    define(crm("conflict", { name: "crm, again" }));
    expect(classifyError(crmBusy).category).toBe("conflict");
  });

  it("may say that this one is not to be retried", () => {
    define(crm("rate_limit", { retryable: false }));
    expect(classifyError(crmBusy)).toMatchObject({ category: "rate_limit", retryable: false });
  });

  it("may look at the facts and pass", () => {
    define(crm((facts) => (facts.status === 400 ? undefined : "rate_limit")));
    expect(classifyError(crmBusy).category).toBe("invalid_input");
    expect(classifyError({ code: "CRM_BUSY", status: 418 }).category).toBe("rate_limit");
  });

  it("about words does not overrule typed facts, and one of the first pass does", () => {
    define({ name: "words", pass: "message", category: "bug", when: (facts) => facts.message === "busy" });
    expect(classifyError(crmBusy).category).toBe("invalid_input");
    define({ name: "mine", pass: "own", category: "environment", when: (facts) => facts.message === "busy" });
    expect(classifyError(crmBusy).category).toBe("environment");
  });

  it("sees causes too, in the typed pass before their wrappers", () => {
    define(crm("rate_limit"));
    expect(classifyError(Object.assign(new Error("outer", { cause: crmBusy }), { status: 503 })).category).toBe(
      "rate_limit",
    );
  });

  it("that throws is passed over: classification never fails", () => {
    define(crm("rate_limit", {
      when: () => {
        throw new Error("my rule is broken");
      },
    }));
    expect(classifyError(crmBusy).category).toBe("invalid_input");
  });
});

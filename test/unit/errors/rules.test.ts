import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { CATEGORIES, CATEGORY_POLICIES } from "../../../src/errors/categories.js";
import { classifyError } from "../../../src/errors/classify.js";
import type { ErrorRule } from "../../../src/errors/error-rule.js";
import { ConfigError } from "../../../src/errors/own-errors.js";
import { defineErrorRule, rulesOf } from "../../../src/errors/rules.js";

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

  it("of the same name may move to another pass", () => {
    define(crm("rate_limit", { pass: "own" }));
    define(crm("conflict", { pass: "message" }));
    expect(classifyError(crmBusy).category).toBe("invalid_input");
  });

  it("may be taken back twice", () => {
    const takeBack = define(crm("rate_limit"));
    const built = rulesOf("typed").length - 1;
    takeBack();
    takeBack();
    expect(rulesOf("typed")).toHaveLength(built);
  });

  it("that is newer comes before an older one, in whatever order they are taken back", () => {
    const older = define(crm("rate_limit"));
    const newer = define(crm("conflict", { name: "crm, again" }));
    expect(classifyError(crmBusy).category).toBe("conflict");
    newer();
    expect(classifyError(crmBusy).category).toBe("rate_limit");
    define(crm("conflict", { name: "crm, again" }));
    older();
    expect(classifyError(crmBusy).category).toBe("conflict");
  });

  it("is kept as it was defined", () => {
    const rule = { ...crm("rate_limit") };
    define(rule);
    Object.assign(rule, { category: "auth", when: () => true });
    expect(classifyError(crmBusy).category).toBe("rate_limit");
    expect(classifyError(new Error("odd")).category).toBe("unknown");
  });

  it("may say that this one is not to be retried", () => {
    define(crm("rate_limit", { retryable: false }));
    expect(classifyError(crmBusy)).toMatchObject({ category: "rate_limit", retryable: false });
  });

  it("may decide by the facts whether this one is to be retried", () => {
    define(crm("rate_limit", { retryable: ({ status }) => status !== 400 }));
    expect(classifyError(crmBusy)).toMatchObject({ category: "rate_limit", retryable: false });
    expect(classifyError({ code: "CRM_BUSY", status: 429 })).toMatchObject({ retryable: true });
  });

  it("whose category turns out to have no retries reports none, whatever it says itself", () => {
    define(crm(() => "auth", { retryable: true }));
    expect(classifyError(crmBusy)).toMatchObject({ category: "auth", retryable: false });
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
});

describe("a rule that is broken", () => {
  beforeEach(() => void vi.spyOn(process, "emitWarning").mockImplementation(() => undefined));
  afterEach(() => vi.restoreAllMocks());

  const broken: readonly (readonly [what: string, rule: object, says: RegExp])[] = [
    [
      "throws",
      {
        when: () => {
          throw new Error("no code here");
        },
      },
      /no code here/,
    ],
    ["is asynchronous", { when: async () => true }, /"when" gave \[object Promise\]/],
    ["answers with a text", { when: () => "yes" }, /"when" gave yes/],
    ["makes up a category", { when: () => true, category: () => "busy" }, /"category" gave busy/],
    [
      "throws something that cannot be printed",
      {
        when: () => {
          throw Object.create(null);
        },
      },
      /The error rule "crm"/,
    ],
    ["decides on retries with a text", { when: () => true, retryable: () => "no" }, /"retryable" gave no/],
  ];

  it.each(broken)("because it %s is passed over, and said so once", (_what, rule, says) => {
    define({ ...crm("rate_limit"), ...rule } as ErrorRule);
    for (let time = 0; time < 3; time += 1) expect(classifyError(crmBusy).category).toBe("invalid_input");
    expect(process.emitWarning).toHaveBeenCalledOnce();
    expect(process.emitWarning).toHaveBeenCalledWith(expect.stringMatching(says), "ResilienceWarning");
  });
});

describe("a rule that is defined wrongly", () => {
  const wrong: readonly (readonly [what: string, rule: unknown, says: RegExp])[] = [
    ["nothing", undefined, /^defineErrorRule\(undefined\): .*expected object/],
    ["no name", crm("auth", { name: "" }), /^defineErrorRule\(""\): "name" is ""/],
    ["no condition", { name: "crm", category: "auth" }, /"when" is undefined: must be a function/],
    [
      "an unknown category",
      crm("busy" as never),
      /"category" is "busy": must be a function or one of network, timeout,/,
    ],
    ["an unknown pass", crm("auth", { pass: "first" as never }), /"pass" is "first": .*"own"/],
    ["an unknown field", { ...crm("auth"), whn: () => true }, /Unrecognized key: "whn"/],
    [
      "a retryable that is none",
      crm("timeout", { retryable: "no" as never }),
      /"retryable" is "no": must be true, false/,
    ],
    [
      "retries for what is never retried",
      crm("auth", { retryable: true }),
      /"retryable" is true: its category is never retried; name one that is, or set retries/,
    ],
    ["two faults", { name: "crm", category: 5, when: 5 }, /"category" is 5: .*; "when" is 5: /],
  ];

  it.each(wrong)("with %s is refused, and the table stays as it was", (_what, rule, says) => {
    const before = rulesOf("typed");
    const refused = () => defineErrorRule(rule as ErrorRule);
    expect(refused).toThrow(ConfigError);
    expect(refused).toThrow(says);
    expect(rulesOf("typed")).toBe(before);
  });
});

describe("the table", () => {
  it("is not built anew when it is asked", () => {
    define(crm("rate_limit"));
    for (const pass of ["own", "typed", "message"] as const) expect(rulesOf(pass)).toBe(rulesOf(pass));
  });

  it("names each of its rows once", () => {
    const names = (["own", "typed", "message"] as const).flatMap((pass) => rulesOf(pass).map(({ name }) => name));
    expect(new Set(names).size).toBe(names.length);
  });

  it("retries what the matrix retries", () => {
    for (const category of CATEGORIES)
      expect(classifyError({ category }).retryable).toBe(CATEGORY_POLICIES[category].retries > 0);
  });

  it("believes an error that carries its category and says that no retry can help", () => {
    expect(classifyError({ category: "conflict", retryable: false })).toMatchObject({ retryable: false });
    expect(classifyError({ category: "auth", retryable: true })).toMatchObject({ retryable: false });
  });
});

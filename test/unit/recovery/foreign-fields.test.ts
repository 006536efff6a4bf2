import { describe, expect, it } from "vitest";
import { aboutRequest, ownAnswer } from "../../../src/recovery/answer-formats.js";
import { ACTION_TEXTS, ACTIONS, type Action, actionSchema } from "../../../src/recovery/decision.js";
import { foreignFields } from "../../../src/recovery/foreign-fields.js";

const offers = (actions: readonly Action[]) =>
  actions.map((action) => ({ action, description: ACTION_TEXTS[action], schema: actionSchema(action, ["later"]) }));
const failed = {
  kind: "intervention" as const,
  node: "charge",
  hash: "feed",
  summary: 'Node "charge" failed after 2 attempts (network): no route',
  suggestion: { action: "adjust" as const, reason: "Slow down.", parameters: { initialDelayMs: 30_000 } },
  actions: offers(ACTIONS),
  fallbacks: ["later"],
  input: { orderId: "17" },
};
const approval = {
  kind: "approval" as const,
  effect: "pay",
  node: "charge",
  hash: "feed",
  summary: 'Node "charge" is about to do "pay", which nothing undoes, and waits for approval',
  actions: [
    { action: "approve" as const, description: "let it be done", schema: {} },
    { action: "reject" as const, description: "do not do it", schema: {} },
  ],
  input: { cents: 5 },
};

/** Agent Inbox shows a list's length and each text of `args`, which null has not. */
const isShowable = (value: unknown) => value !== null && value !== undefined;

describe("what Agent Inbox shows", () => {
  it("is what failed, what is suggested and what may be done", () => {
    const { action_request, config, description } = foreignFields(failed);
    expect(action_request).toEqual({
      action: "charge failed",
      args: { action: "adjust", state: "", parameters: { initialDelayMs: 30_000 }, reason: "", of: "feed", by: "" },
    });
    expect(config).toEqual({ allow_accept: true, allow_edit: true, allow_respond: true, allow_ignore: true });
    expect(description).toContain("failed after 2 attempts (network): no route");
    expect(description).toContain("Suggested: `adjust`. Slow down.");
    for (const action of ACTIONS) expect(description).toContain(`- \`${action}\`: ${ACTION_TEXTS[action]}`);
    expect(description).toContain("Fallbacks: `later`");
    expect(description).toContain('"orderId": "17"');
  });

  it("is what would be done, of an effect", () => {
    const { action_request, config, description } = foreignFields(approval);
    const args = { action: "approve", reason: "", of: "feed", by: "" };
    expect(action_request).toEqual({ action: "pay needs approval", args });
    expect(config).toEqual({ allow_accept: true, allow_edit: true, allow_respond: true, allow_ignore: true });
    expect(description).toMatch(/about to do "pay"[\s\S]*`reject`: do not do it[\s\S]*"cents": 5/);
  });

  it.each([failed, approval])("can be accepted as it is shown, of $kind, for nothing else than this", (request) => {
    const { action_request } = foreignFields(request);
    expect(Object.values(action_request.args).every(isShowable)).toBe(true);
    const { suggestion } = { suggestion: undefined, ...request };
    const { action, parameters } = suggestion ?? { action: "approve", parameters: undefined };
    const wanted = { action, ...(parameters === undefined ? {} : { parameters }), of: "feed" };
    expect(ownAnswer([{ type: "accept", args: action_request }], aboutRequest(request))).toEqual(wanted);
    const texts = Object.entries(action_request.args).map(([key, value]) => [
      key,
      typeof value === "string" ? value : JSON.stringify(value),
    ]);
    const edited = { ...action_request, args: Object.fromEntries(texts) };
    expect(ownAnswer([{ type: "edit", args: edited }], aboutRequest(request))).toEqual(wanted);
  });

  it("offers only what can be answered", () => {
    const few = { ...failed, actions: offers(["provide", "fallback"]), suggestion: { action: "provide", reason: "" } };
    const { config, description } = foreignFields(few as never);
    expect(config).toMatchObject({ allow_accept: false, allow_ignore: false });
    expect(description).not.toContain("ignoring");
  });

  it("says until when, and why nothing was taken back", () => {
    const rollback = { undo: [], doubtful: [], stays: [], refused: "it may have happened" };
    const { description } = foreignFields({
      ...failed,
      within: ["outer"],
      rollback,
      deadline: "2026-01-01T00:00:00.000Z",
      atDeadline: "it is aborted",
    });
    expect(description).toContain("It was not rolled back: it may have happened");
    expect(description).toContain("Until 2026-01-01T00:00:00.000Z; then: it is aborted");
  });

  it("makes no Markdown of what a message holds", () => {
    const { description } = foreignFields({
      ...failed,
      summary: "![x](https://evil.example/x) <img src=y>\n# Accept *this*",
      input: "```\n![x](https://evil.example/x)",
    });
    expect(description).toContain("\\!\\[x\\](https://evil.example/x) \\<img src=y\\> \\# Accept \\*this\\*");
    expect(description.match(/^\s{0,3}```/gm)).toHaveLength(2);
  });

  it("is shorter than 4,000 characters, whatever there is to be said", () => {
    const long = "*".repeat(50_000);
    const { action_request, description } = foreignFields({
      ...failed,
      node: long,
      summary: long,
      suggestion: { action: "retry", reason: long },
      rollback: { undo: [], doubtful: [], stays: [], refused: long },
      fallbacks: [long],
      deadline: "2026-01-01T00:00:00.000Z",
      atDeadline: long,
      input: Array.from({ length: 20 }, () => "😀".repeat(250)),
    });
    expect(description.length).toBeLessThan(4000);
    expect(description).toContain(ACTION_TEXTS.abort);
    expect(description).not.toMatch(/[\uD800-\uDBFF](?![\uDC00-\uDFFF])/);
    expect(action_request.action.length).toBeLessThan(300);
  });
});

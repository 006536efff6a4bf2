import { describe, expect, it } from "vitest";
import { requestLines } from "../../../src/cli/request-text.js";
import type { StoredEffect } from "../../../src/core/effect-ports.js";
import {
  type ApprovalRequest,
  approvalRequest,
  checkApproval,
  isApprovalRequest,
} from "../../../src/recovery/approval-request.js";

const entry = (fields: Partial<StoredEffect> = {}): StoredEffect => ({
  v: 1,
  seq: 1,
  threadId: "id",
  key: "abcdef0123456789",
  epoch: 0,
  idempotencyKey: "lgr",
  effect: "charge",
  kind: "irreversible",
  state: "intended",
  scope: [{ namespace: "", checkpointId: "c", node: "pay", taskId: "t" }],
  place: "pay",
  name: "#0",
  inputHash: "h",
  input: { cents: 5, apiKey: "sk-aaaaaaaaaaaaaaaa" },
  calls: 0,
  undoCalls: 0,
  intendedAt: 0,
  change: "1",
  ...fields,
});
const before = entry({ key: "9876543210fedcba", effect: "reserve", state: "confirmed", receipt: { id: "r1" } });

function request(fields: object = {}): ApprovalRequest {
  const context = {
    node: "pay",
    threadName: "q 3",
    effects: [before, entry()],
    question: 0,
    id: "q1",
    hash: "feed",
    ...fields,
  };
  return approvalRequest(entry(), context);
}

describe("a request for approval", () => {
  it("says what would be done, without secrets, and what was done before it", () => {
    const made = request({ within: ["shop"], graph: "g" });
    expect(made).toMatchObject({
      v: 1,
      kind: "approval",
      within: ["shop"],
      graph: "g",
      summary: 'Node "pay" is about to do "charge", which nothing undoes, and waits for approval',
      input: { cents: 5, apiKey: "[redacted]" },
      effects: [{ effect: "reserve", receipt: { id: "r1" } }],
      resumeCommand: "npx lgr resume 'q 3' --action approve --of feed",
    });
    expect(made.actions.map(({ schema }) => schema)).toMatchObject([
      { properties: { action: { const: "approve" } }, required: ["action"], additionalProperties: false },
      { properties: { action: { const: "reject" } } },
    ]);
    expect(isApprovalRequest(JSON.parse(JSON.stringify(made)))).toBe(true);
    expect(isApprovalRequest({ kind: "approval" })).toBe(false);
  });

  it("takes an answer for what it shows, and refuses any other", () => {
    expect(checkApproval(request(), { action: "approve", by: "ada" })).toEqual({
      action: "approve",
      by: "ada",
      of: "feed",
    });
    expect(checkApproval(request(), { action: "reject", of: "feed" })).toEqual({ action: "reject", of: "feed" });
    expect(() => checkApproval(request(), { action: "approve", of: "beef" })).toThrow(/has changed since/);
    for (const wrong of [{ action: "retry" }, { action: "approve", state: {} }, true, undefined])
      expect(() => checkApproval(request(), wrong)).toThrow(/can be answered with .*"approve"/);
  });

  it("is printed with the commands that answer it", () => {
    const question = { id: "0123456789", node: "pay", value: undefined, approval: request() };
    const text = requestLines(question, "q 3", true).join("\n");
    expect(text).toContain('Approval is needed: Node "pay" is about to do "charge"');
    expect(text).toMatch(/cents: 5/);
    expect(text).not.toContain("sk-aaaa");
    expect(text).toMatch(/confirmed: reserve of pay/);
    expect(text).toMatch(/resume 'q 3' --action approve --of feed --question 01234567 +# let it be done/);
    expect(text).toMatch(/resume 'q 3' --action reject --of feed --reason "why" --question 01234567 +# do not do it/);
  });
});

import { describe, expect, it } from "vitest";
import { type Output, printResult } from "../../../src/cli/output.js";
import type { RunResult } from "../../../src/langgraph/threads/run.js";

function printed(result: Partial<RunResult>): string {
  const lines: string[] = [];
  const output: Output = {
    json: false,
    line: (text = "") => void lines.push(text),
    object: () => undefined,
    onEvent: () => undefined,
  };
  printResult(output, {
    threadId: "id",
    name: "q3",
    status: "failed",
    values: {},
    waitingFor: [],
    next: [],
    error: new Error("connect ECONNREFUSED"),
    ran: true,
    ...result,
  });
  return lines.join("\n");
}

describe("what is said of a failed run", () => {
  it("is to resume it, when the database could not be read: nobody knows that nothing was stored", () => {
    const text = printed({ unreadable: true });
    expect(text).toContain("could not be read afterwards: connect ECONNREFUSED");
    expect(text).toContain("lgr resume q3");
    expect(text).not.toContain("still free");
  });

  it("is to start it again, when nothing was stored", () => {
    const text = printed({});
    expect(text).toContain("before anything was stored");
    expect(text).not.toContain("resume");
  });

  it("is to resume it, when there is a checkpoint", () => {
    expect(printed({ checkpointId: "c" })).toContain("lgr resume q3");
  });
});

describe("what is said of a thread that waits", () => {
  const question = { id: "1", node: "n", value: { why: "?" } };
  const asked = (id: string | undefined) => ({
    ...question,
    approval: { v: 1, kind: "approval", id, summary: "", input: {}, actions: [], hash: "feed" } as never,
  });

  it("names the inbox once, where its questions are", () => {
    const text = printed({ status: "waiting_human", waitingFor: [asked("a"), asked("b")] });
    expect(text.match(/lgr inbox/g)).toHaveLength(1);
  });

  it("does not name it for interrupts of the graph's own, and for questions from before there was one", () => {
    const text = printed({ status: "waiting_human", waitingFor: [question, asked(undefined)] });
    expect(text).not.toContain("inbox");
  });
});

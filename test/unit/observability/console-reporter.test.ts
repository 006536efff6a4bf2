import { describe, expect, it } from "vitest";
import type { ResilienceEvent } from "../../../src/core/events.js";
import type { ErrorReport } from "../../../src/errors/report.js";
import { consoleReporter, jsonReporter } from "../../../src/observability/console-reporter.js";

const failed = (report: Partial<ErrorReport>): ResilienceEvent => ({
  v: 1,
  type: "attempt.failed",
  at: 7,
  threadId: "t",
  node: "ask",
  attempt: 1,
  report: { category: "network", retryable: true, message: "x", ...report },
  durationMs: 5,
});

function jsonOf(event: ResilienceEvent): { readonly line: string; readonly parsed: { readonly report: ErrorReport } } {
  const lines: string[] = [];
  jsonReporter((line) => lines.push(line))(event);
  expect(lines).toHaveLength(1);
  const [line = ""] = lines;
  return { line, parsed: JSON.parse(line) };
}

describe("the JSON reporter", () => {
  it("writes the event as it is, on one line", () => {
    const event = failed({ message: "line one\nline two", status: 503 });
    const { line, parsed } = jsonOf(event);
    expect(parsed).toEqual(event);
    expect(line).not.toContain("\n");
  });

  it.each([
    'https://ann:hunter2@pay.example", said bob@example.com',
    'header "Authorization: Bearer hunter2hunter2\\',
    "Bearer hunter2\\",
    'body {"password":"hunter2',
    "postgres://ann:hunter2@db/x",
    "GET /v1?token=hunter2",
  ])("writes JSON for the message %j too, without its secret", (message) => {
    const { line, parsed } = jsonOf(failed({ message, cause: [message] }));
    expect(parsed.report.message).toContain("[redacted]");
    expect(line).not.toContain("hunter2");
  });

  it("redacts no further than the text goes: what follows in the line stays JSON", () => {
    const report = { message: "no answer from http://localhost:8080", cause: ["Error:bob@example.com"] };
    expect(jsonOf(failed(report)).parsed.report).toMatchObject(report);
  });

  it("cuts nothing that a machine may need", () => {
    const message = "x".repeat(50_000);
    const cause = Array.from({ length: 500 }, (_, at) => `Error: ${at}`);
    expect(jsonOf(failed({ message, cause })).parsed.report).toMatchObject({ message, cause });
  });
});

describe("the reporter for people", () => {
  it("says why there is no further attempt, and when a circuit changes", () => {
    const lines: string[] = [];
    const report = consoleReporter({ write: (line) => lines.push(line) });
    report({ ...failed({ message: "down" }), gaveUp: "the retry budget of the service is used up" } as ResilienceEvent);
    report({ v: 1, type: "breaker.changed", at: 9, service: "openai", from: "open", to: "half_open" });
    expect(lines[0]).toContain("no further attempt: the retry budget of the service is used up");
    expect(lines[1]).toContain("circuit openai went from open to half-open");
  });

  it("writes one line without secrets", () => {
    const lines: string[] = [];
    consoleReporter({ write: (line) => lines.push(line) })(failed({ message: "no\nway to redis://:hunter2@cache" }));
    expect(lines).toEqual([
      "   0.0 s  ✗ ask attempt 1 failed: network: no way to redis://:[redacted]@cache; no further attempt",
    ]);
  });
});

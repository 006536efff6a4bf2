import { describe, expect, it } from "vitest";
import type { ChatRequest } from "../../../src/chaos/chat-request.js";
import { createFaultScript, describeScript, type ScriptEntry } from "../../../src/chaos/fault-script.js";
import type { FaultKind } from "../../../src/chaos/faults.js";

const request = (text: string, model = "m"): ChatRequest => ({
  model,
  messages: [
    { role: "system", text: "be brief" },
    { role: "user", text },
  ],
  stream: false,
  includeUsage: false,
  tools: [],
});

describe("a fault script", () => {
  it("gives each request the first entry left that matches, each entry once", () => {
    const script = createFaultScript([
      { kind: "cut_stream", when: { contains: "report" } },
      { kind: "none" },
      { kind: "reset", when: { contains: "report" } },
      { kind: "empty", when: { model: "m", contains: "brief" } },
    ]);
    const kinds = ["report", "report", "report", "other", "other"].map((text) => script.next(request(text))?.kind);
    // "none" is a place in the script: the second request takes it although a later entry matches it by its text
    expect(kinds).toEqual(["cut_stream", "none", "reset", "empty", undefined]);
    expect(script.remaining()).toEqual([]);
  });

  it("keeps an entry whose conditions do not all hold", () => {
    const script = createFaultScript([{ kind: "reset", when: { model: "m", contains: "report" } }]);
    expect(script.next(request("report", "other"))).toBeUndefined();
    expect(script.next(request("trend"))).toBeUndefined();
    expect(script.remaining()).toHaveLength(1);
    expect(script.next(request("report"))).toEqual({ kind: "reset" });
  });

  it("keeps an entry for as many requests as it is for, and one that is for always for good", () => {
    const script = createFaultScript([
      { kind: "empty", times: 2 },
      { kind: "reset", when: { stream: false }, times: "always" },
    ]);
    const next = (stream: boolean) => script.next({ ...request("report"), stream })?.kind;
    expect(next(false)).toBe("empty");
    expect(script.remaining()).toEqual([
      { kind: "empty", times: 1 },
      { kind: "reset", when: { stream: false }, times: "always" },
    ]);
    expect([true, false, false, true, false].map(next)).toEqual(["empty", "reset", "reset", undefined, "reset"]);
    expect(script.remaining()).toHaveLength(1);
  });
});

describe("describeScript", () => {
  const lines: { readonly [K in FaultKind]: readonly [entry: ScriptEntry, line: string] } = {
    none: [{ kind: "none" }, "a proper answer"],
    status: [
      { kind: "status", status: 429, headers: { "Retry-After": "1", "X-A": "b" } },
      "429 Too Many Requests, Retry-After: 1, X-A: b",
    ],
    cut_stream: [{ kind: "cut_stream" }, "the stream is cut in the middle (clean end, no finish_reason)"],
    reset_stream: [{ kind: "reset_stream" }, "the connection is reset in the middle of the answer"],
    reset: [{ kind: "reset" }, "the connection is reset before any answer"],
    hang: [{ kind: "hang" }, "no answer at all, the connection stays open"],
    stall: [{ kind: "stall" }, "the answer stops in the middle, the connection stays open"],
    slow: [{ kind: "slow", delayMs: 5 }, "a proper answer after 5 ms"],
    invalid_structure: [{ kind: "invalid_structure" }, "an answer that does not fit the schema"],
    junk_body: [{ kind: "junk_body" }, "200 with a body that is not the protocol"],
    malformed_event: [{ kind: "malformed_event" }, "an extra event is not JSON, the stream is complete otherwise"],
    no_terminator: [{ kind: "no_terminator" }, "a complete answer without [DONE], the connection stays open"],
    late_first_token: [{ kind: "late_first_token", delayMs: 7 }, "a proper answer whose first token comes after 7 ms"],
    drip: [{ kind: "drip", delayMs: 7 }, "a proper answer with 7 ms before every event"],
    empty_choices: [{ kind: "empty_choices" }, "200 with no choice in it"],
    ignores_stream: [{ kind: "ignores_stream" }, "one JSON body although a stream was asked for"],
    context_length: [{ kind: "context_length" }, "400: the prompt is longer than the model's context"],
    content_filter: [
      { kind: "content_filter", reason: "hate" },
      "400: the content filter holds the prompt back (hate)",
    ],
    rejects_prefill: [
      { kind: "rejects_prefill" },
      "400 where the last message is the assistant's, otherwise a proper answer",
    ],
    tool_arguments: [{ kind: "tool_arguments", damage: "cut" }, "tool calls whose arguments end in the middle"],
    finish: [{ kind: "finish", reason: "length" }, 'a complete response with finish_reason "length"'],
    empty: [{ kind: "empty" }, "a complete response with no text in it"],
  };

  it.each(Object.entries(lines))("prints %s", (_kind, [entry, line]) => {
    expect(describeScript([entry])).toEqual([`1. next request: ${line}`]);
  });

  it("numbers the entries, names what each waits for and knows statuses nobody has named", () => {
    expect(
      describeScript([
        { kind: "status", status: 599, when: { contains: "report" } },
        { kind: "empty", when: { model: "m", contains: "trend" } },
        { kind: "reset", times: 3, when: { stream: true } },
        { kind: "hang", times: "always", when: { stream: false, model: "m" } },
      ]),
    ).toEqual([
      '1. next request with "report": 599',
      '2. next request for model "m" and with "trend": a complete response with no text in it',
      "3. next 3 streamed requests: the connection is reset before any answer",
      '4. every whole request for model "m": no answer at all, the connection stays open',
    ]);
  });
});

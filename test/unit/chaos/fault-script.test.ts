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
    const kinds = ["report", "report", "report", "other", "other"].map((text) => script.next(request(text)).kind);
    // "none" is a place in the script: the second request takes it although a later entry matches it by its text
    expect(kinds).toEqual(["cut_stream", "none", "reset", "empty", "none"]);
    expect(script.remaining()).toEqual([]);
  });

  it("keeps an entry whose conditions do not all hold", () => {
    const script = createFaultScript([{ kind: "reset", when: { model: "m", contains: "report" } }]);
    expect(script.next(request("report", "other")).kind).toBe("none");
    expect(script.next(request("trend")).kind).toBe("none");
    expect(script.remaining()).toHaveLength(1);
    expect(script.next(request("report")).kind).toBe("reset");
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
    malformed_event: [{ kind: "malformed_event" }, "the stream carries an event that is not JSON"],
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
      ]),
    ).toEqual([
      '1. next request with "report": 599',
      '2. next request for model "m" and with "trend": a complete response with no text in it',
    ]);
  });
});

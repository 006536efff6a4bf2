/** Streams of the Responses API: the events are numbered, and what is missing among them is missing from the answer. */
import { describe, expect, it } from "vitest";
import { responsesStreamCheck } from "../../../../src/langgraph/model/wire/responses-stream.js";
import { asked } from "../../../support/event-bodies.js";
import { lines } from "../../../support/models.js";

const delta = (text: string) => ({ type: "response.output_text.delta", item_id: "m", delta: text });
const EVENTS = [
  { type: "response.created", response: { status: "in_progress" } },
  delta("one "),
  delta("two "),
  delta("three"),
  { type: "response.completed", response: { status: "completed" } },
];
const NUMBERED = EVENTS.map((event, at) => JSON.stringify({ ...event, sequence_number: at }));
const PLAIN = EVENTS.map((event) => JSON.stringify(event));
const CUT = '{"type":"response.outp';
const spliced = (events: readonly string[], remove: number, ...put: readonly string[]) =>
  events.toSpliced(2, remove, ...put);

/** The text of the deltas that come through. @throws what the check found wrong */
async function textOf(body: string, options: Parameters<typeof asked>[1] = {}): Promise<string> {
  const response = await asked([body], { path: "/v1/responses", ...options });
  const data = (await response.text()).match(/^data: .*$/gm) ?? [];
  return data.map((line) => (JSON.parse(line.slice(6)) as { delta?: string }).delta ?? "").join("");
}

describe("a whole stream", () => {
  it.each<[string, readonly string[]]>([
    ["with numbers", NUMBERED],
    ["without numbers", PLAIN],
    ["that is numbered from one", EVENTS.map((event, at) => JSON.stringify({ ...event, sequence_number: at + 1 }))],
    ["with keep-alives", NUMBERED.flatMap((event) => ["ping", event])],
    ["with one damaged event too many", spliced(NUMBERED, 0, CUT)],
    [
      "with an event in two pieces",
      spliced(NUMBERED, 1, NUMBERED[2]?.slice(0, 30) ?? "", NUMBERED[2]?.slice(30) ?? ""),
    ],
  ])("passes %s", async (_which, events) => {
    expect(await textOf(lines(...events))).toBe("one two three");
  });

  it("passes with named events, and keeps the names", async () => {
    const body = NUMBERED.map((data) => `event: ${JSON.parse(data).type}\ndata: ${data}\n\n`).join("");
    const response = await asked([body], { path: "/v1/responses" });
    expect((await response.text()).match(/^event: .*$/gm)).toHaveLength(EVENTS.length);
  });

  it("ends with its last event, although the connection stays open", async () => {
    expect(await textOf(lines(...NUMBERED), { ends: false })).toBe("one two three");
  });

  it("passes where it ended early for a reason: whoever reads it sees the reason", async () => {
    const incomplete = JSON.stringify({ type: "response.incomplete", sequence_number: 3, response: {} });
    expect(await textOf(lines(...NUMBERED.slice(0, 3), incomplete))).toBe("one two ");
  });
});

describe("what is no whole stream", () => {
  it.each<[string, readonly string[], string]>([
    ["lost an event to damage", spliced(NUMBERED, 1, CUT), "ANSWER_DAMAGED"],
    ["lost an event to noise and its numbers", spliced(PLAIN, 1, CUT), "ANSWER_DAMAGED"],
    ["has a damaged event, and nobody can tell whether one is missing", spliced(PLAIN, 0, CUT), "ANSWER_DAMAGED"],
    ["is cut", NUMBERED.slice(0, 3), "ANSWER_CUT"],
    ["is cut in its last event", [...NUMBERED.slice(0, 4), NUMBERED[4]?.slice(0, 30) ?? ""], "ANSWER_CUT"],
    ["was cancelled", [...NUMBERED.slice(0, 3), '{"type":"response.cancelled","sequence_number":3}'], "ANSWER_CUT"],
    ["has no events", ["upstream error"], "UNUSABLE_RESPONSE"],
  ])("fails where it %s", async (_how, events, code) => {
    await expect(textOf(lines(...events))).rejects.toMatchObject({ code });
  });

  it("fails in the server's own words where the server says so", async () => {
    const error = { code: "rate_limit_exceeded", message: "Slow down" };
    const failed = JSON.stringify({ type: "response.failed", sequence_number: 2, response: { error } });
    await expect(textOf(lines(...NUMBERED.slice(0, 2), failed))).rejects.toMatchObject(error);
    const silent = JSON.stringify({ type: "response.failed", response: null });
    await expect(textOf(lines(silent))).rejects.toMatchObject({ code: "server_error" });
  });

  it("fails where an answer came whole that was to be streamed", async () => {
    const whole = JSON.stringify({ output: [], status: "completed" });
    await expect(textOf(whole, { contentType: "application/json" })).rejects.toMatchObject({
      code: "UNUSABLE_RESPONSE",
    });
  });
});

it("takes no event after the last for one that is missing", () => {
  const check = responsesStreamCheck();
  for (const event of NUMBERED) check.accept(event);
  expect(check.state).toBe("done");
  expect(() => check.end()).not.toThrow();
});

/** Streams of chat completions as servers send them: what is whole passes, at any seam, and what is not does not. */
import { describe, expect, it } from "vitest";
import { asked, textOf } from "../../../support/event-bodies.js";
import { FakeClock } from "../../../support/fake-clock.js";
import { finishEvent, lines, OPENING, textEvent, usageEvent } from "../../../support/models.js";

const TEXT = "Grüße, 世界 🙂";
const TOKENS = ["Grüße, ", "世界 ", "🙂"];
const EVENTS = [OPENING, ...TOKENS.map((token) => textEvent(token)), finishEvent(), usageEvent(3)];
const BODY = lines(...EVENTS, "[DONE]");
const SPLICED = (at: number, remove: number, ...events: readonly string[]) => EVENTS.toSpliced(at, remove, ...events);

describe("a whole stream", () => {
  it("passes wherever its bytes are parted", async () => {
    const bytes = new TextEncoder().encode(BODY);
    for (let at = 1; at < bytes.length; at += 3)
      expect(await textOf(asked([bytes.slice(0, at), bytes.slice(at)]))).toBe(TEXT);
  });

  it("passes byte by byte", async () => {
    expect(await textOf(asked([...new TextEncoder().encode(BODY)].map((byte) => Uint8Array.of(byte))))).toBe(TEXT);
  });

  it.each([
    ["with the line ends of Windows", BODY.replaceAll("\n", "\r\n")],
    ["after a byte order mark", `\uFEFF${BODY}`],
    ["with comments between the events", BODY.replaceAll("\n\n", "\n\n: still here\n\n")],
    ["with keep-alives that are no events", BODY.replaceAll("\n\n", "\n\ndata: ping\n\n")],
    ["without [DONE]", lines(...EVENTS)],
    ["without the empty line at its end", BODY.trimEnd()],
    ["without what it cost", lines(...EVENTS.slice(0, -1), "[DONE]")],
    ["without either", lines(...EVENTS.slice(0, -1))],
    [
      "with its end in the last token's event",
      lines(...EVENTS.slice(0, 3), textEvent("🙂", "stop"), usageEvent(3), "[DONE]"),
    ],
    [
      "with an event on several lines",
      lines(OPENING, ...TOKENS.slice(0, 2).map((token) => textEvent(token)))
        .concat(JSON.stringify(JSON.parse(textEvent("🙂")), null, 1).replace(/^/gm, "data: "), "\n\n")
        .concat(lines(finishEvent(), usageEvent(3), "[DONE]")),
    ],
    [
      "with an event in two pieces",
      lines(...SPLICED(2, 1, textEvent("世界 ").slice(0, 40), textEvent("世界 ").slice(40)), "[DONE]"),
    ],
    [
      "with an event that lost its last brackets",
      lines(...SPLICED(2, 1, '{"choices":[{"index":0,"delta":{"content":"世界 "'), "[DONE]"),
    ],
    ["with one damaged event too many, and a token an event", lines(...SPLICED(2, 0, '{"id":"c-1","cho'), "[DONE]")],
  ])("passes %s", async (_how, body) => {
    expect(await textOf(asked([body]))).toBe(TEXT);
  });

  it("ends once it has its accounts, although the connection stays open", async () => {
    expect(await textOf(asked([lines(...EVENTS)], { ends: false }))).toBe(TEXT);
  });

  it("waits a second for its accounts, and no longer", async () => {
    const clock = new FakeClock();
    const read = textOf(asked([lines(...EVENTS.slice(0, -1))], { ends: false, clock }));
    while (!clock.alarms.includes(1000)) await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(1000);
    expect(await read).toBe(TEXT);
  });

  it("holds all the answers that were asked for", async () => {
    const ofChoice = (index: number, fields: object) =>
      JSON.stringify({ choices: [{ index, delta: {}, finish_reason: null, ...fields }] });
    const end = (index: number) => ofChoice(index, { finish_reason: "stop" });
    const request = { request: { n: 2 } };
    await expect(textOf(asked([lines(textEvent("a"), end(0))], request))).rejects.toMatchObject({ code: "ANSWER_CUT" });
    expect(await textOf(asked([lines(textEvent("a"), end(0), end(1), "[DONE]")], request))).toBe("a");
  });
});

describe("what is no whole stream", () => {
  it.each([
    ["is cut between two events", lines(...EVENTS.slice(0, 3)), "ANSWER_CUT"],
    ["is cut within an event", BODY.slice(0, BODY.indexOf("世界")), "ANSWER_CUT"],
    ["has no events", "upstream error", "UNUSABLE_RESPONSE"],
    ["has only empty lists of choices", lines('{"choices":[]}', '{"choices":[]}'), "UNUSABLE_RESPONSE"],
  ])("fails where it %s", async (_how, body, code) => {
    await expect(textOf(asked([body]))).rejects.toMatchObject({ code });
  });

  it("leaves the error in its middle to the client", async () => {
    const body = await (await asked([lines(...EVENTS.slice(0, 3), '{"error":{"message":"overloaded"}}')])).text();
    expect(body).toContain("overloaded");
  });
});

describe("an answer that is no stream", () => {
  const whole = (fields: object) => [JSON.stringify({ id: "c-1", model: "m", ...fields })];
  const json = { contentType: "application/json" };
  const choices = [{ index: 0, message: { role: "assistant", content: TEXT }, finish_reason: "stop" }];

  it("is made the stream that was asked for", async () => {
    expect(await textOf(asked(whole({ choices, usage: { completion_tokens: 3 } }), json))).toBe(TEXT);
  });

  it.each([
    ["is empty", [""], json],
    ["is cut", [whole({ choices })[0]?.slice(0, 30) ?? ""], json],
    ["is no object", ["[1]"], json],
    ["has no choices", whole({ choices: [] }), json],
    ["is a page", ["<h1>Bad gateway</h1>"], { contentType: "text/html" }],
  ])("is refused where it %s", async (_how, parts, options) => {
    await expect(asked(parts, options)).rejects.toMatchObject({ code: "UNUSABLE_RESPONSE" });
  });

  it("has the status of the error within it", async () => {
    const response = await asked(['{"error":{"message":"busy","code":429}}'], json);
    expect(response.status).toBe(429);
  });

  it("is nobody's business at another address", async () => {
    const response = await asked(["<h1>Hello</h1>"], { contentType: "text/html", path: "/v1/models" });
    expect(await response.text()).toBe("<h1>Hello</h1>");
  });
});

/** Events that came damaged: what is restored without a guess, and what is known to be lost. */
import { describe, expect, it } from "vitest";
import { watchDamage } from "../../../../src/langgraph/model/wire/damage.js";
import { asked, textOf } from "../../../support/event-bodies.js";
import { finishEvent, lines, OPENING, textEvent, usageEvent } from "../../../support/models.js";

const TEXT = 'He said "{[no]}" \\ 🙂';
const EVENT = textEvent(TEXT);
/** The text is whole from its closing quote on. */
const CLOSED = EVENT.indexOf('"', EVENT.indexOf("🙂")) + 1;

const textIn = (event: string | undefined): unknown =>
  event === undefined ? undefined : JSON.parse(event).choices[0].delta.content;

function mended(...pieces: readonly string[]) {
  const damage = watchDamage();
  const texts = pieces.map((piece) => textIn(damage.mend(piece))).filter((text) => text !== undefined);
  return { texts, lost: damage.lost };
}

describe("an event without its end", () => {
  it("is not restored where its text may go on", () => {
    for (let at = 1; at < CLOSED; at += 1) {
      const { texts, lost } = mended(EVENT.slice(0, at));
      expect([at, texts]).toEqual([at, []]);
      expect(lost).toMatch(/^"/);
    }
  });

  it("is restored with all its text where that is whole, or not at all", () => {
    const restored = [];
    for (let at = CLOSED; at < EVENT.length; at += 1) {
      const { texts, lost } = mended(EVENT.slice(0, at));
      if (texts.length > 0) restored.push(at);
      expect([at, texts]).toEqual([at, lost === undefined ? [TEXT] : []]);
    }
    expect(restored).toEqual(expect.arrayContaining([CLOSED, CLOSED + 1, EVENT.length - 1]));
  });

  it.each([
    ["its brackets do not match", '{"choices":[{"delta":{"content":"a"]'],
    ["it carries no text", '{"choices":[{"index":0,"delta":{"role":"assistant"'],
    ["a piece of a tool call may be gone with it", '{"choices":[{"delta":{"content":"a","tool_calls":[]'],
    ["it has several answers", '{"choices":[{"delta":{"content":"a"}},{"delta":{"content":"b"}'],
    ["it is nested deeper than any event", `${'{"choices":[{"delta":{"content":"a","x":'}${"[".repeat(9)}`],
  ])("is not restored where %s", (_why, data) => {
    expect(mended(data)).toEqual({ texts: [], lost: expect.any(String) });
  });
});

describe("an event in two pieces", () => {
  it("is restored wherever it was parted", () => {
    for (let at = 1; at < CLOSED; at += 1)
      expect([at, mended(EVENT.slice(0, at), EVENT.slice(at))]).toEqual([at, { texts: [TEXT], lost: undefined }]);
  });

  it("is lost where one in good order came between them", () => {
    const damage = watchDamage();
    damage.mend(EVENT.slice(0, 20));
    damage.sound();
    expect(damage.lost).toBeDefined();
    expect(damage.mend(EVENT.slice(20))).toBeUndefined();
  });

  it("is lost where a piece of another came between them", () => {
    expect(mended(EVENT.slice(0, 20), "{", EVENT.slice(20))).toEqual({ texts: [], lost: expect.any(String) });
  });
});

describe("what keeps a connection open", () => {
  it.each(["", "ping", " PONG ", "keep-alive", "keepalive", "heartbeat", "null", "[]", ": still here"])(
    "is no damage: %j",
    (data) => {
      expect(mended(data)).toEqual({ texts: [], lost: undefined });
    },
  );

  it("does not come between the pieces of an event", () => {
    expect(mended(EVENT.slice(0, 30), "ping", EVENT.slice(30))).toEqual({ texts: [TEXT], lost: undefined });
  });
});

it("an event of another protocol is lost", () => {
  const damage = watchDamage();
  damage.foreign('{"type":"delta"}');
  expect(damage.lost).toBe(JSON.stringify('{"type":"delta"}'));
});

it("what was lost first is told, in short", () => {
  const damage = watchDamage();
  damage.foreign(`first ${"x".repeat(500)}`);
  damage.foreign("second");
  expect(damage.lost).toMatch(/^"first x+…"$/);
  expect(damage.lost?.length).toBeLessThan(130);
});

describe("what a stream may hold besides", () => {
  const [one, two] = [textEvent("one "), textEvent("two")].map((event) => lines(event));
  const rest = lines(finishEvent(), usageEvent(2), "[DONE]");

  it.each([
    ["a field nobody knows", "id: 7\nretry: 3000\n\n"],
    ["an event with a name and nothing in it", "event: ping\n\n"],
    ["a ping with a name", "event: ping\ndata: ping\n\n"],
    ["a comment", ": OPENROUTER PROCESSING\n\n"],
    ["many empty lines", "\n\n\n\n"],
    ["an event without choices that says what was used so far", lines('{"choices":[],"usage":null}')],
    [
      "the notes of a filter",
      lines('{"id":"","object":"","model":"","choices":[],"prompt_filter_results":[{"prompt_index":0}]}'),
    ],
    [
      "notes of a filter on a choice",
      lines(
        '{"choices":[{"index":0,"finish_reason":null,"content_filter_results":{},"content_filter_offsets":{"start_offset":0}}],"usage":null}',
      ),
    ],
    ["an event of another protocol, where each token is accounted for", lines('{"type":"ping"}')],
  ])("does no harm: %s", async (_what, between) => {
    expect(await textOf(asked([lines(OPENING), one ?? "", between, two ?? "", rest]))).toBe("one two");
  });

  it("is not passed over where it may have been text: an event of another protocol", async () => {
    const body = [lines(OPENING), one ?? "", lines('{"type":"delta","text":"two"}'), rest];
    await expect(textOf(asked(body))).rejects.toMatchObject({ code: "ANSWER_DAMAGED" });
  });

  it("is an error of the server, by the name of its event", async () => {
    const failed = 'event: error\ndata: {"message":"overloaded","code":"busy"}\n\n';
    const body = await (await asked([lines(OPENING), one ?? "", failed])).text();
    expect(body).toContain('data: {"error":{"message":"overloaded","code":"busy"}}');
  });
});

/** One event that came damaged, or one too many: the whole text or an error, and never less or more. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { asked, textOf } from "../support/event-bodies.js";
import { finishEvent, lines, OPENING, textEvent, usageEvent } from "../support/models.js";

const tokens = fc.array(fc.string({ unit: "binary", minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 6 });
const place = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });

/** A line cut or replaced; JSON in good order with another name in it is nobody's accident, and a server's own field. */
type Damage = (event: string) => string;
const decoder = new TextDecoder();
const bytes = (event: string) => new TextEncoder().encode(event);
const at = (event: string, where: number) => 1 + Math.floor(where * (bytes(event).length - 1));

const damages: fc.Arbitrary<Damage> = fc.oneof(
  place.map(
    (where): Damage =>
      (event) =>
        decoder.decode(bytes(event).slice(0, at(event, where))),
  ),
  place.map(
    (where): Damage =>
      (event) =>
        decoder.decode(bytes(event).slice(at(event, where))),
  ),
  fc.constantFrom("{}", "{", "}", "]}", "<html>", '"text"', "42", "[1]", "upstream error", "\u0000\u0001").map(
    (garbage): Damage =>
      () =>
        garbage,
  ),
);

const accounts = fc.constantFrom<(honest: number) => readonly string[]>(
  (honest) => [usageEvent(honest), "[DONE]"],
  () => ["[DONE]"],
  () => [],
);

async function readingOf(events: readonly string[]): Promise<string | undefined> {
  return textOf(asked([lines(...events)])).catch(() => undefined);
}

it("passes the whole text or fails, whichever event of it is damaged", async () => {
  await fc.assert(
    fc.asyncProperty(tokens, damages, place, accounts, async (said, damage, where, ending) => {
      const texts = said.map((token) => textEvent(token));
      const which = Math.floor(where * texts.length);
      const sent = texts.with(which, damage(texts[which] as string));
      const read = await readingOf([OPENING, ...sent, finishEvent(), ...ending(said.length)]);
      if (read !== undefined) expect(read).toBe(said.join(""));
    }),
    { numRuns: 500 },
  );
});

it("passes the whole text or fails, wherever a damaged event is one too many", async () => {
  await fc.assert(
    fc.asyncProperty(tokens, damages, place, accounts, async (said, damage, where, ending) => {
      const texts = said.map((token) => textEvent(token));
      const copy = damage(texts[Math.floor(where * texts.length)] as string);
      // A copy that is whole is no damage.
      fc.pre(!texts.some((text) => JSON.stringify(contentOf(copy)) === JSON.stringify(contentOf(text))));
      const events = [OPENING, ...texts, finishEvent(), ...ending(said.length)];
      const read = await readingOf(events.toSpliced(Math.floor(where * (texts.length + 1)), 0, copy));
      if (read !== undefined) expect(read).toBe(said.join(""));
    }),
    { numRuns: 500 },
  );
});

it("is recovered in place where the server counts a token an event and one came too many", async () => {
  await fc.assert(
    fc.asyncProperty(tokens, place, place, async (said, where, cut) => {
      const texts = said.map((token) => textEvent(token));
      const copy = texts[Math.floor(where * texts.length)] as string;
      // Within its opening: nothing of the text is left.
      const damaged = copy.slice(0, 2 + Math.floor(cut * 20));
      const events = [OPENING, ...texts, finishEvent(), usageEvent(said.length), "[DONE]"];
      expect(await readingOf(events.toSpliced(1 + Math.floor(where * texts.length), 0, damaged))).toBe(said.join(""));
    }),
    { numRuns: 100 },
  );
});

it("fails where an event is lost and the server counts wrongly", async () => {
  await fc.assert(
    fc.asyncProperty(tokens, place, fc.integer({ min: 0, max: 20 }), async (said, where, count) => {
      fc.pre(count !== said.length - 1);
      const texts = said.map((token) => textEvent(token));
      const sent = texts.with(Math.floor(where * texts.length), '{"id":"c-1","cho');
      expect(await readingOf([OPENING, ...sent, finishEvent(), usageEvent(count), "[DONE]"])).toBeUndefined();
    }),
    { numRuns: 100 },
  );
});

function contentOf(event: string): unknown {
  try {
    return JSON.parse(event).choices[0].delta.content;
  } catch {
    return undefined;
  }
}

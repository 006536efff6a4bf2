/** A stream that ends early never reads as a whole answer, however it was parted. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { asked, textOf } from "../support/event-bodies.js";
import { finishEvent, lines, OPENING, textEvent, usageEvent } from "../support/models.js";

const tokens = fc.array(fc.string({ unit: "binary", minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 8 });

/** The body in parts of these lengths, over and over. */
function parted(body: string, lengths: readonly number[]): Uint8Array[] {
  const bytes = new TextEncoder().encode(body);
  const parts: Uint8Array[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const length = lengths[turn % lengths.length] as number;
    parts.push(bytes.slice(at, at + length));
    at += length;
  }
  return parts;
}

const lengths = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 5 });
const endings = fc.constantFrom([usageEvent(1), "[DONE]"], ["[DONE]"], [usageEvent(1)], []);

it("passes any text in any parts", async () => {
  await fc.assert(
    fc.asyncProperty(tokens, lengths, endings, async (said, sizes, ending) => {
      const body = lines(OPENING, ...said.map((token) => textEvent(token)), finishEvent(), ...ending);
      expect(await textOf(asked(parted(body, sizes)))).toBe(said.join(""));
    }),
    { numRuns: 150 },
  );
});

it("passes the whole text or fails, wherever it is cut", async () => {
  await fc.assert(
    fc.asyncProperty(tokens, lengths, fc.double({ min: 0, max: 1, noNaN: true }), async (said, sizes, where) => {
      const events = [OPENING, ...said.map((token) => textEvent(token)), finishEvent(), usageEvent(said.length)];
      const body = lines(...events, "[DONE]");
      const cut = body.slice(0, Math.floor(body.length * where));
      const read = await textOf(asked(parted(cut, sizes))).catch((error: Error) => error);
      if (typeof read === "string") expect(read).toBe(said.join(""));
    }),
    { numRuns: 300 },
  );
});

const place = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
const garbage = fc.constantFrom("{}", "{", "}", "]}", "<html>", '"text"', "42", "[1]", "upstream error", "\u0000");
const accounts = fc.constantFrom<(honest: number) => readonly string[]>(
  (honest) => [usageEvent(honest), "[DONE]"],
  () => ["[DONE]"],
  () => [],
);

const readingOf = (events: readonly string[]): Promise<string | undefined> =>
  textOf(asked([lines(...events)])).catch(() => undefined);

/** Within the UTF-8 of a character too. */
function cutAt(event: string, where: number): readonly [string, string] {
  const bytes = new TextEncoder().encode(event);
  const at = 1 + Math.floor(where * (bytes.length - 1));
  return [new TextDecoder().decode(bytes.slice(0, at)), new TextDecoder().decode(bytes.slice(at))];
}

it("passes the whole text or fails, whichever of its events is cut, or something else", async () => {
  await fc.assert(
    fc.asyncProperty(tokens, garbage, place, place, accounts, async (said, junk, which, where, ending) => {
      const texts = said.map((token) => textEvent(token));
      const at = Math.floor(which * texts.length);
      for (const damaged of [junk, cutAt(texts[at] as string, where)[0]]) {
        const read = await readingOf([OPENING, ...texts.with(at, damaged), finishEvent(), ...ending(said.length)]);
        if (read !== undefined) expect(read).toBe(said.join(""));
      }
    }),
    { numRuns: 200 },
  );
});

it("passes the whole text or fails, wherever something stands that is no event", async () => {
  await fc.assert(
    fc.asyncProperty(tokens, garbage, place, place, accounts, async (said, junk, which, where, ending) => {
      const texts = said.map((token) => textEvent(token));
      const [, end] = cutAt(texts[Math.floor(which * texts.length)] as string, where);
      const events = [OPENING, ...texts, finishEvent(), ...ending(said.length)];
      for (const extra of [junk, end]) {
        const read = await readingOf(events.toSpliced(Math.floor(which * events.length), 0, extra));
        if (read !== undefined) expect(read).toBe(said.join(""));
      }
    }),
    { numRuns: 200 },
  );
});

it("recovers in place where the server counts a token an event and a damaged one came too many", async () => {
  await fc.assert(
    fc.asyncProperty(tokens, place, place, async (said, which, where) => {
      const texts = said.map((token) => textEvent(token));
      const copy = texts[Math.floor(which * texts.length)] as string;
      // Within its opening: nothing of the text is left.
      const damaged = copy.slice(0, 2 + Math.floor(where * 20));
      const events = [OPENING, ...texts, finishEvent(), usageEvent(said.length), "[DONE]"];
      expect(await readingOf(events.toSpliced(1 + Math.floor(which * texts.length), 0, damaged))).toBe(said.join(""));
    }),
    { numRuns: 100 },
  );
});

it("fails where an event is lost, and the server counts wrongly or not at all", async () => {
  const counts = fc.option(fc.integer({ min: 0, max: 20 }), { nil: undefined });
  await fc.assert(
    fc.asyncProperty(tokens, place, counts, async (said, which, count) => {
      fc.pre(count !== said.length - 1);
      const texts = said.map((token) => textEvent(token));
      const sent = texts.with(Math.floor(which * texts.length), '{"id":"c-1","cho');
      const ending = count === undefined ? [] : [usageEvent(count)];
      expect(await readingOf([OPENING, ...sent, finishEvent(), ...ending, "[DONE]"])).toBeUndefined();
    }),
    { numRuns: 100 },
  );
});

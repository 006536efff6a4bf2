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

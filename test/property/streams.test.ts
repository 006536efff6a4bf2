/** Laws of texts that are saved while they are generated. */
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import type { StreamScope, StreamStore } from "../../src/core/store-ports.js";
import { safeCut, seamAfter } from "../../src/langgraph/stream-seam.js";
import { streamWriter } from "../../src/langgraph/stream-writer.js";
import { MemoryStreams } from "../../src/persistence/memory-streams.js";

const scope: StreamScope = { threadId: "t", node: "n", step: "s", stream: "q" };

/** Few letters, so that pieces repeat. */
const prose = (maxLength: number) => fc.string({ unit: fc.constantFrom("a", "b", " ", "\n"), maxLength });

describe("a seam", () => {
  /** What the longest repetition of 20 characters or more leaves of a continuation, found by trying each. */
  function withoutRepetition(text: string, continuation: string): string {
    const said = /\s$/.test(text) ? continuation.trimStart() : continuation;
    for (let length = Math.min(text.length, said.length, 2000); length >= 20; length -= 1)
      if (text.endsWith(said.slice(0, length))) return said.slice(length);
    return said;
  }

  it("takes away the longest repetition, however the continuation is cut into pieces", () => {
    fc.assert(
      fc.property(
        prose(120),
        fc.nat(120),
        prose(60),
        fc.array(fc.integer({ min: 1, max: 40 })),
        (text, back, more, cuts) => {
          const continuation = text.slice(Math.max(0, text.length - back)) + more;
          const seam = seamAfter(text);
          let [at, out] = [0, ""];
          for (const length of cuts) {
            out += seam.push(continuation.slice(at, at + length));
            at += length;
          }
          out += seam.push(continuation.slice(at)) + seam.end();
          expect(out).toBe(withoutRepetition(text, continuation));
        },
      ),
      { numRuns: 2000 },
    );
  });

  it("never holds back what can be no repetition any more", () => {
    fc.assert(
      fc.property(prose(120), prose(60), (text, continuation) => {
        const seam = seamAfter(text);
        const said = /\s$/.test(text) ? continuation.trimStart() : continuation;
        const out = seam.push(continuation);
        if (!text.includes(said)) expect(out).toBe(withoutRepetition(text, continuation));
      }),
      { numRuns: 1000 },
    );
  });
});

describe("a cut", () => {
  it("leaves less than a word, and never half of a pair", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 200 }), (text) => {
        const length = safeCut(text);
        expect(text.length - length).toBeLessThanOrEqual(64);
        expect(text.slice(0, length)).not.toMatch(/[\ud800-\udbff]$/);
      }),
    );
  });
});

describe("a text that is saved while it grows", () => {
  type Step =
    | { readonly kind: "add"; readonly text: string }
    | { readonly kind: "flush" | "restart" | "settle" }
    /** How the next appends end: stored, refused, or stored without anybody being told. */
    | { readonly kind: "appends"; readonly end: readonly ("stored" | "lost" | "unheard")[] };

  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant("add" as const), text: prose(30) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("flush", "restart", "settle") }) },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant("appends" as const),
        end: fc.array(fc.constantFrom("stored", "lost", "unheard"), { maxLength: 3 }),
      }),
    },
  ) as fc.Arbitrary<Step>;

  it("is stored in its order and once, whatever became of its saves, and never anything that is not of it", async () => {
    vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
    await fc.assert(
      fc.asyncProperty(prose(40), fc.array(step, { maxLength: 40 }), async (before, steps) => {
        const kept = new MemoryStreams();
        if (before !== "") await kept.append(scope, { seq: 0, text: before, tokens: 1, writer: "earlier" });
        const fates: string[] = [];
        const store: StreamStore = Object.assign(Object.create(kept), {
          async append(...given: Parameters<StreamStore["append"]>) {
            const fate = fates.shift() ?? "stored";
            await new Promise(setImmediate);
            if (fate === "lost") throw new Error("lost");
            const stored = await kept.append(...given);
            if (fate === "unheard") throw new Error("unheard");
            return stored;
          },
          truncate: kept.truncate.bind(kept),
          load: kept.load.bind(kept),
          clear: kept.clear.bind(kept),
          clearOtherSteps: kept.clearOtherSteps.bind(kept),
        });
        const earlier = await kept.load(scope);
        const writer = streamWriter({ store, scope }, { everyTokens: 5, earlier, onCheckpoint: undefined });
        let text = before;
        for (const one of steps) {
          switch (one.kind) {
            case "add":
              text += one.text;
              await writer.add(one.text, 0);
              break;
            case "restart":
              text = before;
              writer.restart();
              break;
            case "flush":
              void writer.flush();
              break;
            case "settle":
              fates.length = 0;
              await writer.flush();
              expect(text.startsWith((await kept.load(scope))?.text ?? "")).toBe(true);
              break;
            case "appends":
              fates.push(...one.end);
          }
        }
        fates.length = 0;
        await writer.finish({ id: "end" }, 0);
        expect((await kept.load(scope))?.text ?? "").toBe(text);
        if (text !== "") expect((await kept.load(scope))?.end).toEqual({ id: "end" });
      }),
      { numRuns: 300 },
    );
    vi.restoreAllMocks();
  });
});

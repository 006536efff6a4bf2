import { describe, expect, it } from "vitest";
import { safeCut, seamAfter } from "../../../src/langgraph/stream-seam.js";

/** What is handed out after each piece, and at the end. */
function handedOut(text: string, ...pieces: string[]): string[] {
  const seam = seamAfter(text);
  return [...pieces.map((piece) => seam.push(piece)), seam.end()];
}

const cut = "It was a bright cold day in April, and the clocks were ";

describe("a continuation", () => {
  it("that goes on where the text stops is handed out as it comes", () => {
    expect(handedOut(cut, "striking", " thirteen.")).toEqual(["striking", " thirteen.", ""]);
  });

  it("that repeats the end of the text is handed out from where that ends", () => {
    expect(handedOut(cut, "April, and the clocks ", "were striking", " thirteen.")).toEqual([
      "",
      "striking",
      " thirteen.",
      "",
    ]);
  });

  it("that repeats all of the text is handed out from where that ends", () => {
    expect(handedOut(cut, `${cut}striking`)).toEqual(["striking", ""]);
  });

  it("that is nothing but a repetition leaves nothing", () => {
    expect(handedOut(cut, cut.slice(-30))).toEqual(["", ""]);
  });

  it("keeps a repetition of fewer than 20 characters", () => {
    expect(handedOut(cut, "the clocks were striking")).toEqual(["the clocks were striking", ""]);
  });

  it("keeps words that stand in the text, but not at its end", () => {
    expect(handedOut(cut, "a bright cold day in April", " again")).toEqual([
      "",
      "a bright cold day in April again",
      "",
    ]);
  });

  it("has at most 2000 characters held back", () => {
    const text = Array.from({ length: 1000 }, (_, at) => `${at} `).join("");
    const tail = text.slice(-2000);
    const out = handedOut(text, tail, "and on");
    expect(out[0]).toBe("");
    expect(out.join("")).toBe("and on");
  });

  it("leaves what the text says over and over as it came", () => {
    const row = "| the same | row | again |\n";
    const continued = row.repeat(20);
    expect(handedOut(row.repeat(20), continued).join("")).toBe(continued);
  });

  it("begins with a word after a space, whatever space it brings", () => {
    expect(handedOut(cut, " ", "\n", " striking")).toEqual(["", "", "striking", ""]);
  });

  it("keeps its space after a word", () => {
    expect(handedOut("It was a bright", " cold day")).toEqual([" cold day", ""]);
  });
});

describe("a text that goes on is cut", () => {
  const kept = (text: string) => text.slice(0, safeCut(text));

  it.each([
    ["before a word that may go on", "the clocks wer", "the clocks "],
    [
      "before the last word, though a space follows it, for there may be more of them",
      "the clocks were ",
      "the clocks ",
    ],
    ["after the indentation of a line, which is whole once a word stands behind it", "if:\n    ret", "if:\n    "],
    ["nowhere, where there are no spaces", "時計が十三時を打っていた", "時計が十三時を打っていた"],
    ["nowhere, where the last word is longer than words are", `at ${"f".repeat(200)}`, `at ${"f".repeat(200)}`],
    ["before half of a pair", "明るい\ud83d", "明るい"],
    ["to nothing, where it may be the beginning of a word", "wer", ""],
    ["to nothing, where more space may come after its word", "were ", ""],
    ["to nothing, where there is nothing", "", ""],
  ])("%s", (_, text, expected) => {
    expect(kept(text)).toBe(expected);
  });
});

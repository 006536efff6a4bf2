import { describe, expect, it } from "vitest";
import { choosePairs, choosePassages } from "../../../src/chaos/crash-sample.js";
import { type CrashOptions, CrashOptionsSchema } from "../../../src/chaos/crash-scenario.js";

const options = (given: CrashOptions = {}) => CrashOptionsSchema.parse(given);

describe("the passages to crash at", () => {
  it("are all of them, unless fewer are wanted", () => {
    expect(choosePassages(4, options())).toEqual([1, 2, 3, 4]);
    expect(choosePassages(4, options({ atMost: 9 }))).toEqual([1, 2, 3, 4]);
    expect(choosePassages(40, options({ sample: 0.1 }))).toHaveLength(4);
    expect(choosePassages(40, options({ sample: 0.001 }))).toHaveLength(1);
    expect(choosePassages(40, options({ sample: 0.5, atMost: 7 }))).toHaveLength(7);
  });

  it("are one out of each part of the run, whatever the seed, and the same for the same seed", () => {
    const drawn = Array.from({ length: 50 }, (_, seed) => choosePassages(100, options({ atMost: 10, seed })));
    for (const passages of drawn)
      expect(passages.map((passage) => Math.ceil(passage / 10))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(new Set(drawn.flat()).size).toBeGreaterThan(90);
    expect(drawn[7]).toEqual(choosePassages(100, options({ atMost: 10, seed: 7 })));
  });

  it("are those that are named, once each", () => {
    expect(choosePassages(40, options({ only: [17, 3, 17], atMost: 1 }))).toEqual([3, 17]);
  });
});

it("a second crash is at a passage that the process has which takes over", () => {
  const takeovers = [
    { n: 2, passages: 2 },
    { n: 5, passages: 0 },
    { n: 9, passages: 1 },
  ];
  const all = [
    { first: 2, second: 1 },
    { first: 2, second: 2 },
    { first: 9, second: 1 },
  ];
  expect(choosePairs(takeovers, options())).toEqual([]);
  expect(choosePairs(takeovers, options({ twice: 10 }))).toEqual(all);
  expect(all).toContainEqual(choosePairs(takeovers, options({ twice: 1 }))[0]);
});

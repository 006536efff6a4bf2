import { describe, expect, it } from "vitest";
import { type Distribution, sample } from "../../../src/chaos/distributions.js";
import { drawFault } from "../../../src/chaos/fault-rate.js";
import { seededRandom } from "../../../src/chaos/seeded-random.js";

const draws = (count: number, draw: (index: number) => number) =>
  Array.from({ length: count }, (_, index) => draw(index));
const quantile = (values: number[], share: number) => values.sort((a, b) => a - b)[Math.floor(share * values.length)]!;

describe("a seeded generator", () => {
  it("gives the same numbers for the same seed and stream, and others for others", () => {
    const of = (seed: number, stream: number) => draws(5, seededRandom(seed, stream));
    expect(of(1, 2)).toEqual(of(1, 2));
    expect(new Set([of(1, 1), of(1, 2), of(2, 1), of(1, 12), of(11, 2)].flat()).size).toBe(25);
  });

  it("is spread evenly over 0 to 1, also over the first numbers of its streams", () => {
    for (const values of [draws(4000, seededRandom(1, 1)), draws(4000, (stream) => seededRandom(1, stream)())]) {
      expect(Math.min(...values)).toBeGreaterThanOrEqual(0);
      expect(Math.max(...values)).toBeLessThan(1);
      for (const share of [0.1, 0.5, 0.9]) expect(quantile(values, share)).toBeCloseTo(share, 1);
    }
  });
});

describe("a distribution", () => {
  const drawn = (distribution: Distribution) => {
    const random = seededRandom(1, 1);
    return draws(4000, () => sample(distribution, random));
  };

  it("may be always the same", () => expect(new Set(drawn(7))).toEqual(new Set([7])));

  it("uniform lies between its ends", () => {
    const values = drawn({ kind: "uniform", minMs: 100, maxMs: 300 });
    expect(Math.min(...values)).toBeGreaterThanOrEqual(100);
    expect(Math.max(...values)).toBeLessThanOrEqual(300);
    expect(quantile(values, 0.5) / 200).toBeCloseTo(1, 1);
  });

  it("lognormal has the median and the 95th percentile it is given", () => {
    const values = drawn({ kind: "lognormal", medianMs: 400, p95Ms: 2000 });
    expect(quantile(values, 0.5) / 400).toBeCloseTo(1, 1);
    expect(quantile(values, 0.95) / 2000).toBeCloseTo(1, 1);
  });
});

describe("a fault at random", () => {
  const reset = { kind: "reset" } as const;
  const empty = { kind: "empty" } as const;
  const shares = (rate: number) => {
    const random = seededRandom(1, 1);
    const mix = [
      { weight: 3, fault: reset },
      { weight: 1, fault: empty },
    ];
    const kinds = Array.from({ length: 4000 }, () => drawFault({ rate, mix }, random)?.kind);
    return (kind: string | undefined) => kinds.filter((one) => one === kind).length / kinds.length;
  };

  it("comes at its rate, and each by its weight", () => {
    const share = shares(0.4);
    expect(share(undefined)).toBeCloseTo(0.6, 1);
    expect(share("reset")).toBeCloseTo(0.3, 1);
    expect(share("empty")).toBeCloseTo(0.1, 1);
  });

  it("never comes at rate 0 and always at rate 1", () => {
    expect(shares(0)(undefined)).toBe(1);
    expect(shares(1)(undefined)).toBe(0);
  });

  it("takes two numbers whether it comes or not", () => {
    const nextNumber = (rate: number | undefined) => {
      const random = seededRandom(1, 1);
      drawFault(rate === undefined ? undefined : { rate, mix: [{ weight: 1, fault: reset }] }, random);
      return random();
    };
    expect(new Set([undefined, 0, 1].map(nextNumber)).size).toBe(1);
  });
});

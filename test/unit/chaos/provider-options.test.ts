import { describe, expect, it } from "vitest";
import { startFaultyProvider } from "../../../src/chaos/faulty-provider.js";

/** What is said of options that are refused before anything listens. */
async function refusalOf(options: object): Promise<string> {
  const error = await startFaultyProvider({ answer: () => "", ...options }).catch((thrown: Error) => thrown);
  expect(error).toMatchObject({ code: "CONFIG" });
  return (error as Error).message;
}

describe("startFaultyProvider refuses, by its place,", () => {
  const none = { kind: "none" };
  const rows: readonly (readonly [what: string, options: object, says: RegExp])[] = [
    [
      "a fault there is not",
      { script: [none, { kind: "boom" }] },
      /"script\.1\.kind" is "boom": there is no such fault/,
    ],
    [
      "an entry without a kind",
      { script: [{}] },
      /"script\.0\.kind" is undefined: there is no such fault; choose one of/,
    ],
    ["an option another fault has", { script: [{ kind: "reset", delayMs: 5 }] }, /"script\.0" .*delayMs/],
    ["an option left out", { script: [{ kind: "slow" }] }, /"script\.0\.delayMs" is undefined/],
    [
      "a damage there is not",
      { script: [{ kind: "tool_arguments", damage: "lost" }] },
      /"script\.0\.damage" is "lost"/,
    ],
    ["no times at all", { script: [{ ...none, times: 0 }] }, /"script\.0\.times" is 0: /],
    [
      "times in words",
      { script: [{ ...none, times: "twice" }] },
      /"twice": expected a whole number from 1, or "always"/,
    ],
    ["a condition there is not", { script: [{ ...none, when: { user: "x" } }] }, /"script\.0\.when" .*user/],
    [
      "a window that ends before it begins",
      { windows: [{ fromMs: 5, toMs: 5, fault: none }] },
      /"windows\.0\.toMs" is 5: a window ends after it begins/,
    ],
    [
      "a window that never closes by repeating",
      { windows: [{ fromMs: 0, toMs: 10, everyMs: 10, fault: none }] },
      /"windows\.0\.everyMs" is 10: a window that repeats is shorter than its interval/,
    ],
    [
      "a window's fault",
      { windows: [{ fromMs: 0, toMs: 1, fault: { kind: "x" } }] },
      /"windows\.0\.fault\.kind" is "x"/,
    ],
    ["a rate above 1", { faultRate: { rate: 12 } }, /"faultRate\.rate" is 12/],
    ["a mix of nothing", { faultRate: { rate: 1, mix: [] } }, /"faultRate\.mix" is \[\]/],
    [
      "an odd latency",
      { latency: { firstTokenMs: "soon" } },
      /"latency\.firstTokenMs" is "soon": expected milliseconds/,
    ],
    [
      "a distribution upside down",
      { byModel: { m: { latency: { betweenMs: { kind: "uniform", minMs: 2, maxMs: 1 } } } } },
      /"byModel\.m\.latency\.betweenMs" is \{.*\}: minMs is above maxMs/,
    ],
    ["a seed with a fraction", { seed: 0.5 }, /"seed" is 0\.5/],
    ["an answer that is no function", { answer: "yes" }, /"answer" is "yes": expected a function/],
  ];
  it.each(rows)("%s", async (_what, options, says) => {
    expect(await refusalOf(options)).toMatch(says);
  });
});

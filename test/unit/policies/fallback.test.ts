import { describe, expect, it } from "vitest";
import { eligibleFallbacks, firstAnswer } from "../../../src/policies/fallback.js";

const steps = [
  { name: "any" },
  { name: "long text", when: ["context_length"] as const },
  { name: "login", when: ["auth", "network"] as const },
];
const names = (...parameters: Parameters<typeof eligibleFallbacks>) =>
  eligibleFallbacks(...parameters).map((step) => step.name);

describe("which steps may answer", () => {
  it("those without `when`, for a category whose next rung is fallback", () => {
    expect(names(steps, "server_error", "fallback")).toEqual(["any"]);
  });

  it("those that name the category, whatever its next rung", () => {
    expect(names(steps, "network", "fallback")).toEqual(["any", "login"]);
    expect(names(steps, "context_length", "declared_fallback")).toEqual(["long text"]);
    expect(names(steps, "auth", "human")).toEqual(["login"]);
    expect(names([{ name: "x", when: ["invalid_input"] }], "invalid_input", "fail")).toEqual(["x"]);
  });

  it("none for a run that is to stop", () => {
    expect(names([{ name: "x", when: ["cancelled"] }, { name: "y" }], "cancelled", "stop")).toEqual([]);
  });
});

describe("the first answer", () => {
  const failing = async (step: { name: string }): Promise<string> => {
    if (step.name !== "c") throw new Error(step.name);
    return "from c";
  };

  it("is that of the first step that does not fail", async () => {
    expect(await firstAnswer([{ name: "a" }, { name: "b" }, { name: "c" }, { name: "d" }], failing)).toEqual({
      step: { name: "c" },
      answer: "from c",
    });
  });

  it("is none when every step fails", async () => {
    expect(await firstAnswer([{ name: "a" }, { name: "b" }], failing)).toBeUndefined();
    expect(await firstAnswer([], failing)).toBeUndefined();
  });

  it("may be `undefined` and is an answer all the same", async () => {
    expect(await firstAnswer([{ name: "a" }], async () => undefined)).toEqual({
      step: { name: "a" },
      answer: undefined,
    });
  });

  it("is not looked for past control flow, nor past an abort", async () => {
    const tried: string[] = [];
    const command = { is_bubble_up: true };
    await expect(
      firstAnswer([{ name: "a" }, { name: "b" }], async (step) => {
        tried.push(step.name);
        throw command;
      }),
    ).rejects.toBe(command);
    const controller = new AbortController();
    await expect(
      firstAnswer(
        [{ name: "c" }, { name: "d" }],
        async (step) => {
          tried.push(step.name);
          controller.abort();
          throw new Error("x");
        },
        () => !controller.signal.aborted,
      ),
    ).rejects.toThrow("x");
    expect(tried).toEqual(["a", "c"]);
  });
});

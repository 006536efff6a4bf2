import { describe, expect, it } from "vitest";
import { AttemptTimeoutError } from "../../../src/errors/own-errors.js";
import {
  attemptTimeoutMs,
  type TimeLimit,
  type TimeoutOptions,
  timeoutSchema,
  withTimeLimit,
} from "../../../src/policies/timeout.js";
import { FakeClock } from "../../support/fake-clock.js";
import { unhandledDuring } from "../../support/graphs.js";

const limits = (options: TimeoutOptions, numbers = [1, 2, 3, 4, 5]) =>
  numbers.map((number) => attemptTimeoutMs(timeoutSchema.parse(options), number));

describe("the limit of an attempt", () => {
  it("starts at 30 s, doubles, and stops at 300 s", () => {
    expect(limits({})).toEqual([30_000, 60_000, 120_000, 240_000, 300_000]);
  });

  it.each([
    ["default", 30_000],
    ["embedding", 45_000],
    ["reasoning", 60_000],
  ])("of a %s task starts at %d ms", (taskType, first) => {
    expect(limits({ taskType }, [1])).toEqual([first]);
  });

  it("of a task type of the user's own starts at its factor", () => {
    expect(limits({ taskType: "video", taskFactors: { video: 4 }, baseMs: 10 }, [1, 2])).toEqual([40, 80]);
  });

  it("of an unknown task type is refused with those that are known", () => {
    expect(() => timeoutSchema.parse({ taskType: "video" })).toThrow(/default, embedding, reasoning/);
    expect(() => timeoutSchema.parse({ taskType: "toString" })).toThrow(/default, embedding, reasoning/);
  });
});

/** A limit of so many milliseconds for "Work". */
const within = (limitMs: number | undefined, clock: FakeClock, outer?: AbortSignal): TimeLimit => ({
  limitMs,
  onLimit: () => new AttemptTimeoutError("Work", limitMs ?? 0),
  clock,
  outer,
});

describe("work under a time limit", () => {
  it("that ends in time is returned and leaves no timer", async () => {
    const clock = new FakeClock();
    expect(await withTimeLimit(async () => "done", within(100, clock))).toBe("done");
    await clock.settle();
    expect(clock.alarms).toEqual([]);
  });

  it("that takes too long is aborted with the error that is thrown", async () => {
    const clock = new FakeClock();
    let heard: unknown;
    const running = withTimeLimit(
      ({ signal }) =>
        new Promise((_, reject) =>
          signal.addEventListener("abort", () => {
            heard = signal.reason;
            reject(new Error("AbortError of a library"));
          }),
        ),
      within(100, clock),
    );
    const settled = expect(running).rejects.toMatchObject({
      code: "ATTEMPT_TIMEOUT",
      timeoutMs: 100,
      message: "Work did not finish within 100 ms; the attempt was aborted",
    });
    await clock.advance(100);
    await settled;
    expect(heard).toMatchObject({ code: "ATTEMPT_TIMEOUT" });
  });

  it("that does not listen is left behind, and what it does later harms nobody", async () => {
    const clock = new FakeClock();
    const unhandled = await unhandledDuring(async () => {
      let fail = (_: unknown): void => undefined;
      const running = withTimeLimit(
        () =>
          new Promise((_, reject) => {
            fail = reject;
          }),
        within(100, clock),
      );
      const settled = expect(running).rejects.toMatchObject({ code: "ATTEMPT_TIMEOUT" });
      await clock.advance(100);
      await settled;
      fail(new Error("too late"));
    }, 5);
    expect(unhandled).toEqual([]);
  });

  it("that fails in time fails with its own error and leaves no timer", async () => {
    const clock = new FakeClock();
    const mine = new Error("mine");
    await expect(
      withTimeLimit(
        async () => {
          throw mine;
        },
        within(100, clock),
      ),
    ).rejects.toBe(mine);
    await clock.settle();
    expect(clock.alarms).toEqual([]);
  });

  it("ends at once with the reason of the outer signal", async () => {
    const clock = new FakeClock();
    const outer = new AbortController();
    const reason = new Error("enough");
    const running = withTimeLimit(() => new Promise(() => undefined), within(100, clock, outer.signal));
    const settled = expect(running).rejects.toBe(reason);
    outer.abort(reason);
    await settled;
    await clock.settle();
    expect(clock.alarms).toEqual([]);
  });

  it("is not begun when the outer signal has aborted already", async () => {
    let begun = false;
    const reason = new Error("enough");
    await expect(
      withTimeLimit(
        async () => {
          begun = true;
        },
        within(100, new FakeClock(), AbortSignal.abort(reason)),
      ),
    ).rejects.toBe(reason);
    expect(begun).toBe(false);
  });

  it("without a limit sets no timer", async () => {
    const clock = new FakeClock();
    await withTimeLimit(async () => 1, within(undefined, clock));
    expect(clock.alarms).toEqual([]);
  });
});

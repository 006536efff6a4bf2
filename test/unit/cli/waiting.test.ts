import { describe, expect, it } from "vitest";
import { waitMsOf } from "../../../src/cli/option-values.js";
import type { Output } from "../../../src/cli/output.js";
import { inTurn } from "../../../src/cli/thread-in-turn.js";
import { ThreadBusyError } from "../../../src/errors/persistence-errors.js";
import type { RunOptions, RunResult } from "../../../src/langgraph/threads/run.js";

describe("--wait", () => {
  it("is a number of seconds, or as long as it takes, or not at all", () => {
    expect([undefined, true, "0", "1.5"].map((given) => waitMsOf(given as true))).toEqual([
      0,
      Number.POSITIVE_INFINITY,
      0,
      1500,
    ]);
  });

  it.each(["soon", "-1", "", "Infinity"])("refuses %j", (given) => {
    expect(() => waitMsOf(given)).toThrow(/--wait .*: expected a number of seconds from 0/);
  });

  const busy = new ThreadBusyError("q3", 'process 4711 on host "box"', 12_000);
  /** What is printed and with which lock the thread is run, when another run has it at first. */
  const waiting = async (waitMs: number, thrown: Error = busy) => {
    const printed: string[] = [];
    const locks: RunOptions["lock"][] = [];
    const output = { line: (text: string) => printed.push(text) } as unknown as Output;
    const outcome = await inTurn(output, waitMs, async ({ lock }) => {
      locks.push(lock);
      if (locks.length === 1) throw thrown;
      return { status: "succeeded" } as RunResult;
    }).catch((error: unknown) => error);
    return { outcome, printed, locks };
  };

  it("says for whom it waits, and then does", async () => {
    expect(await waiting(5_000)).toMatchObject({
      outcome: { status: "succeeded" },
      printed: ['It is in use by process 4711 on host "box"; waiting up to 5 s'],
      locks: [undefined, { waitMs: 5_000 }],
    });
    expect((await waiting(Number.POSITIVE_INFINITY)).printed[0]).toContain("waiting until it is free");
  });

  it("is left out where it was not asked for, or would be in vain", async () => {
    expect(await waiting(0)).toMatchObject({ outcome: busy, printed: [] });
    const other = new Error("no such graph");
    expect(await waiting(5_000, other)).toMatchObject({ outcome: other, printed: [] });
  });
});

import { expect, it } from "vitest";
import { unlessAborted } from "../../../src/core/abort.js";

it("the failure of work that nobody waits for any more is nobody's, and ends no process", async () => {
  const strays: unknown[] = [];
  const note = (error: unknown) => void strays.push(error);
  process.once("unhandledRejection", note);
  const work = new Promise<never>((_, reject) => setImmediate(() => reject(new Error("refused"))));
  await expect(unlessAborted(work, AbortSignal.abort("gone"))).rejects.toBe("gone");
  // Node tells of a stray rejection before the turn after the one it came in.
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  process.off("unhandledRejection", note);
  expect(strays).toEqual([]);
});

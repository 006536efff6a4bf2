import { getEventListeners } from "node:events";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bulkheadSchema, createBulkhead } from "../../src/policies/bulkhead.js";
import { FakeClock } from "../support/fake-clock.js";

const SIGNALS = 4;

const limits = fc.record({
  maxConcurrent: fc.integer({ min: 1, max: 4 }),
  maxQueue: fc.integer({ min: 0, max: 8 }),
  queueTimeoutMs: fc.integer({ min: 0, max: 50 }),
});
type Limits = { readonly maxConcurrent: number; readonly maxQueue: number; readonly queueTimeoutMs: number };

/** What happens, all in one tick save where time passes. Whoever `quits` gives its slot back from a listener of its signal. */
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("acquire" as const),
      signal: fc.option(fc.nat(SIGNALS - 1), { nil: undefined }),
      quits: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("release" as const), holder: fc.nat(10) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("abort" as const), signal: fc.nat(SIGNALS - 1) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("wait" as const), ms: fc.nat(60) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

interface Caller {
  readonly id: number;
  readonly signal: number | undefined;
  readonly quits: boolean;
  readonly dueAt: number;
}

/** The bulkhead as one would put it on paper: two lists. */
function onPaper({ maxConcurrent, maxQueue, queueTimeoutMs }: Limits) {
  const holders: Caller[] = [];
  const queue: Caller[] = [];
  const aborted = new Set<number>();
  const outcomes = new Map<number, string>();
  /** Those who had to wait, in the order in which they were let in. */
  const admitted: number[] = [];
  let now = 0;
  const leave = (caller: Caller, outcome: string) => {
    queue.splice(queue.indexOf(caller), 1);
    outcomes.set(caller.id, outcome);
  };
  const release = (holder: Caller) => {
    holders.splice(holders.indexOf(holder), 1);
    const next = queue[0];
    if (next === undefined) return;
    leave(next, "in");
    admitted.push(next.id);
    holders.push(next);
  };
  return {
    holders,
    queue,
    outcomes,
    admitted,
    acquire(id: number, signal: number | undefined, quits: boolean) {
      const caller = { id, signal, quits, dueAt: now + queueTimeoutMs };
      if (signal !== undefined && aborted.has(signal)) outcomes.set(id, `aborted ${signal}`);
      else if (holders.length < maxConcurrent) {
        outcomes.set(id, "in");
        holders.push(caller);
      } else if (queue.length < maxQueue) queue.push(caller);
      else outcomes.set(id, "BULKHEAD_FULL");
    },
    release,
    abort(signal: number) {
      if (aborted.has(signal)) return;
      aborted.add(signal);
      for (const caller of queue.filter((one) => one.signal === signal)) leave(caller, `aborted ${signal}`);
      for (const caller of holders.filter((one) => one.signal === signal && one.quits)) release(caller);
    },
    wait(ms: number) {
      now += ms;
      for (const caller of queue.filter((one) => one.dueAt <= now)) leave(caller, "BULKHEAD_FULL");
    },
  };
}

async function compare(given: Limits, steps: readonly Step[]): Promise<void> {
  const clock = new FakeClock(0);
  const slots = createBulkhead("s", bulkheadSchema.parse(given), { clock });
  const paper = onPaper(given);
  const controllers = Array.from({ length: SIGNALS }, () => new AbortController());
  const outcomes = new Map<number, string>();
  const admitted: number[] = [];
  /** Listeners of those who quit, still to be told. */
  const quitting = new Map<number, () => void>();

  const acquire = (id: number, signal: number | undefined) => {
    const controller = signal === undefined ? undefined : controllers[signal];
    const wait = slots.acquire(controller?.signal);
    if (wait === undefined) {
      outcomes.set(id, "in");
      return;
    }
    wait.then(
      () => {
        outcomes.set(id, "in");
        admitted.push(id);
      },
      (error: { code?: string } | string) => outcomes.set(id, typeof error === "string" ? error : `${error.code}`),
    );
  };
  /** A holder learns that it holds before it can quit; the listener stands before or after the queue's own. */
  const listenForQuitters = () => {
    for (const { id, signal, quits } of paper.holders) {
      if (!quits || signal === undefined || quitting.has(id) || controllers[signal]?.signal.aborted) continue;
      const quit = () => {
        quitting.delete(id);
        slots.release();
      };
      quitting.set(id, quit);
      controllers[signal]?.signal.addEventListener("abort", quit, { once: true });
    }
  };
  const giveBack = (caller: Caller) => {
    const quit = quitting.get(caller.id);
    if (quit !== undefined && caller.signal !== undefined)
      controllers[caller.signal]?.signal.removeEventListener("abort", quit);
    quitting.delete(caller.id);
    paper.release(caller);
    slots.release();
  };

  for (const [id, next] of steps.entries()) {
    switch (next.kind) {
      case "acquire":
        paper.acquire(id, next.signal, next.quits);
        acquire(id, next.signal);
        break;
      case "release": {
        const holder = paper.holders[next.holder % Math.max(1, paper.holders.length)];
        if (holder === undefined) expect(() => slots.release()).toThrow(RangeError);
        else giveBack(holder);
        break;
      }
      case "abort":
        paper.abort(next.signal);
        controllers[next.signal]?.abort(`aborted ${next.signal}`);
        break;
      case "wait":
        paper.wait(next.ms);
        await clock.advance(next.ms);
        expect(outcomes).toEqual(paper.outcomes);
        break;
    }
    listenForQuitters();
    expect([slots.inFlight, slots.queued]).toEqual([paper.holders.length, paper.queue.length]);
    expect(slots.inFlight).toBeLessThanOrEqual(given.maxConcurrent);
    expect(clock.alarms).toHaveLength(slots.queued);
  }

  for (let holder = paper.holders[0]; holder !== undefined; holder = paper.holders[0]) giveBack(holder);
  await clock.settle();
  expect(outcomes).toEqual(paper.outcomes);
  expect(admitted).toEqual(paper.admitted);
  expect([slots.inFlight, slots.queued]).toEqual([0, 0]);
  expect(clock.alarms).toEqual([]);
  for (const { signal } of controllers) expect(getEventListeners(signal, "abort")).toEqual([]);
}

describe("a bulkhead", () => {
  it("does what it does on paper, whatever happens within one tick, and keeps nothing in the end", async () => {
    await fc.assert(fc.asyncProperty(limits, fc.array(step, { maxLength: 60, size: "max" }), compare), {
      numRuns: 150,
    });
  });

  it("never lets in more than it may, and loses no slot, however its callers interleave", async () => {
    const caller = fc.record({
      fails: fc.boolean(),
      gives: fc.constantFrom("never", "before", "in the middle"),
      signal: fc.option(fc.nat(2), { nil: undefined }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        limits,
        fc.array(caller, { minLength: 1, maxLength: 20 }),
        fc.subarray([0, 1, 2]),
        fc.array(fc.nat(30), { maxLength: 3 }),
        async (s, given, callers, aborts, waits) => {
          const clock = new FakeClock();
          const slots = createBulkhead("s", bulkheadSchema.parse(given), { clock });
          const controllers = [0, 1, 2].map(() => new AbortController());
          let running = 0;
          let ended = 0;
          const call = async ({ fails, gives, signal }: (typeof callers)[number]) => {
            await s.schedule(Promise.resolve(), "arrives");
            const own = signal === undefined ? undefined : controllers[signal]?.signal;
            const wait = slots.acquire(own);
            if (wait !== undefined) await wait;
            running += 1;
            try {
              expect(running).toBeLessThanOrEqual(given.maxConcurrent);
              if (gives === "before") own?.throwIfAborted();
              await s.schedule(Promise.resolve(), "works");
              if (gives === "in the middle") own?.throwIfAborted();
              if (fails) throw new Error("failed");
            } finally {
              running -= 1;
              slots.release();
            }
          };
          const calls = callers.map((one) =>
            call(one).then(
              () => {
                ended += 1;
              },
              (error: unknown) => {
                ended += 1;
                if (error instanceof Error && error.name === "AssertionError") throw error;
              },
            ),
          );
          for (const index of aborts)
            void s.schedule(Promise.resolve(), "aborts").then(() => controllers[index]?.abort("stopped"));
          const passing = waits.map((ms) => s.schedule(Promise.resolve(), "time").then(() => clock.advance(ms)));
          await s.waitFor(Promise.all([...calls, ...passing]));
          expect(ended).toBe(callers.length);
          expect([slots.inFlight, slots.queued, running]).toEqual([0, 0, 0]);
          expect(clock.alarms).toEqual([]);
          for (const { signal } of controllers) expect(getEventListeners(signal, "abort")).toEqual([]);
        },
      ),
      { numRuns: 300 },
    );
  });
});

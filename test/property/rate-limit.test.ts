import { getEventListeners } from "node:events";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRateLimit, type RateLimitOptions, rateLimitSchema } from "../../src/policies/rate-limit.js";
import { FakeClock } from "../support/fake-clock.js";

const SIGNALS = 3;
const MAX_TOKENS = 200;
const MINUTE_MS = 60_000;

const common = {
  burst: fc.constantFrom(1 / 6000, 1 / 600, 1 / 60),
  maxQueue: fc.integer({ min: 0, max: 8 }),
  queueTimeoutMs: fc.integer({ min: 0, max: 1000 }),
};
/** From one request in 100 ms to ten, and from half a token a millisecond to two: turns come soon enough to be counted out. */
const requestsPerMinute = fc.integer({ min: 600, max: 6000 });
const tokensPerMinute = fc.integer({ min: 30_000, max: 120_000 });
const oneLimit = fc.oneof(fc.record({ ...common, requestsPerMinute }), fc.record({ ...common, tokensPerMinute }));
const anyLimits = fc.oneof(oneLimit, fc.record({ ...common, requestsPerMinute, tokensPerMinute }));

const acquire = fc.record({
  kind: fc.constant("acquire" as const),
  tokens: fc.oneof(fc.constant(0), fc.nat(MAX_TOKENS)),
  signal: fc.option(fc.nat(SIGNALS - 1), { nil: undefined }),
});
const abort = fc.record({ kind: fc.constant("abort" as const), signal: fc.nat(SIGNALS - 1) });
const wait = fc.record({ kind: fc.constant("wait" as const), ms: fc.nat(300) });
const settle = fc.record({
  kind: fc.constant("settle" as const),
  estimated: fc.nat(MAX_TOKENS),
  actual: fc.nat(MAX_TOKENS),
});
const refund = fc.record({ kind: fc.constant("refund" as const), tokens: fc.nat(MAX_TOKENS) });
const coming = [
  { weight: 6, arbitrary: acquire },
  { weight: 1, arbitrary: abort },
  { weight: 3, arbitrary: wait },
] as const;
const plainStep = fc.oneof(...coming);
const anyStep = fc.oneof(...coming, { weight: 1, arbitrary: settle }, { weight: 1, arbitrary: refund });
type Step = typeof anyStep extends fc.Arbitrary<infer T> ? T : never;
const history = <T>(step: fc.Arbitrary<T>) => fc.array(step, { maxLength: 50, size: "max" });

interface Caller {
  readonly id: number;
  readonly tokens: number;
  readonly signal: number | undefined;
  readonly deadline: number;
}

/** In 60 000ths, of which `perMs` flow in each millisecond. */
interface Bucket {
  level: number;
  readonly capacity: number;
  readonly perMs: number;
  readonly of: "requests" | "tokens";
}

const amount = (bucket: Bucket, caller: Caller) => (bucket.of === "requests" ? 1 : caller.tokens) * MINUTE_MS;
const fits = (buckets: readonly Bucket[], caller: Caller) =>
  buckets.every((one) => one.level >= Math.min(amount(one, caller), one.capacity));
const take = (buckets: readonly Bucket[], caller: Caller) => {
  for (const one of buckets) one.level -= amount(one, caller);
};
const fill = (buckets: readonly Bucket[]) => {
  for (const one of buckets) one.level = Math.min(one.capacity, one.level + one.perMs);
};

/** When the last in line gets through if all before it do: counted out, millisecond by millisecond. */
function turnMs(now: readonly Bucket[], line: readonly Caller[]): number {
  const buckets = now.map((one) => ({ ...one }));
  const left = [...line];
  for (let ms = 0; ; ms += 1) {
    for (let head = left[0]; head !== undefined && fits(buckets, head); head = left[0]) {
      take(buckets, head);
      left.shift();
    }
    if (left.length === 0) return ms;
    fill(buckets);
  }
}

/** The rate limit as one would put it on paper: time passes a millisecond at a time. */
function onPaper(given: RateLimitOptions) {
  const { burst, queueTimeoutMs } = rateLimitSchema.parse(given);
  const bucket = (of: Bucket["of"], perMs: number | undefined): Bucket[] => {
    if (perMs === undefined) return [];
    const capacity = Math.ceil(perMs * MINUTE_MS * burst);
    return [{ of, perMs, capacity, level: capacity }];
  };
  const buckets = [...bucket("requests", given.requestsPerMinute), ...bucket("tokens", given.tokensPerMinute)];
  const queue: Caller[] = [];
  const outcomes = new Map<number, string>();
  let now = 0;
  const leave = (caller: Caller, outcome: string) => {
    queue.splice(queue.indexOf(caller), 1);
    outcomes.set(caller.id, outcome);
  };
  const serve = () => {
    for (let head = queue[0]; head !== undefined; head = queue[0]) {
      if (fits(buckets, head)) {
        take(buckets, head);
        leave(head, `in at ${now}`);
      } else if (now + turnMs(buckets, [head]) > head.deadline) leave(head, "RATE_LIMITED");
      else return;
    }
  };
  const give = (of: Bucket["of"], tokens: number) => {
    for (const one of buckets.filter((any) => any.of === of))
      one.level = Math.min(one.capacity, one.level + tokens * MINUTE_MS);
  };
  return {
    buckets,
    queue,
    outcomes,
    caller: (id: number, tokens: number, signal: number | undefined): Caller => ({
      id,
      tokens,
      signal,
      deadline: now + queueTimeoutMs,
    }),
    join(caller: Caller) {
      queue.push(caller);
      if (queue.length === 1 && fits(buckets, caller)) serve();
    },
    abort(signal: number) {
      for (const caller of queue.filter((one) => one.signal === signal)) leave(caller, `aborted ${signal}`);
      serve();
    },
    settle(estimated: number, actual: number) {
      give("tokens", estimated - actual);
      serve();
    },
    refund(tokens: number) {
      give("requests", 1);
      give("tokens", tokens);
      serve();
    },
    wait(ms: number) {
      for (let passed = 0; passed < ms; passed += 1) {
        now += 1;
        fill(buckets);
        if (queue[0] !== undefined && fits(buckets, queue[0])) serve();
      }
    },
  };
}

interface Let {
  readonly id: number;
  readonly at: number;
  readonly tokens: number;
  readonly waited: boolean;
}

/** Runs the steps on both, comparing them at each. @returns who was let through, in the order in which they heard of it */
async function compare(given: RateLimitOptions, steps: readonly Step[]): Promise<readonly Let[]> {
  const policy = rateLimitSchema.parse(given);
  const clock = new FakeClock(0);
  const limit = createRateLimit("s", policy, { clock });
  const paper = onPaper(given);
  const controllers = Array.from({ length: SIGNALS }, () => new AbortController());
  const outcomes = new Map<number, string>();
  const through: Let[] = [];

  const ask = async (id: number, tokens: number, signal: number | undefined) => {
    const own = signal === undefined ? undefined : controllers[signal]?.signal;
    if (signal !== undefined && own?.aborted) {
      await expect(limit.acquire(tokens, own)).rejects.toBe(`aborted ${signal}`);
      return;
    }
    const caller = paper.caller(id, tokens, signal);
    const trueTurnMs = turnMs(paper.buckets, [...paper.queue, caller]);
    const nobodyWaits = paper.queue.length === 0;
    // A turn begins with a whole millisecond; what a full bucket could not hold until then is lost to those behind it.
    const roundingMs = paper.buckets.length === 1 ? paper.queue.length : Number.POSITIVE_INFINITY;
    const queuedBefore = limit.queued;
    const waiting = limit.acquire(tokens, own);
    if (waiting === undefined) {
      expect(nobodyWaits, "nobody is overtaken").toBe(true);
      outcomes.set(id, `in at ${clock.now()}`);
      through.push({ id, tokens, at: clock.now(), waited: false });
      paper.join(caller);
    } else if (limit.queued > queuedBefore) {
      waiting.then(
        () => {
          outcomes.set(id, `in at ${clock.now()}`);
          through.push({ id, tokens, at: clock.now(), waited: true });
        },
        (error: { code?: string } | string) => outcomes.set(id, typeof error === "string" ? error : `${error.code}`),
      );
      expect(trueTurnMs).toBeLessThanOrEqual(policy.queueTimeoutMs + roundingMs);
      paper.join(caller);
    } else {
      const error: { retryAfterMs: number } = await waiting.then(
        () => expect.unreachable(),
        (thrown) => thrown,
      );
      expect(error).toMatchObject({ code: "RATE_LIMITED" });
      expect(error.retryAfterMs).toBeLessThanOrEqual(trueTurnMs);
      expect(error.retryAfterMs).toBeGreaterThanOrEqual(trueTurnMs - roundingMs);
      if (paper.queue.length < policy.maxQueue) expect(error.retryAfterMs).toBeGreaterThan(policy.queueTimeoutMs);
    }
  };

  for (const [id, next] of steps.entries()) {
    switch (next.kind) {
      case "acquire":
        await ask(id, next.tokens, next.signal);
        break;
      case "abort":
        if (controllers[next.signal]?.signal.aborted) break;
        paper.abort(next.signal);
        controllers[next.signal]?.abort(`aborted ${next.signal}`);
        break;
      case "settle":
        paper.settle(next.estimated, next.actual);
        limit.settle(next.estimated, next.actual);
        break;
      case "refund":
        paper.refund(next.tokens);
        limit.refund(next.tokens);
        break;
      case "wait":
        paper.wait(next.ms);
        await clock.advance(next.ms);
        expect(outcomes).toEqual(paper.outcomes);
        break;
    }
    expect(limit.queued).toBe(paper.queue.length);
    expect(limit.room).toEqual(Object.fromEntries(paper.buckets.map((one) => [one.of, one.level / MINUTE_MS])));
    expect(clock.alarms).toHaveLength(limit.queued === 0 ? 0 : 1);
  }

  paper.wait(policy.queueTimeoutMs);
  await clock.advance(policy.queueTimeoutMs);
  expect(outcomes, "nobody waits longer than queueTimeoutMs").toEqual(paper.outcomes);
  expect(limit.queued).toBe(0);
  expect(clock.alarms).toEqual([]);
  for (const { signal } of controllers) expect(getEventListeners(signal, "abort")).toEqual([]);
  return through;
}

describe("a rate limit", () => {
  it("does what it does on paper, to the millisecond and the token, and keeps nothing in the end", async () => {
    await fc.assert(
      fc.asyncProperty(anyLimits, history(anyStep), async (given, steps) => void (await compare(given, steps))),
      { numRuns: 120 },
    );
  });

  it("lets through what flows in and the burst, or the largest request, over any span, and nobody overtakes", async () => {
    await fc.assert(
      fc.asyncProperty(anyLimits, history(plainStep), async (given: RateLimitOptions, steps) => {
        const through = await compare(given, steps);
        // Who did not have to wait came when nobody was in line.
        const ids = through.filter((one) => one.waited).map((one) => one.id);
        expect(ids).toEqual([...ids].sort((a, b) => a - b));
        const burst = rateLimitSchema.parse(given).burst;
        for (const [from, first] of through.entries()) {
          let [requests, tokens, largest] = [0, 0, 0];
          for (const one of through.slice(from)) {
            requests += 1;
            tokens += one.tokens;
            largest = Math.max(largest, one.tokens);
            const mostOf = (perMinute: number, single: number) =>
              Math.max(Math.ceil(perMinute * MINUTE_MS * burst), single * MINUTE_MS) + perMinute * (one.at - first.at);
            if (given.requestsPerMinute !== undefined)
              expect(requests * MINUTE_MS).toBeLessThanOrEqual(mostOf(given.requestsPerMinute, 1));
            if (given.tokensPerMinute !== undefined)
              expect(tokens * MINUTE_MS).toBeLessThanOrEqual(mostOf(given.tokensPerMinute, largest));
          }
        }
      }),
      { numRuns: 120 },
    );
  });
});

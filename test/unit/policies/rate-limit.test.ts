import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import { parseOptions } from "../../../src/core/options.js";
import { classifyError } from "../../../src/errors/classify.js";
import {
  createRateLimit,
  type RateLimit,
  type RateLimitOptions,
  rateLimitSchema,
} from "../../../src/policies/rate-limit.js";
import { FakeClock } from "../../support/fake-clock.js";

function rateLimit(options: RateLimitOptions): { readonly limit: RateLimit; readonly clock: FakeClock } {
  const clock = new FakeClock(0);
  return { clock, limit: createRateLimit("openai", rateLimitSchema.parse(options), { clock }) };
}

/** Notes who is let through and when, and who is turned away with what, in the order in which they hear of it. */
function callers(limit: RateLimit, clock: FakeClock) {
  const log: unknown[] = [];
  return {
    log,
    ask(name: string, tokens = 0, signal?: AbortSignal): void {
      const wait = limit.acquire(tokens, signal);
      if (wait === undefined) log.push(`${name} at ${clock.now()}`);
      else
        wait.then(
          () => log.push(`${name} at ${clock.now()}`),
          (error: unknown) => log.push([name, error]),
        );
    },
  };
}

const listeners = (signal: AbortSignal) => getEventListeners(signal, "abort").length;

describe("the options of a rate limit", () => {
  it("have defaults", () => {
    expect(rateLimitSchema.parse({ requestsPerMinute: 60 })).toEqual({
      requestsPerMinute: 60,
      burst: 1,
      maxQueue: 1000,
      queueTimeoutMs: 30_000,
    });
  });

  it.each([
    [{}, "a rate limit needs requestsPerMinute, tokensPerMinute or both"],
    [{ requestsPerMinute: 0 }, '"requestsPerMinute" is 0'],
    [{ tokensPerMinute: 0.5 }, '"tokensPerMinute" is 0.5'],
    [{ tokensPerMinute: 1, burst: 0 }, '"burst" is 0'],
    [{ tokensPerMinute: 1, burst: 20 }, '"burst" is 20'],
    [{ tokensPerMinute: 1, maxQueue: -1 }, '"maxQueue" is -1'],
    [{ tokensPerMinute: 1, queueTimeoutMs: -1 }, '"queueTimeoutMs" is -1'],
  ])("%j are refused", (given, words) => {
    expect(() => parseOptions("rateLimit", rateLimitSchema, given)).toThrow(words);
  });
});

describe("room", () => {
  it("is taken at once, without a promise, an alarm or a listener", () => {
    const { limit, clock } = rateLimit({ requestsPerMinute: 2, tokensPerMinute: 1000 });
    const { signal } = new AbortController();
    expect(limit.acquire(300, signal)).toBeUndefined();
    expect(limit.acquire(700)).toBeUndefined();
    expect(limit.room).toEqual({ requests: 0, tokens: 0 });
    expect(limit.queued).toBe(0);
    expect(clock.alarms).toEqual([]);
    expect(listeners(signal)).toBe(0);
  });

  it("is a whole minute's at first, or the share of it that `burst` says", () => {
    expect(rateLimit({ requestsPerMinute: 60, tokensPerMinute: 9000 }).limit.room).toEqual({
      requests: 60,
      tokens: 9000,
    });
    expect(rateLimit({ requestsPerMinute: 60, burst: 1 / 60 }).limit.room).toEqual({ requests: 1 });
    expect(rateLimit({ tokensPerMinute: 9000, burst: 0.5 }).limit.room).toEqual({ tokens: 4500 });
  });

  it("comes back evenly, and never beyond the burst", async () => {
    const { limit, clock } = rateLimit({ requestsPerMinute: 60, tokensPerMinute: 6000 });
    for (let begun = 0; begun < 60; begun += 1) limit.acquire(100);
    await clock.advance(500);
    expect(limit.room).toEqual({ requests: 0.5, tokens: 50 });
    await clock.advance(1500);
    expect(limit.room).toEqual({ requests: 2, tokens: 200 });
    await clock.advance(86_400_000);
    expect(limit.room).toEqual({ requests: 60, tokens: 6000 });
  });

  it("is the same however often it was looked at: no rounding adds up", async () => {
    const clock = new FakeClock();
    const policy = rateLimitSchema.parse({ requestsPerMinute: 7, tokensPerMinute: 7_777_777 });
    const [watched, left] = [0, 1].map(() => createRateLimit("openai", policy, { clock }));
    watched?.acquire(7_777_777);
    left?.acquire(7_777_777);
    for (let ms = 0; ms < 500; ms += 1) {
      await clock.advance(1);
      expect(watched?.room.requests).toBeLessThan(7);
    }
    expect(watched?.room).toEqual(left?.room);
    expect(watched?.room).toEqual({ requests: 6 + 3500 / 60_000, tokens: 3_888_888_500 / 60_000 });
  });

  it("is not given to a caller whose signal has aborted", async () => {
    const { limit } = rateLimit({ requestsPerMinute: 60 });
    const reason = new Error("enough");
    await expect(limit.acquire(0, AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(limit.room).toEqual({ requests: 60 });
  });

  it.each([Number.NaN, -1, Number.POSITIVE_INFINITY])(
    "cannot be asked for, given back or settled as %d tokens",
    (n) => {
      const { limit } = rateLimit({ tokensPerMinute: 60 });
      for (const wrong of [() => limit.acquire(n), () => limit.refund(n), () => limit.settle(1, n)]) {
        expect(wrong).toThrow(RangeError);
        expect(wrong).toThrow(`Rate limit "openai": ${n} tokens cannot be counted`);
      }
      expect(limit.room).toEqual({ tokens: 60 });
    },
  );

  it("is taken in whole tokens, and given back likewise", () => {
    const { limit } = rateLimit({ tokensPerMinute: 60 });
    limit.acquire(1.25);
    expect(limit.room).toEqual({ tokens: 58 });
    limit.settle(1.25, 0.5);
    expect(limit.room).toEqual({ tokens: 59 });
  });

  it("comes back also when the clock is set back", async () => {
    const clock = new FakeClock();
    let setBackMs = 0;
    const wall = { now: () => clock.now() - setBackMs, sleep: clock.sleep, after: clock.after };
    const limit = createRateLimit("openai", rateLimitSchema.parse({ requestsPerMinute: 1, burst: 1 }), { clock: wall });
    limit.acquire(0);
    setBackMs = 3_600_000;
    expect(limit.room).toEqual({ requests: 0 });
    await clock.advance(30_000);
    const done = limit.acquire(0);
    expect(clock.alarms).toEqual([30_000]);
    await clock.advance(30_000);
    await done;
  });
});

describe("callers who find no room", () => {
  it("are let through as it comes back, in the order in which they came", async () => {
    const { limit, clock } = rateLimit({ requestsPerMinute: 60, burst: 1 / 60 });
    const { ask, log } = callers(limit, clock);
    for (const name of ["a", "b", "c", "d"]) ask(name);
    expect(limit.queued).toBe(3);
    await clock.advance(999);
    expect(log).toEqual(["a at 0"]);
    await clock.advance(2001);
    expect(log).toEqual(["a at 0", "b at 1000", "c at 2000", "d at 3000"]);
    expect(limit.queued).toBe(0);
  });

  it("wait on one alarm together, and on none once nobody waits", async () => {
    const { limit, clock } = rateLimit({ requestsPerMinute: 60, burst: 1 / 60 });
    const { ask } = callers(limit, clock);
    for (let asked = 0; asked < 20; asked += 1) ask(`${asked}`);
    for (let left = 19; left > 0; left -= 1) {
      expect(clock.alarms).toEqual([1000]);
      expect(limit.queued).toBe(left);
      await clock.advance(1000);
    }
    expect(clock.alarms).toEqual([]);
  });

  it("are not overtaken by one who asks for less", async () => {
    const { limit, clock } = rateLimit({ tokensPerMinute: 60_000, burst: 0.1 });
    const { ask, log } = callers(limit, clock);
    ask("all", 6000);
    ask("large", 5000);
    await clock.advance(1000);
    ask("small", 1);
    expect(log).toEqual(["all at 0"]);
    await clock.advance(10_000);
    expect(log).toEqual(["all at 0", "large at 5000", "small at 5001"]);
  });

  it("wait for whichever limit leaves less room", async () => {
    const { limit, clock } = rateLimit({ requestsPerMinute: 60, tokensPerMinute: 60_000, burst: 1 / 60 });
    const { ask, log } = callers(limit, clock);
    ask("a", 1000);
    ask("few tokens", 10);
    ask("many tokens", 1000);
    ask("no tokens");
    await clock.advance(10_000);
    expect(log).toEqual(["a at 0", "few tokens at 1000", "many tokens at 2000", "no tokens at 3000"]);
  });

  it("are refused at once when the queue is full, and told when there will be room", async () => {
    const { limit, clock } = rateLimit({ requestsPerMinute: 60, burst: 1 / 60, maxQueue: 2 });
    for (let asked = 0; asked < 3; asked += 1) limit.acquire(0);
    const error: unknown = await limit.acquire(0)?.catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: "RATE_LIMITED",
      service: "openai",
      retryAfterMs: 3000,
      message: 'No room for "openai": 2 callers (maxQueue) wait already; room in 3000 ms',
    });
    expect(classifyError(error)).toMatchObject({ category: "rate_limit", retryAfterMs: 3000 });
    expect(limit.queued).toBe(2);
    expect(clock.alarms).toEqual([1000]);
  });

  it("are refused at once when their turn would come too late, those before them counted", async () => {
    const { limit } = rateLimit({ requestsPerMinute: 60, burst: 1 / 60, queueTimeoutMs: 3000 });
    for (let asked = 0; asked < 4; asked += 1) limit.acquire(0);
    await expect(limit.acquire(0)).rejects.toMatchObject({
      code: "RATE_LIMITED",
      retryAfterMs: 4000,
      message: 'No room for "openai": a turn would come after queueTimeoutMs (3000 ms); room in 4000 ms',
    });
    expect(limit.queued).toBe(3);
  });

  it("are refused at once behind one who waits for the other limit", async () => {
    const { limit } = rateLimit({
      requestsPerMinute: 60,
      tokensPerMinute: 60_000,
      burst: 1 / 60,
      queueTimeoutMs: 22_000,
    });
    limit.acquire(20_000);
    limit.acquire(1000);
    for (let asked = 0; asked < 2; asked += 1) limit.acquire(0);
    expect(limit.queued).toBe(3);
    await expect(limit.acquire(0), "the first is let through at 20 s and leaves no request over").rejects.toMatchObject(
      {
        retryAfterMs: 23_000,
      },
    );
  });

  it("never wait where there is no time to", async () => {
    const { limit, clock } = rateLimit({ requestsPerMinute: 1, queueTimeoutMs: 0 });
    limit.acquire(0);
    await expect(limit.acquire(0)).rejects.toMatchObject({ retryAfterMs: 60_000 });
    expect(clock.alarms).toEqual([]);
  });
});

describe("a request of more tokens than fit into the bucket", () => {
  it("is let through at once when the bucket is full, and those behind it wait until it is paid for", async () => {
    const { limit, clock } = rateLimit({ tokensPerMinute: 60_000, burst: 0.1 });
    const { ask, log } = callers(limit, clock);
    ask("huge", 20_000);
    expect(limit.room).toEqual({ tokens: -14_000 });
    ask("next", 1000);
    await clock.advance(30_000);
    expect(log).toEqual(["huge at 0", "next at 15000"]);
  });

  it("waits until the bucket is full", async () => {
    const { limit, clock } = rateLimit({ tokensPerMinute: 60_000, burst: 0.1 });
    const { ask, log } = callers(limit, clock);
    ask("a", 1);
    ask("huge", 20_000);
    await clock.advance(1);
    expect(log).toEqual(["a at 0", "huge at 1"]);
    expect(limit.room).toEqual({ tokens: -14_000 });
  });
});

describe("requests of which nobody can tell the tokens", () => {
  it("go on until tokens are owed, and then wait until they are paid for", async () => {
    const { limit, clock } = rateLimit({ tokensPerMinute: 60_000, burst: 0.1 });
    const { ask, log } = callers(limit, clock);
    for (const used of [3000, 3000, 4000]) {
      ask(`uses ${used}`, 0);
      limit.settle(0, used);
    }
    expect(limit.room).toEqual({ tokens: -4000 });
    ask("late", 0);
    await clock.advance(10_000);
    expect(log).toEqual(["uses 3000 at 0", "uses 3000 at 0", "uses 4000 at 0", "late at 4000"]);
  });
});

describe("what was really used", () => {
  it("corrects the bucket both ways, up to full and down into debt", () => {
    const { limit } = rateLimit({ requestsPerMinute: 10, tokensPerMinute: 1000 });
    limit.acquire(600);
    limit.settle(600, 100);
    expect(limit.room).toEqual({ requests: 9, tokens: 900 });
    limit.settle(600, 0);
    expect(limit.room).toEqual({ requests: 9, tokens: 1000 });
    limit.settle(100, 3000);
    expect(limit.room).toEqual({ requests: 9, tokens: -1900 });
  });

  it("lets those who wait through at once where it was less", async () => {
    const { limit, clock } = rateLimit({ tokensPerMinute: 60_000, burst: 0.1 });
    const { ask, log } = callers(limit, clock);
    ask("a", 6000);
    ask("b", 2000);
    ask("c", 2000);
    ask("d", 2000);
    limit.settle(6000, 1000);
    await clock.settle();
    expect(log).toEqual(["a at 0", "b at 0", "c at 0"]);
    expect(clock.alarms).toEqual([1000]);
    await clock.advance(1000);
    expect(log.at(-1)).toBe("d at 1000");
  });

  it("keeps those who wait longer where it was more, and refuses who cannot be in time any more", async () => {
    const { limit, clock } = rateLimit({ tokensPerMinute: 60_000, burst: 0.1, queueTimeoutMs: 4000 });
    const { ask, log } = callers(limit, clock);
    ask("a", 6000);
    ask("b", 1000);
    await clock.advance(500);
    ask("c", 400);
    limit.settle(0, 3000);
    expect(clock.alarms).toEqual([3500]);
    await clock.advance(3500);
    expect(log).toEqual(["a at 0", "b at 4000"]);
    limit.settle(0, 1000);
    await clock.settle();
    expect(log.at(-1)).toEqual(["c", expect.objectContaining({ code: "RATE_LIMITED", retryAfterMs: 1400 })]);
    expect(clock.alarms).toEqual([]);
    expect(limit.queued).toBe(0);
  });

  it("is of no interest without a limit of tokens", () => {
    const { limit } = rateLimit({ requestsPerMinute: 10 });
    limit.acquire(600);
    limit.settle(600, 10_000);
    expect(limit.room).toEqual({ requests: 9 });
  });
});

describe("a call that was never made", () => {
  it("gives its request and its tokens back, and never more than fits", () => {
    const { limit } = rateLimit({ requestsPerMinute: 10, tokensPerMinute: 1000 });
    limit.acquire(600);
    limit.refund(600);
    expect(limit.room).toEqual({ requests: 10, tokens: 1000 });
    limit.refund(600);
    expect(limit.room).toEqual({ requests: 10, tokens: 1000 });
  });

  it("lets the next in line through at once", async () => {
    const { limit, clock } = rateLimit({ requestsPerMinute: 60, burst: 1 / 60 });
    const { ask, log } = callers(limit, clock);
    ask("a");
    ask("b");
    limit.refund(0);
    await clock.settle();
    expect(log).toEqual(["a at 0", "b at 0"]);
    expect(clock.alarms).toEqual([]);
  });
});

describe("a wait for room", () => {
  it("ends at once when the caller's signal aborts, with its reason, no listener and no alarm", async () => {
    const { limit, clock } = rateLimit({ requestsPerMinute: 60, burst: 1 / 60 });
    const { ask, log } = callers(limit, clock);
    const caller = new AbortController();
    const reason = new Error("enough");
    ask("a");
    ask("b", 0, caller.signal);
    expect(listeners(caller.signal)).toBe(1);
    caller.abort(reason);
    expect(limit.queued).toBe(0);
    expect(clock.alarms).toEqual([]);
    expect(listeners(caller.signal)).toBe(0);
    await clock.settle();
    expect(log).toEqual(["a at 0", ["b", reason]]);
    await clock.advance(1000);
    expect(limit.room, "no room was taken for it").toEqual({ requests: 1 });
  });

  it("that is given up by the first in line lets a smaller one behind it through", async () => {
    const { limit, clock } = rateLimit({ tokensPerMinute: 60_000, burst: 0.1 });
    const { ask, log } = callers(limit, clock);
    const caller = new AbortController();
    ask("a", 3000);
    ask("large", 6000, caller.signal);
    ask("small", 1000);
    ask("also small", 2500);
    expect(clock.alarms).toEqual([3000]);
    caller.abort("gone");
    expect(clock.alarms).toEqual([500]);
    await clock.advance(500);
    expect(log).toEqual(["a at 0", ["large", "gone"], "small at 0", "also small at 500"]);
    expect(clock.alarms).toEqual([]);
  });

  it("that is given up in mid-queue makes room for another", async () => {
    const { limit } = rateLimit({ tokensPerMinute: 60_000, burst: 0.1, queueTimeoutMs: 5000 });
    const caller = new AbortController();
    limit.acquire(6000);
    limit.acquire(1000);
    const given = limit.acquire(4000, caller.signal);
    await expect(limit.acquire(4000)).rejects.toMatchObject({ retryAfterMs: 9000 });
    caller.abort("gone");
    await expect(given).rejects.toBe("gone");
    limit.acquire(4000);
    expect(limit.queued).toBe(2);
  });

  it("ends well when the abort comes later in the same tick, and the room can be given back", async () => {
    const { limit, clock } = rateLimit({ requestsPerMinute: 60, burst: 1 / 60 });
    const { ask, log } = callers(limit, clock);
    const caller = new AbortController();
    ask("a");
    ask("b", 0, caller.signal);
    limit.refund(0);
    caller.abort("too late");
    await clock.settle();
    expect(log).toEqual(["a at 0", "b at 0"]);
    limit.refund(0);
    expect(limit.room).toEqual({ requests: 1 });
  });

  it("is not served by what another listener of the aborted signal gives back", async () => {
    const { limit, clock } = rateLimit({ requestsPerMinute: 60, burst: 1 / 60 });
    const { ask, log } = callers(limit, clock);
    const run = new AbortController();
    ask("a");
    run.signal.addEventListener("abort", () => limit.refund(0));
    ask("b", 0, run.signal);
    ask("c");
    run.abort("stopped");
    await clock.settle();
    expect(log).toEqual(["a at 0", ["b", "stopped"], "c at 0"]);
    expect(limit.room).toEqual({ requests: 0 });
    expect(clock.alarms).toEqual([]);
  });
});

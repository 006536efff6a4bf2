import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { createEventBus, type ResilienceEvent } from "../../../src/core/events.js";
import { withBulkhead, withCircuitBreaker } from "../../../src/langgraph/single-rungs.js";
import { createMemoryVersioned } from "../../../src/persistence/memory-versioned.js";
import { type ProtectOptions, protect } from "../../../src/policies/protect.js";
import { type BreakerHome, defineService, type ServiceOptions } from "../../../src/policies/service.js";
import { FakeClock } from "../../support/fake-clock.js";
import { unavailable } from "../../support/graphs.js";

/** Services are kept by name for as long as the process lives: a name of its own for each test. */
const freshName = () => `service-${randomUUID()}`;
const tripping = { trip: { kind: "consecutive", failures: 2 } } as const;
const bus = () => createEventBus(() => 0);

type Options = ProtectOptions<string, string>;

/** A call that makes one attempt, and how often its service was asked. */
function calling(options: Options, fails = true) {
  const asked: string[] = [];
  const call = protect<string, string>(
    async (input) => {
      asked.push(input);
      if (fails) throw unavailable();
      return input;
    },
    { name: "call", retry: false, timeout: false, ...options },
  );
  const code = (input = "x") =>
    call(input).then(
      () => "answered",
      (error: { code?: string; status?: number }) => error.code ?? error.status,
    );
  return { asked, call, code };
}

describe("a service that is defined", () => {
  it("is the same one again for the same options, and for no others", () => {
    const name = freshName();
    const service = defineService(name, { bulkhead: { maxConcurrent: 3 } });
    expect(defineService(name, { bulkhead: { maxConcurrent: 3, maxQueue: 100 } }), "defaults spelt out").toBe(service);
    expect(() => defineService(name, { bulkhead: { maxConcurrent: 4 } })).toThrowError(
      `defineService("${name}"): the service is defined with other options already; define it once and pass what defineService returns`,
    );
  });

  it("has a circuit breaker, and nothing else unless it is asked for", () => {
    const { breaker, ...others } = defineService(freshName()).guards();
    expect(breaker?.state.kind).toBe("closed");
    expect(Object.values(others).filter((one) => one !== undefined)).toEqual([{}, 0]);
    const all = defineService(freshName(), {
      circuitBreaker: false,
      bulkhead: {},
      rateLimit: { requestsPerMinute: 1 },
      retryBudget: {},
    }).guards();
    expect(Object.keys(all).filter((name) => all[name as keyof typeof all] === undefined)).toEqual([
      "ready",
      "breaker",
    ]);
  });

  it.each<[ServiceOptions, string]>([
    [{ bulkhead: { maxConcurrent: 0 } }, 'option "bulkhead.maxConcurrent" is 0'],
    [{ rateLimit: {} }, "a rate limit needs requestsPerMinute, tokensPerMinute or both"],
    [{ circuitBreaker: { recoveryMs: -1 } }, 'option "circuitBreaker.recoveryMs" is -1'],
    [{ retryBudget: { ratio: -1 } }, 'option "retryBudget.ratio" is -1'],
  ])("refuses %j: %s", (options, message) => {
    const name = freshName();
    expect(() => defineService(name, options)).toThrowError(
      expect.objectContaining({ code: "CONFIG", message: expect.stringContaining(`defineService("${name}"): `) }),
    );
    expect(() => defineService(name, options)).toThrowError(message);
    expect(() => defineService(name), "nothing was defined").not.toThrow();
  });
});

describe("calls that name the same service", () => {
  it("share its breaker, by name and by what defineService returned alike", async () => {
    const clock = new FakeClock();
    const name = freshName();
    const service = defineService(name, { circuitBreaker: tripping, clock });
    const one = calling({ service: name, clock });
    const other = calling({ service, clock });
    expect([await one.code(), await other.code(), await one.code(), await other.code()]).toEqual([
      503,
      503,
      "CIRCUIT_OPEN",
      "CIRCUIT_OPEN",
    ]);
  });

  it("find what is defined after them, as long as it is before the first call", async () => {
    const name = freshName();
    const { code } = calling({ service: name });
    defineService(name, { circuitBreaker: { trip: { kind: "consecutive", failures: 1 } } });
    expect([await code(), await code()]).toEqual([503, "CIRCUIT_OPEN"]);
  });

  it("get the defaults where nobody defines it", async () => {
    const { code } = calling({ service: freshName() });
    const codes = [];
    for (let call = 0; call < 6; call += 1) codes.push(await code());
    expect(codes).toEqual([503, 503, 503, 503, 503, "CIRCUIT_OPEN"]);
  });

  it("may each give its guards, if they give the same", async () => {
    const clock = new FakeClock();
    const name = freshName();
    const one = calling({ service: name, circuitBreaker: tripping, clock });
    const other = calling({ service: name, circuitBreaker: tripping, clock });
    expect([await one.code(), await other.code(), await one.code()]).toEqual([503, 503, "CIRCUIT_OPEN"]);
    expect(() => calling({ service: name, circuitBreaker: false, clock })).toThrowError(
      /defined with other options already/,
    );
  });

  it("share its slots", async () => {
    const clock = new FakeClock();
    const bulkhead = { maxConcurrent: 1, maxQueue: 0 };
    const service = defineService(freshName(), { bulkhead, circuitBreaker: false, clock });
    const waiting = protect(() => clock.sleep(1000), { service, clock });
    const first = waiting(undefined);
    await clock.settle();
    expect(await calling({ service, clock }, false).code()).toBe("BULKHEAD_FULL");
    await clock.advance(1000);
    await first;
    expect(await calling({ service, clock }, false).code()).toBe("answered");
  });

  it("do not share the guards of another", async () => {
    const guards = { circuitBreaker: { trip: { kind: "consecutive", failures: 1 } } } as const;
    const one = calling({ service: freshName(), ...guards });
    const other = calling({ service: freshName(), ...guards });
    await one.code();
    expect([await one.code(), await other.code()]).toEqual(["CIRCUIT_OPEN", 503]);
  });

  it("may be a call and a fallback of it, each with a service of its own", async () => {
    const name = freshName();
    const guards = { circuitBreaker: { trip: { kind: "consecutive", failures: 1 } } } as const;
    let backups = 0;
    const { code, asked } = calling({
      service: freshName(),
      ...guards,
      fallback: [
        {
          name: "backup",
          service: name,
          ...guards,
          run: () => {
            backups += 1;
            throw unavailable();
          },
        },
      ],
    });
    await code();
    await code();
    expect([asked.length, backups], "both circuits are open").toEqual([1, 1]);
  });
});

describe("guards beside a service", () => {
  it("that has its own are refused, for the call and for a fallback", () => {
    const service = defineService(freshName());
    const message = new RegExp(
      `option "bulkhead" is given beside the service "${service.name}", which has its own; give it to defineService`,
    );
    expect(() => protect(async () => 1, { name: "fn", service, bulkhead: {} })).toThrowError(message);
    expect(() =>
      protect(async () => 1, { name: "fn", fallback: [{ name: "f", run: () => 1, service, bulkhead: false }] }),
    ).toThrowError(/^protect\(fn\): fallback "f": /);
  });
});

describe("guards without a service", () => {
  it("belong to the one call that sets them", async () => {
    const one = calling({ circuitBreaker: tripping });
    const other = calling({ circuitBreaker: tripping });
    expect([await one.code(), await one.code(), await one.code(), await other.code()]).toEqual([
      503,
      503,
      "CIRCUIT_OPEN",
      503,
    ]);
  });

  it("other than a breaker bring none with them", async () => {
    const { asked, code } = calling({ bulkhead: {} });
    for (let call = 0; call < 9; call += 1) await code();
    expect(asked).toHaveLength(9);
  });

  it("that are all off are none", async () => {
    const { asked, code } = calling({ circuitBreaker: false, bulkhead: false, rateLimit: false, retryBudget: false });
    for (let call = 0; call < 9; call += 1) await code();
    expect(asked).toHaveLength(9);
  });

  it("are not shared between processes: the persistence hears nothing of them", async () => {
    const clock = new FakeClock();
    const breakers = createMemoryVersioned(clock);
    const { code } = calling({ circuitBreaker: tripping, clock, persistence: { breakers } });
    for (let call = 0; call < 3; call += 1) await code();
    await clock.advance(60_000);
    expect(await breakers.list()).toEqual([]);
  });
});

describe("the breaker of a service", () => {
  it("is one for each home, and the other guards are one for all", () => {
    const service = defineService(freshName(), { bulkhead: {}, rateLimit: { requestsPerMinute: 1 }, retryBudget: {} });
    const home: BreakerHome = { events: bus() };
    const there = service.guards(home);
    const elsewhere = service.guards({ events: bus() });
    const here = service.guards();
    expect(service.guards(home)).toBe(there);
    expect(service.guards()).toBe(here);
    expect(new Set([there.breaker, elsewhere.breaker, here.breaker]).size).toBe(3);
    for (const guard of ["bulkhead", "rateLimit", "retryBudget"] as const)
      expect(new Set([there[guard], elsewhere[guard], here[guard]]).size).toBe(1);
  });

  it("is shared with other processes where the home keeps breakers, and `shared` is not off", async () => {
    const clock = new FakeClock();
    const breakers = createMemoryVersioned(clock);
    const names = { shared: freshName(), own: freshName() };
    // As another process would have it: the same service with another home on the same store.
    const process = (which: keyof typeof names, fails: boolean) => {
      const shared = which === "shared";
      const service = defineService(names[which], { circuitBreaker: tripping, clock, shared });
      return calling({ service, clock, persistence: { breakers } }, fails);
    };
    for (const which of ["shared", "own"] as const) {
      const one = process(which, true);
      const other = process(which, false);
      expect([await other.code(), await one.code(), await one.code()]).toEqual(["answered", 503, 503]);
      await clock.advance(5000);
      // Nobody waits for the store: this call has it asked, the next goes by what it said.
      await other.code();
      await clock.settle();
      expect(await other.code()).toBe(which === "shared" ? "CIRCUIT_OPEN" : "answered");
    }
    expect((await breakers.list()).map(({ key }) => key)).toEqual([expect.stringContaining(names.shared)]);
  });

  it("tells the home, and no other, of each change", async () => {
    const clock = new FakeClock();
    const events = bus();
    const told: ResilienceEvent[] = [];
    events.subscribe((event) => void told.push(event));
    const quiet = bus();
    quiet.subscribe((event) => {
      throw new Error(`not to be told of ${event.type}`);
    });
    const name = freshName();
    const service = defineService(name, {
      circuitBreaker: { ...tripping, recoveryMs: 1000, halfOpenSuccesses: 1 },
      clock,
    });
    service.guards({ events: quiet });
    const home = { events };
    const failing = calling({ service, clock, persistence: home });
    await failing.code();
    await failing.code();
    await clock.advance(1000);
    expect(await calling({ service, clock, persistence: home }, false).code()).toBe("answered");
    expect(told.map((event) => event.type === "breaker.changed" && [event.service, event.from, event.to])).toEqual([
      [name, "closed", "open"],
      [name, "open", "half_open"],
      [name, "half_open", "closed"],
    ]);
  });

  it("is known to have been opened by what was reported against it", async () => {
    const clock = new FakeClock();
    const service = defineService(freshName(), { circuitBreaker: tripping, clock });
    const { code } = calling({ service, clock });
    await code();
    await code();
    expect(service.guards().breaker?.state).toMatchObject({
      kind: "open",
      why: { kind: "consecutive", last: { category: "server_error", message: "answered 503" } },
    });
  });
});

describe("a decorator of one rung", () => {
  const node = async (_: string) => "done";

  it("shares what the service has, where it is given one and nothing else", async () => {
    const clock = new FakeClock();
    const service = defineService(freshName(), { bulkhead: { maxConcurrent: 1, maxQueue: 0 }, clock });
    const slow = withBulkhead(() => clock.sleep(1000), { service });
    const first = slow(undefined, {});
    await clock.settle();
    await expect(withBulkhead(node, { service })("x", {})).rejects.toMatchObject({ code: "BULKHEAD_FULL" });
    await clock.advance(1000);
    await first;
    service.guards().breaker?.isolate();
    await expect(withCircuitBreaker(node, { service })("x", {})).rejects.toMatchObject({ code: "CIRCUIT_OPEN" });
  });

  it("is refused where the service has none of it, or has its own", () => {
    const service = defineService(freshName(), { bulkhead: false });
    expect(() => withBulkhead(node, { service })).toThrowError(/option "bulkhead" is given beside the service/);
    const bounded = defineService(freshName(), { bulkhead: {} });
    expect(() => withBulkhead(node, { service: bounded, maxConcurrent: 3 })).toThrowError(
      /option "bulkhead" is given beside the service/,
    );
  });

  it("has one of its own where it is given no service", async () => {
    const clock = new FakeClock();
    const bounded = withBulkhead(() => clock.sleep(1000), { maxConcurrent: 1, maxQueue: 0 });
    const first = bounded(undefined, {});
    await clock.settle();
    await expect(bounded(undefined, {})).rejects.toMatchObject({ code: "BULKHEAD_FULL" });
    await clock.advance(1000);
    await first;
    const failing = withCircuitBreaker(async (_: string): Promise<string> => {
      throw unavailable();
    }, tripping);
    const codes = [];
    for (let call = 0; call < 3; call += 1)
      codes.push(
        await failing("x", {}).catch((error: { code?: string; status?: number }) => error.code ?? error.status),
      );
    expect(codes).toEqual([503, 503, "CIRCUIT_OPEN"]);
  });
});

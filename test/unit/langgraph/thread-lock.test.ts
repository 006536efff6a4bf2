/** The lock on a thread: held while a run lasts, renewed, waited for, lost, and taken from the dead. */
import { spawnSync } from "node:child_process";
import { RunControl } from "@langchain/langgraph";
import { describe, expect, it } from "vitest";
import { processIdentity } from "../../../src/core/process-identity.js";
import { threadLease } from "../../../src/core/run-hold.js";
import type { LeaseStore } from "../../../src/core/store-ports.js";
import { describeHolder, isGone, newHolder } from "../../../src/langgraph/lease-holder.js";
import { type LockRequest, type ThreadLock, withThreadLock } from "../../../src/langgraph/thread-lock.js";
import { MemoryLocks } from "../../../src/persistence/memory-locks.js";
import { FakeClock } from "../../support/fake-clock.js";

const name = threadLease("t");
const leaseMs = 30_000;

/** A clock, the leases by that clock, and runs of thread "t". */
function world(store?: (locks: MemoryLocks) => Partial<LeaseStore>) {
  const clock = new FakeClock();
  const locks = new MemoryLocks(clock);
  const asked: LeaseStore = {
    acquire: (...given) => locks.acquire(...given),
    takeOver: (...given) => locks.takeOver(...given),
    renew: (...given) => locks.renew(...given),
    release: (...given) => locks.release(...given),
    ...store?.(locks),
  };
  const request: LockRequest = {
    caller: "runThread()",
    threadId: "t",
    label: "order-17",
    locks: asked,
    lock: undefined,
    signal: undefined,
    control: undefined,
  };
  /** A run that lasts until it is told to end. */
  const run = (given: Partial<LockRequest> = {}) => {
    let begun: ThreadLock | undefined;
    let end = () => {};
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    const done = withThreadLock(
      { ...request, ...given },
      async (lock) => {
        begun = lock;
        await ended;
        return "done";
      },
      clock,
    );
    const outcome = done.catch((error: unknown) => error as Error);
    return { outcome, end, lock: () => begun };
  };
  return { clock, locks, run };
}

/** The number and start of a process that has ended. */
function deadProcess(): { readonly pid: number; readonly startedAt: string } {
  const { pid } = spawnSync(process.execPath, ["-e", ""]);
  return { pid, startedAt: `${processIdentity().startedAt} long ago` };
}

const holderOf = (identity: object) => JSON.stringify({ ...JSON.parse(newHolder()), ...identity });

describe("a thread's lock", () => {
  it("lets one run at a time through, and refuses the next one at once, naming who has it", async () => {
    const { clock, run } = world();
    const first = run();
    await clock.settle();
    expect(await run().outcome).toMatchObject({
      code: "THREAD_BUSY",
      message: expect.stringMatching(
        `Thread "order-17" is in use by another run of this process \\(${process.pid}\\), .* another 30000 ms`,
      ),
    });
    first.end();
    expect(await first.outcome).toBe("done");
    const next = run();
    next.end();
    expect(await next.outcome).toBe("done");
  });

  it("is given up also by a run that throws", async () => {
    const { clock, locks } = world();
    const request = { caller: "x", threadId: "t", label: "t", locks, lock: undefined } as unknown as LockRequest;
    const failing = () => withThreadLock(request, () => Promise.reject(new Error("no such graph")), clock);
    await expect(failing()).rejects.toThrow("no such graph");
    await expect(failing()).rejects.toThrow("no such graph");
    expect(clock.alarms).toEqual([]);
  });

  it("is renewed every third of its time for as long as the run lasts", async () => {
    const renewals: number[] = [];
    const { clock, run } = world((locks) => ({
      renew: (...given) => {
        renewals.push(clock.now());
        return locks.renew(...given);
      },
    }));
    const startedAt = clock.now();
    const first = run();
    await clock.advance(65_000);
    expect(renewals.map((at) => at - startedAt)).toEqual([10_000, 20_000, 30_000, 40_000, 50_000, 60_000]);
    expect(await run().outcome).toMatchObject({ code: "THREAD_BUSY" });
    first.end();
    await first.outcome;
    expect(clock.alarms).toEqual([]);
  });

  it("is lost to a run that was not there to renew it, and known to be when it comes back", async () => {
    const { clock, locks, run } = world();
    const first = run();
    await clock.settle();
    const taken = await locks.takeOver(name, first.lock()?.lease?.token ?? -1, "another", leaseMs);
    expect(first.lock()?.loss.aborted).toBe(false);
    await clock.advance(10_000);
    expect(first.lock()?.loss.reason).toMatchObject({ code: "LEASE_LOST" });
    expect(await first.lock()?.isHeld()).toBe(false);
    expect(clock.alarms).toEqual([]);
    first.end();
    await first.outcome;
    // What it gives up is no longer its own.
    expect(await locks.acquire(name, "third", leaseMs)).toMatchObject({ ...taken, kind: "busy", holder: "another" });
  });

  it("is still held by a run that comes back late, if nobody took it", async () => {
    const { clock, locks, run } = world();
    const first = run();
    await clock.settle();
    const { token = -1 } = first.lock()?.lease ?? {};
    await locks.renew(name, token, 0);
    expect(await first.lock()?.isHeld()).toBe(true);
    expect(locks.isHeld({ name, token })).toBe(true);
    first.end();
    await first.outcome;
  });

  it("is neither lost nor forgotten while the database cannot be asked", async () => {
    let down = false;
    let asked = 0;
    const { clock, run } = world((locks) => ({
      renew: (...given) => {
        asked += 1;
        return down ? Promise.reject(new Error("ECONNREFUSED")) : locks.renew(...given);
      },
    }));
    const first = run();
    await clock.settle();
    down = true;
    await clock.advance(20_000);
    expect(first.lock()?.loss.aborted).toBe(false);
    down = false;
    await clock.advance(10_000);
    expect(asked).toBe(3);
    expect(first.lock()?.loss.aborted).toBe(false);
    first.end();
    expect(await first.outcome).toBe("done");
  });

  it("does not keep the run's result from its caller when the database is gone at the end", async () => {
    const { clock, run } = world(() => ({
      renew: () => Promise.reject(new Error("ECONNREFUSED")),
      release: () => new Promise(() => {}),
    }));
    const first = run();
    await clock.advance(10_000);
    first.end();
    expect(await first.outcome).toBe("done");
  });
});

describe("waiting for a thread", () => {
  it("gets it when the other run has ended", async () => {
    const { clock, run } = world();
    const first = run();
    await clock.settle();
    const second = run({ lock: { waitMs: Number.POSITIVE_INFINITY } });
    await clock.advance(600_000);
    expect(second.lock()).toBeUndefined();
    first.end();
    await clock.advance(1_000);
    expect(second.lock()).toBeDefined();
    second.end();
    expect(await second.outcome).toBe("done");
  });

  it("asks soon at first, and then once a second", async () => {
    const { clock, run } = world();
    const first = run();
    await clock.settle();
    const second = run({ lock: { waitMs: 4_000 } });
    await clock.advance(4_000);
    expect(await second.outcome).toMatchObject({ code: "THREAD_BUSY" });
    expect(clock.begun).toEqual([100, 200, 400, 800, 1_000, 1_000, 500]);
    first.end();
    await first.outcome;
  });

  it("gets it when the time of a run that is not heard of any more is over, and not before", async () => {
    const { clock, locks, run } = world();
    await locks.acquire(name, "another program", 5_500);
    const second = run({ lock: { waitMs: 60_000 } });
    await clock.advance(5_499);
    expect(second.lock()).toBeUndefined();
    await clock.advance(2);
    expect(second.lock()).toBeDefined();
    second.end();
    await second.outcome;
  });

  it("ends when the run is aborted, and runs nothing", async () => {
    const { clock, locks, run } = world();
    await locks.acquire(name, "another program", leaseMs);
    const stop = new AbortController();
    const second = run({ lock: { waitMs: 60_000 }, signal: stop.signal });
    await clock.advance(1_000);
    stop.abort(new Error("enough"));
    expect(await second.outcome).toMatchObject({ code: "CANCELLED", cause: { message: "enough" } });
    expect(second.lock()).toBeUndefined();
    expect(clock.pending).toEqual([]);
  });

  it("ends when the run is to be drained, also if that was asked for before", async () => {
    const { clock, locks, run } = world();
    await locks.acquire(name, "another program", leaseMs);
    const control = new RunControl();
    const lock = { waitMs: 60_000 };
    const second = run({ lock, control });
    await clock.advance(1_000);
    control.requestDrain("deploy");
    expect(await second.outcome).toMatchObject({ code: "CANCELLED" });
    expect(await run({ lock, control }).outcome).toMatchObject({ code: "CANCELLED" });
  });
});

describe("a thread whose process has died", () => {
  it("is taken over at once on the same host", async () => {
    const { locks, run } = world();
    await locks.acquire(name, holderOf(deadProcess()), leaseMs);
    const second = run();
    second.end();
    expect(await second.outcome).toBe("done");
  });

  it.each([
    ["runs", {}],
    ["is of another host", { ...deadProcess(), host: "elsewhere" }],
    ["is of another container", { ...deadProcess(), pidNamespace: "pid:[1]" }],
  ])("is left alone while its process %s", async (_, identity) => {
    const { locks, run } = world();
    await locks.acquire(name, holderOf(identity), leaseMs);
    expect(await run().outcome).toMatchObject({ code: "THREAD_BUSY" });
  });

  it("is taken over though another process has its number by now", async () => {
    const { locks, run } = world();
    await locks.acquire(name, holderOf({ startedAt: "of an earlier one" }), leaseMs);
    const second = run();
    second.end();
    expect(await second.outcome).toBe("done");
  });

  it("is not taken from whoever took it over first", async () => {
    const dead = holderOf(deadProcess());
    const { locks, run } = world((real) => ({
      acquire: async (...given) => {
        const answer = await real.acquire(...given);
        if (answer.kind === "busy" && answer.holder === dead)
          await real.takeOver(name, answer.token, "faster", leaseMs);
        return answer;
      },
    }));
    await locks.acquire(name, dead, leaseMs);
    expect(await run().outcome).toMatchObject({ code: "THREAD_BUSY", details: { holder: "faster" } });
  });
});

describe("who holds a lease", () => {
  it("is told apart from every other run, and described by process and host", () => {
    expect(newHolder()).not.toBe(newHolder());
    expect(describeHolder(holderOf({ pid: 4711, host: "box" }))).toBe('process 4711 on host "box"');
    expect(describeHolder("worker 3 of the fleet")).toBe("worker 3 of the fleet");
  });

  it("is not known to be gone where nothing is known of it", () => {
    for (const text of ["worker 3", "{}", '{"pid":-1}', newHolder()]) expect(isGone(text)).toBe(false);
  });
});

describe("the lock's options", () => {
  it.each([
    [{ leaseMs: 5 }, /runThread\(\): option "lock.leaseMs" is 5/],
    [{ waitMs: -1 }, /option "lock.waitMs" is -1/],
    [{ lease: 1 }, /lease/],
    [true, /option "lock"/],
  ])("%j are refused by name", async (lock, message) => {
    const { run } = world();
    expect(await run({ lock: lock as never }).outcome).toMatchObject({
      code: "CONFIG",
      message: expect.stringMatching(message),
    });
  });

  it("turn it off, and are refused where no lock can be had", async () => {
    const { clock, run } = world();
    const first = run();
    await clock.settle();
    const unlocked = run({ lock: false });
    unlocked.end();
    expect(await unlocked.outcome).toBe("done");
    expect(unlocked.lock()?.lease).toBeUndefined();
    expect(await run({ lock: { leaseMs }, locks: undefined }).outcome).toMatchObject({ code: "CONFIG" });
    const without = run({ locks: undefined });
    without.end();
    expect(await without.outcome).toBe("done");
    first.end();
    await first.outcome;
  });
});

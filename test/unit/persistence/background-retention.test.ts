import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createEventBus, type EventBus, type ResilienceEvent } from "../../../src/core/events.js";
import type { PrunedThread } from "../../../src/core/retention-ports.js";
import { MemoryLocks } from "../../../src/persistence/memory-locks.js";
import { type BackgroundRetention, backgroundRetention } from "../../../src/persistence/retention/background.js";
import { retentionSchema } from "../../../src/persistence/retention/retention-options.js";
import { FakeClock } from "../../support/fake-clock.js";

const nothing = { dryRun: false, threads: [], checkpoints: 0, rows: 0, bytes: 0 };
const everyMs = 10_000;

describe("retention in the background", () => {
  let clock: FakeClock;
  let events: EventBus;
  let seen: ResilienceEvent[];
  let locks: MemoryLocks;
  let running: BackgroundRetention[];
  const pruneChanged = vi.fn(async () => nothing);
  const complete = vi.fn(async () => ({ outcome: "pruned" }) as PrunedThread);

  beforeEach(() => {
    clock = new FakeClock();
    events = createEventBus(clock.now);
    seen = [];
    events.subscribe((event) => seen.push(event));
    locks = new MemoryLocks(clock);
    running = [];
    vi.clearAllMocks();
  });
  afterEach(() => Promise.all(running.map((one) => one.stop())));

  const begin = (options = {}) => {
    const settings = retentionSchema.parse({ everyMs, ...options });
    const background = backgroundRetention({ settings, retention: { pruneChanged, complete }, locks, events, clock });
    running.push(background);
    background.start();
    return background;
  };
  const finished = () => events.emit("run.finished", { threadId: "t" }, { outcome: "succeeded" });

  it("looks every so often, with its rule and nothing else", async () => {
    begin({ keepLast: 7 });
    await clock.advance(everyMs - 1);
    expect(pruneChanged).not.toHaveBeenCalled();
    await clock.advance(1);
    await vi.waitFor(() => expect(clock.alarms).toEqual([everyMs]));
    await clock.advance(everyMs);
    expect(pruneChanged).toHaveBeenCalledTimes(2);
    expect(pruneChanged).toHaveBeenCalledWith({ keepLast: 7, ttlMs: 604_800_000 }, expect.any(AbortSignal));
  });

  it("leaves it to another process that does it already", async () => {
    await locks.acquire("retention", "another process", 60_000);
    begin();
    await clock.advance(everyMs);
    await vi.waitFor(() => expect(clock.alarms).toEqual([everyMs]));
    expect(pruneChanged).not.toHaveBeenCalled();
  });

  it("tells of a failure, without secrets, and tries again the next time", async () => {
    pruneChanged.mockRejectedValueOnce(new Error("no route to postgres://me:secret@host/db"));
    begin();
    await clock.advance(everyMs);
    await vi.waitFor(() => expect(seen).toHaveLength(1));
    expect(seen[0]).toMatchObject({ type: "retention.failed", message: expect.not.stringContaining("secret") });
    await vi.waitFor(() => expect(clock.alarms).toEqual([everyMs]));
    await clock.advance(everyMs);
    expect(pruneChanged).toHaveBeenCalledTimes(2);
  });

  it("waits for a run that has succeeded to give its thread back", async () => {
    complete.mockResolvedValueOnce({ outcome: "skipped", why: "in use" } as PrunedThread);
    const background = begin({ onComplete: "compact" });
    finished();
    await vi.waitFor(() => expect(clock.pending).toHaveLength(1));
    await clock.advance(20);
    await background.settled();
    expect(complete.mock.calls).toEqual([
      ["t", "compact"],
      ["t", "compact"],
    ]);
  });

  it("looks at no run that came to something else, nor after its end", async () => {
    const background = begin({ onComplete: "delete" });
    events.emit("run.finished", { threadId: "t" }, { outcome: "failed" });
    await background.stop();
    finished();
    await clock.advance(everyMs);
    expect(complete).not.toHaveBeenCalled();
    expect(pruneChanged).not.toHaveBeenCalled();
  });
});

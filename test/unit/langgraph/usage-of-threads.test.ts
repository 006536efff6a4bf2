/** Meters, the notes in the checkpoints, and what is read for them. */
import { type CheckpointMetadata, emptyCheckpoint, MemorySaver, uuid6 } from "@langchain/langgraph-checkpoint";
import { describe, expect, it, vi } from "vitest";
import { threadNotesOf, USAGE_NOTE } from "../../../src/core/checkpoint-notes.js";
import { createEventBus } from "../../../src/core/events.js";
import { meterOf, type UsageNote } from "../../../src/langgraph/thread-usage.js";
import { OpenedSaver } from "../../../src/persistence/opened-saver.js";
import { NOTHING_SPENT, totalUsage } from "../../../src/policies/usage.js";
import { call, settableClock } from "../../support/spending.js";

const clock = settableClock();

/** A store, and savers on it as different processes would have them; counts what is read of it. */
function store() {
  const inner = new MemorySaver();
  const getTuple = vi.spyOn(inner, "getTuple");
  return {
    inner,
    reads: () => getTuple.mock.calls.length,
    process: () =>
      new OpenedSaver(
        async () => inner,
        createEventBus(() => 0),
      ),
  };
}

type At = { thread_id: string; checkpoint_ns?: string; checkpoint_id?: string };

async function write(saver: OpenedSaver, at: At, step = 0): Promise<At> {
  const metadata: CheckpointMetadata = { source: "loop", step, parents: {} };
  const next = await saver.put({ configurable: at }, { ...emptyCheckpoint(), id: uuid6(step) }, metadata, {});
  return next.configurable as At;
}

async function noteAt(saver: { getTuple: MemorySaver["getTuple"] }, at: At): Promise<UsageNote | undefined> {
  const tuple = await saver.getTuple({ configurable: at });
  return (tuple?.metadata as Record<string, unknown> | undefined)?.[USAGE_NOTE] as UsageNote | undefined;
}

async function spend(saver: object, tokens: number, thread = "t"): Promise<void> {
  const attempt = (await meterOf(saver, thread, clock)).begin();
  attempt.add(call(tokens, 0));
  attempt.end("useful");
}

const total = async (saver: object, thread = "t") =>
  totalUsage((await meterOf(saver, thread, clock)).spent).totalTokens;
const tokensIn = (note: UsageNote | undefined) => note?.useful.totalTokens;

describe("a thread's meter", () => {
  it("is one, and another for another thread or another checkpointer", async () => {
    const { process } = store();
    const [one, two] = [process(), process()];
    expect(await meterOf(one, "t", clock)).toBe(await meterOf(one, "t", clock));
    expect(await meterOf(one, "t", clock)).not.toBe(await meterOf(one, "u", clock));
    expect(await meterOf(one, "t", clock)).not.toBe(await meterOf(two, "t", clock));
  });

  it("is one for those who ask while it is being read, and is read once", async () => {
    const { process, reads } = store();
    const saver = process();
    const [one, two] = await Promise.all([meterOf(saver, "t", clock), meterOf(saver, "t", clock)]);
    expect(one).toBe(two);
    expect(reads()).toBe(1);
  });

  it("is not read where the run has read its checkpoint already", async () => {
    const { process, reads } = store();
    const saver = process();
    await saver.getTuple({ configurable: { thread_id: "t" } });
    await spend(saver, 10);
    let at: At = { thread_id: "t" };
    for (let step = 0; step < 5; step += 1) at = await write(saver, at, step);
    expect(reads()).toBe(1);
    expect(tokensIn(await noteAt(saver, at))).toBe(10);
  });

  it("that could not be read is read anew by the next who asks", async () => {
    const { process, inner } = store();
    const saver = process();
    vi.spyOn(inner, "getTuple").mockRejectedValueOnce(new Error("database away"));
    await expect(meterOf(saver, "t", clock)).rejects.toThrow("database away");
    expect((await meterOf(saver, "t", clock)).spent).toEqual(NOTHING_SPENT);
  });

  it("counts for a checkpointer of any kind, which is not asked to keep anything", async () => {
    const saver = new MemorySaver();
    await spend(saver, 10);
    await spend(saver, 5);
    expect(await total(saver)).toBe(15);
    await spend({}, 5);
  });

  it("goes on from the newest checkpoint in another process", async () => {
    const { process } = store();
    const [one, two] = [process(), process()];
    await spend(one, 10);
    await write(one, { thread_id: "t" });
    expect(await total(two)).toBe(10);
  });

  it("takes an attempt that was under way when its process died for wasted", async () => {
    const { process } = store();
    const [one, two] = [process(), process()];
    (await meterOf(one, "t", clock)).begin().add(call(10, 0));
    const at = await write(one, { thread_id: "t" });
    expect(await noteAt(one, at)).toMatchObject({ v: 1, inFlight: { attempts: 1, totalTokens: 10 } });
    expect((await meterOf(two, "t", clock)).spent).toMatchObject({ wasted: { attempts: 1, totalTokens: 10 } });
  });

  it("starts from zero, and says so, where the note cannot be read", async () => {
    const { process, inner } = store();
    const metadata = { source: "loop", step: 0, parents: {}, [USAGE_NOTE]: { v: 2, spent: "much" } };
    await inner.put({ configurable: { thread_id: "t" } }, emptyCheckpoint(), metadata as never);
    const warned = vi.spyOn(globalThis.process, "emitWarning").mockImplementation(() => undefined);
    try {
      expect(await total(process())).toBe(0);
      expect(warned).toHaveBeenCalledWith(expect.stringContaining("What thread t has spent"), "ResilienceWarning");
    } finally {
      warned.mockRestore();
    }
  });

  it("of a deleted thread is not that of the next one by its name", async () => {
    const { process } = store();
    const [one, two] = [process(), process()];
    await spend(one, 10);
    await write(one, { thread_id: "t" });
    await one.deleteThread("t");
    expect(await total(one)).toBe(0);
    await spend(one, 7);
    await write(one, { thread_id: "t" });
    await two.deleteThread("t");
    await one.getTuple({ configurable: { thread_id: "t" } });
    expect(await total(one)).toBe(0);
  });

  it("is not lost when somebody looks at the thread before its first checkpoint is written", async () => {
    const { process } = store();
    const saver = process();
    await spend(saver, 10);
    await saver.getTuple({ configurable: { thread_id: "t" } });
    await write(saver, { thread_id: "t" });
    expect(await total(saver)).toBe(10);
  });

  it("is forgotten for newer ones when it is idle, and read again", async () => {
    const { process } = store();
    const saver = process();
    await spend(saver, 10);
    await write(saver, { thread_id: "t" });
    const idle = await meterOf(saver, "t", clock);
    const busy = await meterOf(saver, "busy", clock);
    busy.begin();
    for (let number = 0; number < 10_000; number += 1) await meterOf(saver, `other-${number}`, clock);
    expect(await meterOf(saver, "busy", clock)).toBe(busy);
    expect(await meterOf(saver, "t", clock)).not.toBe(idle);
    expect(await total(saver)).toBe(10);
  });
});

describe("a checkpoint", () => {
  it("of a thread nobody meters carries nothing", async () => {
    const { process, inner } = store();
    const saver = process();
    const at = await write(saver, { thread_id: "t" });
    await write(saver, at, 1);
    expect((await inner.getTuple({ configurable: { thread_id: "t" } }))?.metadata).toEqual({
      source: "loop",
      step: 1,
      parents: {},
    });
  });

  it("written by somebody who does not meter carries on what the newest one says", async () => {
    const { process } = store();
    const [one, two] = [process(), process()];
    await spend(one, 10);
    const at = await write(one, { thread_id: "t" });
    const after = await write(two, at, 1);
    expect(tokensIn(await noteAt(two, after))).toBe(10);
    const third = await write(two, after, 2);
    expect(tokensIn(await noteAt(two, third))).toBe(10);
  });

  it("that forks from an old one carries on what the newest one says, metered or not", async () => {
    const { process } = store();
    const saver = process();
    await spend(saver, 10);
    const old = await write(saver, { thread_id: "t" });
    await spend(saver, 10);
    await write(saver, old, 1);
    const elsewhere = process();
    const fork = await write(elsewhere, old, 2);
    expect(tokensIn(await noteAt(elsewhere, fork))).toBe(20);
    await spend(saver, 5);
    expect(tokensIn(await noteAt(saver, await write(saver, old, 3)))).toBe(25);
  });

  it("that forks in a process which knew an older one as the newest carries on the newest", async () => {
    const { process } = store();
    const [one, two] = [process(), process()];
    const first = await write(one, { thread_id: "t" });
    await spend(one, 10);
    const second = await write(one, first, 1);
    await two.getTuple({ configurable: { thread_id: "t" } });
    await spend(one, 10);
    await write(one, second, 2);
    expect(tokensIn(await noteAt(two, await write(two, first, 3)))).toBe(20);
  });

  it("of a thread that was not there when it was looked for carries on what it has spent since", async () => {
    const { process } = store();
    const [one, two] = [process(), process()];
    await two.getTuple({ configurable: { thread_id: "t" } });
    await spend(one, 10);
    const at = await write(one, { thread_id: "t" });
    expect(tokensIn(await noteAt(two, await write(two, at, 1)))).toBe(10);
  });

  it("that goes on from one that was newest, until another process wrote, does not bring its count back", async () => {
    const { process } = store();
    const [one, two] = [process(), process()];
    await spend(one, 10);
    const at = await write(one, { thread_id: "t" });
    await spend(two, 10);
    await write(two, at, 1);
    await one.getTuple({ configurable: at });
    await spend(one, 5);
    expect(tokensIn(await noteAt(one, await write(one, at, 2)))).toBe(25);
  });

  it("of a subgraph carries the count too, and a run that is resumed in the subgraph knows it", async () => {
    const { process } = store();
    const [one, two] = [process(), process()];
    await spend(one, 10);
    await write(one, { thread_id: "t" });
    await spend(one, 10);
    const inside = { thread_id: "t", checkpoint_ns: "sub:1" };
    expect(tokensIn(await noteAt(one, await write(one, inside, 1)))).toBe(20);
    await two.getTuple({ configurable: { thread_id: "t" } });
    await two.getTuple({ configurable: inside });
    await spend(two, 1);
    expect(await total(two)).toBe(21);
  });

  it("of a subgraph that was read before the root's is not forgotten for being the newer one", async () => {
    const { process } = store();
    const [one, two] = [process(), process()];
    await spend(one, 10);
    await write(one, { thread_id: "t" });
    await spend(one, 10);
    const inside = { thread_id: "t", checkpoint_ns: "sub:1" };
    await write(one, inside, 1);
    await two.getTuple({ configurable: inside });
    await two.getTuple({ configurable: { thread_id: "t" } });
    expect(await total(two)).toBe(20);
  });

  it("that was read back before its writer heard that it is stored is not counted twice", async () => {
    const saver = store().process();
    const notes = threadNotesOf(saver);
    await spend(saver, 10);
    const place = { threadId: "t", namespace: "" };
    const metadata = { [USAGE_NOTE]: structuredClone(notes.next(place)) };
    notes.read(place, { checkpoint: { id: "1" }, metadata } as never);
    notes.wrote(place, "1", metadata[USAGE_NOTE]);
    expect(await total(saver)).toBe(10);
  });

  it("keeps the rest of its metadata, and the writer's object as it was", async () => {
    const { process } = store();
    const saver = process();
    await spend(saver, 10);
    const metadata = Object.freeze({ source: "update" as const, step: 3, parents: {}, custom: "kept" });
    await saver.put({ configurable: { thread_id: "t" } }, emptyCheckpoint(), metadata, {});
    const stored = await saver.getTuple({ configurable: { thread_id: "t" } });
    expect(stored?.metadata).toMatchObject({ source: "update", step: 3, custom: "kept", [USAGE_NOTE]: { v: 1 } });
  });
});

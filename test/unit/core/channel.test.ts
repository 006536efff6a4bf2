import { describe, expect, it } from "vitest";
import { createChannel } from "../../../src/core/channel.js";

async function read<T>(channel: AsyncIterable<T>): Promise<{ items: T[]; error?: unknown }> {
  const items: T[] = [];
  try {
    for await (const item of channel) items.push(item);
    return { items };
  } catch (error) {
    return { items, error };
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("a channel", () => {
  it("hands on in order what was there before the reader came, and what comes while it reads", async () => {
    const channel = createChannel<number>();
    channel.push(1);
    channel.push(2);
    const reading = read(channel);
    await turn();
    channel.push(3);
    await turn();
    channel.push(4);
    channel.push(5);
    channel.end();
    expect(await reading).toEqual({ items: [1, 2, 3, 4, 5] });
  });

  it("hands on an item before the next one is made", async () => {
    const channel = createChannel<string>();
    const reader = channel[Symbol.asyncIterator]();
    const first = reader.next();
    channel.push("a");
    expect(await first).toEqual({ done: false, value: "a" });
    const second = reader.next();
    channel.push("b");
    expect(await second).toEqual({ done: false, value: "b" });
    const last = reader.next();
    channel.end();
    expect((await last).done).toBe(true);
  });

  it("loses nothing that comes while the reader is at work on what came before", async () => {
    const channel = createChannel<number>();
    channel.push(0);
    const seen: number[] = [];
    for await (const item of channel) {
      seen.push(item);
      if (item < 100) channel.push(item + 1);
      if (item % 7 === 0) await turn();
      if (item === 100) channel.end();
    }
    expect(seen).toEqual(Array.from({ length: 101 }, (_, at) => at));
  });

  it("gives what is there, and then fails", async () => {
    const channel = createChannel<number>();
    const error = new Error("broke off");
    channel.push(1);
    channel.push(2);
    channel.fail(error);
    expect(await read(channel)).toEqual({ items: [1, 2], error });
  });

  it("fails with what was thrown, were it undefined", async () => {
    const channel = createChannel<number>();
    channel.fail(undefined);
    await expect(channel[Symbol.asyncIterator]().next()).rejects.toBeUndefined();
  });

  it("ends once: what comes after its end is dropped, and the first ending counts", async () => {
    const ended = createChannel<number>();
    ended.end();
    ended.push(1);
    ended.fail(new Error("too late"));
    expect(await read(ended)).toEqual({ items: [] });
    const failed = createChannel<number>();
    const error = new Error("first");
    failed.fail(error);
    failed.end();
    expect(await read(failed)).toEqual({ items: [], error });
  });

  it("lets go of a reader who leaves", async () => {
    const channel = createChannel<number>();
    channel.push(1);
    channel.push(2);
    for await (const _ of channel) break;
    // Nobody waits: it must not throw.
    channel.push(3);
    channel.end();
  });

  it("takes many items without a delay that grows with them", async () => {
    const channel = createChannel<number>();
    for (let at = 0; at < 100_000; at += 1) channel.push(at);
    channel.end();
    expect((await read(channel)).items).toHaveLength(100_000);
  });
});

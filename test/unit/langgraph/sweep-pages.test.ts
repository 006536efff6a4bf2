import { describe, expect, it } from "vitest";
import type { StoredInboxItem } from "../../../src/core/inbox-ports.js";
import { eachPage, type Paging } from "../../../src/langgraph/inbox/each-page.js";
import { createSweepLeftovers } from "../../../src/langgraph/inbox/sweep-leftovers.js";

const itemsOf = (count: number) =>
  Array.from({ length: count }, (_, n) => ({ id: String(n), version: 1 }) as StoredInboxItem);

/** Goes through a queue of which only `own` can be done. */
async function gone(count: number, own: (id: string) => boolean, paging: Paging) {
  let due = itemsOf(count);
  const limits: number[] = [];
  const done: string[] = [];
  let came = 0;
  const read = async (limit: number) => {
    limits.push(limit);
    return due.slice(0, limit);
  };
  await eachPage(read, paging, new AbortController().signal, async (page) => {
    came += page.length;
    const mine = page.filter(({ id }) => own(id));
    due = due.filter((one) => !mine.includes(one));
    done.push(...mine.map(({ id }) => id));
    return page.length - mine.length;
  });
  return { limits, done, came };
}

describe("what is due, page by page", () => {
  it("comes whole where all of it is done, in pages of one size", async () => {
    const { limits, done, came } = await gone(25, () => true, { first: 10 });
    expect([done.length, came]).toEqual([25, 25]);
    expect(limits).toEqual([10, 10, 10]);
  });

  it("comes once each where all of it stays, in ever larger pages", async () => {
    expect(await gone(100, () => false, { first: 10 })).toEqual({ limits: [10, 40, 160], done: [], came: 100 });
  });

  it("is found behind what stays, and no further than it may be looked for", async () => {
    const last = (id: string) => id === "99";
    expect((await gone(100, last, { first: 10 })).done).toEqual(["99"]);
    expect(await gone(100, last, { first: 10, most: 20 })).toEqual({ limits: [10, 20], done: [], came: 20 });
  });

  it("comes again in another version", async () => {
    const pages = [itemsOf(2), itemsOf(2).map((item) => ({ ...item, version: 2 })), []];
    const came: number[] = [];
    await eachPage(
      async () => pages.shift() ?? [],
      { first: 2 },
      new AbortController().signal,
      async (page) => {
        came.push(...page.map(({ version }) => version));
        return 0;
      },
    );
    expect(came).toEqual([1, 1, 2, 2]);
  });

  it("ends at once where the query hangs that it waits for", async () => {
    const stop = new AbortController();
    const hanging = eachPage(
      () => new Promise(() => {}),
      { first: 1 },
      stop.signal,
      async (page) => page.length,
    );
    stop.abort(new Error("enough"));
    await hanging;
  });
});

describe("what sweeps leave to others", () => {
  it("is passed over until a minute later all of it is looked at again", () => {
    const leftovers = createSweepLeftovers();
    const [item] = itemsOf(1) as [StoredInboxItem];
    expect(leftovers.begin(0)).toEqual({ isThorough: true, first: 50 });
    leftovers.add(item);
    leftovers.lookedThrough(0);
    expect(leftovers.begin(59_999)).toEqual({ isThorough: false, first: 51, most: 200 });
    expect(leftovers.has(item)).toBe(true);
    expect(leftovers.has({ ...item, version: 2 })).toBe(false);
    expect(leftovers.begin(60_000)).toEqual({ isThorough: true, first: 51 });
    expect(leftovers.has(item)).toBe(false);
  });

  it("is looked through at the next sweep where one was broken off, or the clock was put back", () => {
    const leftovers = createSweepLeftovers();
    leftovers.begin(1000);
    expect(leftovers.begin(1001).isThorough).toBe(true);
    leftovers.lookedThrough(1001);
    expect(leftovers.begin(1002).isThorough).toBe(false);
    expect(leftovers.begin(1).isThorough).toBe(true);
  });

  it("costs few looks at threads, and each has its turn", () => {
    const leftovers = createSweepLeftovers();
    const looked: string[] = [];
    for (let sweep = 0; sweep < 4; sweep += 1) {
      leftovers.begin(sweep * 60_000);
      const now = itemsOf(120).filter(({ id }) => leftovers.mayLook(id));
      expect(now.length).toBeLessThanOrEqual(50);
      looked.push(...now.map(({ id }) => id));
      leftovers.lookedThrough(sweep * 60_000);
    }
    expect(new Set(looked).size).toBe(120);
    // The fourth sweep begins from the start.
    expect(looked).toHaveLength(170);
  });
});

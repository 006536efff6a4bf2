/** What the commands of the inbox find in it. */
import { describe, expect, it } from "vitest";
import { look, lookAgain } from "../../../src/cli/actions/inbox/changes.js";
import { type InboxFlags, wantedOf } from "../../../src/cli/actions/inbox/filter.js";
import { questionOf } from "../../../src/cli/actions/inbox/find.js";
import type { InboxItem, InboxStore } from "../../../src/core/inbox-ports.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { newInboxItem } from "../../../src/testing/samples.js";

const nowMs = 1_700_000_000_000;
const later = Date.now() + 3_600_000;

async function inboxWith(...items: Partial<InboxItem>[]) {
  const persistence = openPersistence("memory:");
  const inbox = persistence.inbox as InboxStore;
  for (const fields of items) await inbox.open(newInboxItem(fields));
  /** Writes the fields over the item as it is. */
  const change = async (id: string, fields: Partial<InboxItem>) => {
    const stored = await inbox.get(id);
    if (stored === undefined) throw new Error(`There is no ${id}`);
    const { version, ...item } = stored;
    await inbox.change({ ...item, ...fields } as InboxItem, version);
  };
  return { persistence, inbox, change };
}

describe("a question is found", () => {
  it("by its ID, or the beginning of it, if that is of one alone", async () => {
    const { inbox } = await inboxWith({ id: "aa11" }, { id: "aa22" }, { id: "aa" });
    expect((await questionOf(inbox, "aa1")).id).toBe("aa11");
    expect((await questionOf(inbox, "aa")).id).toBe("aa");
    await expect(questionOf(inbox, "a")).rejects.toThrow(
      /"a" is the beginning of 3 questions: .*\(thread .*; give more of the ID/,
    );
  });

  it("among the open ones first, and then among those that are over", async () => {
    const { inbox } = await inboxWith({ id: "ab1", state: "resolved" }, { id: "ab2" }, { id: "cd", state: "expired" });
    expect((await questionOf(inbox, "ab")).id).toBe("ab2");
    expect((await questionOf(inbox, "c")).id).toBe("cd");
  });

  it("or it is said where the others are", async () => {
    const { inbox } = await inboxWith();
    await expect(questionOf(inbox, "ff")).rejects.toThrow(/no question "ff" .* inbox --state all/);
    await expect(questionOf(inbox, " ")).rejects.toThrow(/Say which question/);
  });
});

describe("the flags ask for", () => {
  const items: Partial<InboxItem>[] = [
    { id: "levels", plan: { levels: [{ to: ["ada", "bob"] }] } },
    { id: "handed", assignee: "carol", plan: { levels: [{ to: ["ada"] }] } },
    { id: "held", claim: { by: "ada", until: later } },
    { id: "late", dueAt: 5 },
  ];
  const found = async (flags: InboxFlags) => {
    const { persistence, inbox } = await inboxWith(...items);
    const { filter, isWanted } = await wantedOf(flags, persistence);
    return (await inbox.list(filter)).filter((item) => isWanted(item, nowMs)).map(({ id }) => id);
  };

  it("those for a person, claimed by one, or overdue", async () => {
    expect(await found({ for: "ada" })).toEqual(["levels"]);
    expect(await found({ for: "carol" })).toEqual(["handed"]);
    expect(await found({ claimedBy: "ada" })).toEqual(["held"]);
    expect(await found({ mine: true, as: "ada" })).toEqual(["held"]);
    expect(await found({ mine: true, as: "bob" })).toEqual([]);
    expect(await found({ overdue: true })).toEqual(["late"]);
    expect(await found({})).toHaveLength(4);
  });

  it.each<[string, InboxFlags, RegExp]>([
    [
      "overdue ones that are over",
      { overdue: true, state: "resolved" },
      /--overdue is of open questions.*--state resolved/,
    ],
    ["claimed ones that are over", { claimedBy: "ada", state: "all" }, /Only open questions are claimed/],
    ["two people's", { claimedBy: "ada", mine: true }, /name two people/],
    ["a name alone", { as: "ada" }, /--as goes with --mine/],
    ["a thread that is not stored", { thread: "never" }, /Nothing is stored for thread "never"/],
  ])("nothing where they ask for %s", async (_, flags, message) => {
    await expect(found(flags)).rejects.toThrow(message);
  });
});

describe("between two looks", () => {
  const said = async (
    items: Partial<InboxItem>[],
    happens: (world: Awaited<ReturnType<typeof inboxWith>>) => unknown,
  ) => {
    const world = await inboxWith(...items);
    const seen = await look(world.inbox, {});
    await happens(world);
    const next = await lookAgain(world.inbox, {}, seen);
    expect(await lookAgain(world.inbox, {}, next.seen)).toMatchObject({ changes: [] });
    return next.changes.map(({ what, text }) => `${what}: ${text}`);
  };
  const plan = { levels: [{ to: ["ada"], deadlineMs: 1000 }, { to: ["bob"] }] };

  it("a question is opened", async () => {
    const changes = await said([], ({ inbox }) => inbox.open(newInboxItem({ plan, summary: "It\nfailed" })));
    expect(changes).toEqual(["opened: asks ada: It failed"]);
  });

  it.each<[string, Partial<InboxItem>, string | RegExp]>([
    ["claimed", { claim: { by: "ada", until: later } }, /^claimed: claimed by ada until 20/],
    ["escalated", { level: 1 }, "escalated: escalated to bob"],
    ["reminded of", { reminders: 1 }, "reminded: reminded ada"],
    ["overdue", { overdue: true }, "overdue: overdue"],
    [
      "answered",
      { answer: { action: "retry", by: "ada", at: nowMs }, claim: { by: "ada", until: later } },
      'answered: answered with "retry" by ada',
    ],
    [
      "resolved",
      { state: "resolved", resolution: { action: "retry", by: "ada", at: nowMs } },
      /^resolved: resolved: ada answered it with "retry"/,
    ],
  ])("a question is %s", async (_, fields, line) => {
    const changes = await said([{ id: "q", plan }], ({ change }) => change("q", fields));
    expect(changes).toEqual([typeof line === "string" ? line : expect.stringMatching(line)]);
  });

  it("a claim is given back", async () => {
    const { claim, ...free } = { ...newInboxItem({ id: "q" }), claim: { by: "ada", until: later } };
    const changes = await said([{ ...free, claim }], ({ inbox }) => inbox.change(free, 1));
    expect(changes).toEqual(["released: free again"]);
  });

  it("nothing is said of what concerns nobody", async () => {
    expect(await said([{ id: "q" }], ({ change }) => change("q", { notifyAt: 7 }))).toEqual([]);
  });

  it("a question goes with its thread", async () => {
    const threadId = "gone";
    const changes = await said([{ threadId }], ({ persistence }) => persistence.checkpointer.deleteThread(threadId));
    expect(changes).toEqual(["deleted: deleted with its thread"]);
  });

  it("those that stay open are read with the list alone", async () => {
    const { inbox } = await inboxWith({ id: "stays" }, { id: "ends" });
    const read: string[] = [];
    const get = (id: string) => {
      read.push(id);
      return inbox.get(id);
    };
    const seen = await look(inbox, {});
    const stored = seen.get("ends");
    if (stored === undefined) throw new Error("It was not seen");
    const { version, ...item } = stored;
    await inbox.change({ ...item, state: "withdrawn" }, version);
    const { changes } = await lookAgain({ ...inbox, get }, {}, seen);
    expect(changes).toMatchObject([{ what: "withdrawn", text: "withdrawn: its thread went on without an answer" }]);
    expect(read).toEqual(["ends"]);
  });
});

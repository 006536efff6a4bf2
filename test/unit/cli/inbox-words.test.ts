import { describe, expect, it } from "vitest";
import { inboxTable } from "../../../src/cli/actions/inbox/rows.js";
import { askedLines, standingLines } from "../../../src/cli/actions/inbox/show.js";
import { leftText, summaryText, sweptText, untoldText } from "../../../src/cli/actions/inbox/sweep-text.js";
import { dueText, forText, outcomeText, shortIds, spanText } from "../../../src/cli/actions/inbox/words.js";
import type { InboxItem } from "../../../src/core/inbox-ports.js";
import { consoleReporter } from "../../../src/observability/console-reporter.js";
import { interventionRequest } from "../../../src/recovery/intervention-request.js";
import { newInboxItem } from "../../../src/testing/samples.js";

const nowMs = 1_700_000_000_000;
const minute = 60_000;
const item = (fields: Partial<InboxItem> = {}): InboxItem =>
  newInboxItem({ id: "3f2a1b2c5d6e7f80", thread: "q3", graph: "report", openedAt: nowMs - 12 * minute, ...fields });
const ada = { by: "ada", until: nowMs + minute };

describe("a short ID", () => {
  it("has eight characters, or as many as tell it from the others", () => {
    const short = shortIds(["3f2a1b2c5d6e7f80", "3f2a1b2c5e000000", "00112233aabbccdd", "3f2a1b2c5d6e7f80"]);
    expect([...short.values()]).toEqual(["00112233", "3f2a1b2c5d", "3f2a1b2c5e"]);
  });

  it("is whole where one ID is the beginning of another", () => {
    expect([...shortIds(["abcdefghij", "abcdefghijk"]).values()]).toEqual(["abcdefghij", "abcdefghijk"]);
  });
});

describe("a time", () => {
  it.each([
    [0, "0s"],
    [59_999, "59s"],
    [60_000, "1m"],
    [119 * minute, "119m"],
    [120 * minute, "2h"],
    [47 * 60 * minute, "47h"],
    [49 * 60 * minute, "2d"],
    [-5, "0s"],
  ])("of %d ms is said as %s", (ms, text) => expect(spanText(ms)).toBe(text));

  it("is left, or over", () => {
    expect(dueText(item({ dueAt: nowMs + 12 * minute }), nowMs)).toBe("in 12m");
    expect(dueText(item({ dueAt: nowMs - 5 * minute }), nowMs)).toBe("5m late");
    expect(dueText(item(), nowMs)).toBe("");
  });
});

describe("whose turn it is", () => {
  const plan = { levels: [{ to: ["ada", "bob"], deadlineMs: minute }, { to: [] }] };
  it.each<[string, Partial<InboxItem>]>([
    ["ada, bob", { plan }],
    ["anyone", { plan, level: 1 }],
    ["carol", { plan, assignee: "carol" }],
    ["claimed by ada", { plan, claim: ada }],
    ["ada, bob", { plan, claim: { by: "ada", until: nowMs } }],
    ["its time is over", { claim: { by: "langgraph-resilience", until: nowMs + minute } }],
    ["answered by bob", { claim: ada, answer: { action: "retry", by: "bob", at: nowMs } }],
  ])("is said as %j", (text, fields) => expect(forText(item(fields), nowMs)).toBe(text));

  it("is nobody's once it is over, and what came of it is said instead", () => {
    const resolution = { action: "retry", by: "ada", at: nowMs };
    expect(outcomeText(item({ state: "resolved", resolution }))).toBe("retry by ada");
    expect(outcomeText(item({ state: "expired", resolution }))).toBe("retry, by itself");
    expect(outcomeText(item({ state: "withdrawn" }))).toBe("");
  });
});

describe("the table of questions", () => {
  const items = [
    item({ dueAt: nowMs + minute, plan: { levels: [{ to: ["ada"] }] } }),
    item({ id: "77", graph: "order-saga", thread: "a\u001b[31m\nb", summary: `S${"x".repeat(300)}` }),
  ];
  const look = { state: "pending", nowMs, width: Number.POSITIVE_INFINITY } as const;

  it("says all that helps to choose one", () => {
    const [header, first] = inboxTable(items, look);
    expect(header).toMatch(/^ID +AGE +DUE +THREAD +GRAPH +NODE +KIND +FOR +SUMMARY$/);
    expect(first).toMatch(/^3f2a1b2c +12m +in 1m +q3 +report +pay +intervention +ada +Node "pay" failed after 3/);
  });

  it("fits the terminal, and gives up columns before the summary", () => {
    for (const width of [160, 90, 70]) {
      const lines = inboxTable(items, { ...look, width });
      expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(width);
      expect(lines[1]).toContain('Node "pay" failed');
    }
    expect(inboxTable(items, { ...look, width: 160 })[0]).toContain("KIND");
    expect(inboxTable(items, { ...look, width: 90 })[0]).not.toContain("KIND");
  });

  it("is not coloured or broken by what a thread is called", () => {
    expect(inboxTable(items, look).join("|")).not.toMatch(/\p{Cc}/u);
  });

  it("says what came of those that are not open", () => {
    const ended = item({ state: "resolved", resolution: { action: "retry", by: "ada", at: nowMs } });
    const [header, row] = inboxTable([ended], { ...look, state: "all" });
    expect(header).toMatch(/STATE +DUE +.*WHO/);
    expect(row).toMatch(/resolved .* retry by ada/);
    expect(inboxTable([ended], { ...look, state: "resolved" })[0]).toMatch(/AGE +THREAD .* OUTCOME/);
  });
});

describe("one question", () => {
  const failure = {
    v: 1,
    node: "pay",
    input: { cents: 5 },
    report: { category: "network", retryable: true, message: "reset" },
    attempts: [],
    fallbacks: [],
    decisions: [],
  } as const;
  const request = interventionRequest(failure, ["retry", "abort"], { threadName: "q3" });

  it("is shown with the commands of the inbox that answer it", () => {
    const text = askedLines(item({ request })).join("\n");
    expect(text).toContain('A person is needed: Node "pay" failed (network): reset');
    expect(text).toMatch(/lgr inbox resolve 3f2a1b2c5d6e7f80 --action retry +# try the step again/);
    expect(text).not.toContain("lgr resume");
  });

  it("is shown without commands once it is answered", () => {
    const text = askedLines(item({ request, state: "resolved" })).join("\n");
    expect(text).toContain("cents: 5");
    expect(text).not.toMatch(/What you can do|Suggested|undefined/);
  });

  it("that was too large to be kept whole is shown as far as it goes", () => {
    const text = askedLines(item({ request: { ...request, attempts: ["[400 more]"] } })).join("\n");
    expect(text).toContain('Node "pay" failed after 3 attempts');
    expect(text).toContain("[400 more]");
    expect(text).toContain("lgr inbox resolve 3f2a1b2c5d6e7f80 --action …");
  });

  it("says whose turn it is, until when, and what happens then", () => {
    const levels = [{ to: ["ada"], deadlineMs: 20 * minute, remindEveryMs: minute }, { to: ["bob"] }];
    const fields = { plan: { levels }, dueAt: nowMs + 8 * minute, remindAt: nowMs + 30_000, reminders: 2, claim: ada };
    const text = standingLines(item(fields), nowMs, false).join("\n");
    expect(text).toContain("Question 3f2a1b2c5d6e7f80 of thread q3: open");
    expect(text).toMatch(/asked .*\(12m ago\).* node "pay" of report/);
    expect(text).toMatch(/level +1 of 2, for ada/);
    expect(text).toMatch(/deadline .*\(in 8m\); then: bob will be asked/);
    expect(text).toMatch(/reminders +2 so far, the next in 30s/);
    expect(text).toMatch(/now +claimed by ada, until 2023-/);
    expect(standingLines(item(), nowMs, true).join("\n")).toContain("has gone on from there");
  });

  it("says who answered it, and why", () => {
    const resolution = { action: "abort", by: "ada", at: nowMs, reason: "not needed" };
    const text = standingLines(item({ state: "resolved", resolution }), nowMs, false).join("\n");
    expect(text).toContain('ada answered it with "abort" at 2023-');
    expect(text).toContain("not needed");
    expect(text).toContain("does not ask it any more");
  });
});

describe("what a sweep says", () => {
  const base = { v: 1, at: nowMs, item: "3f2a1b2c5d6e7f80" } as const;
  const plan = { levels: [{ to: ["bob"] }], onExpiry: { action: "abort" } };
  const swept = (what: string) => sweptText({ ...base, type: "inbox.swept", what: `inbox.${what}` }, item({ plan }));

  it("names what it did, the question and the people", () => {
    expect(swept("escalated")).toBe("escalated 3f2a1b2c of thread q3 to bob");
    expect(swept("reminded")).toBe("reminded bob of 3f2a1b2c of thread q3");
    expect(swept("expired")).toBe('did "abort" for 3f2a1b2c of thread q3');
    expect(swept("failed")).toContain("lgr inbox show 3f2a1b2c5d6e7f80");
    expect(swept("elsewhere")).toBeUndefined();
  });

  it("names the channels that told people, and those that could not", () => {
    const told = { ...base, event: "opened", channel: "slack" };
    expect(sweptText({ ...told, type: "inbox.notified" }, undefined)).toBe(
      "told of question 3f2a1b2c by slack (opened)",
    );
    const failed = { ...told, type: "inbox.notify_failed", message: "no\nroute", gaveUp: false } as const;
    expect(sweptText(failed, item())).toMatch(/by slack \(opened\); it is tried again later: no route$/);
  });

  it("sums it up", () => {
    expect(summaryText({ escalated: 1, reminded: 2, told: 1, untold: 0 })).toBe(
      "Swept: 2 reminded of, 1 escalated, 1 message sent.",
    );
    expect(summaryText({})).toBe("Nothing was due.");
  });

  it("says what it leaves to others", () => {
    expect(untoldText(1, 1000)).toMatch(/^1 question has news .* LGR_SMTP_URL/);
    expect(untoldText(1000, 1000)).toMatch(/^1000 or more questions have/);
    expect(leftText([item(), item({ graph: "other" }), item({ graph: "other" })], new Set(["report"]))).toEqual([
      "2 wait for a sweep that has the graph other, which langgraph.json does not name.",
    ]);
  });
});

describe("a run in a process that sweeps", () => {
  it("shows what is done about its questions, and not that they were looked at", () => {
    const lines: string[] = [];
    const report = consoleReporter({ write: (line) => lines.push(line.slice(line.indexOf("s") + 3)) });
    const base = { v: 1, at: nowMs, item: "3f2a1b2c5d6e7f80" } as const;
    for (const what of ["inbox.escalated", "inbox.looked", "inbox.expired"])
      report({ ...base, type: "inbox.swept", what });
    const told = { ...base, event: "opened", channel: "mail" };
    report({ ...told, type: "inbox.notified" });
    report({ ...told, type: "inbox.notify_failed", message: "Bearer hunter2hunter2", gaveUp: true });
    expect(lines).toEqual([
      "? question 3f2a1b2c was handed to the next level",
      "? question 3f2a1b2c was answered by its default action",
      "people were told of question 3f2a1b2c by mail (opened)",
      expect.stringMatching(/^✗ people could not be told of question 3f2a1b2c by mail .* not tried again: /),
    ]);
    expect(lines.join()).not.toContain("hunter2");
  });
});

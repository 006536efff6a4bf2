import { describe, expect, it } from "vitest";
import { NOTICE_EVENTS } from "../../../src/core/notice-ports.js";
import { noticeMessage } from "../../../src/notifications/notice-message.js";
import { slackMessage } from "../../../src/notifications/slack-blocks.js";
import { webhookPayload } from "../../../src/notifications/webhook-payload.js";
import { notice, OPENED_AT, STATE } from "./sample-notice.js";

const inSlack = (of = notice()) => JSON.stringify(slackMessage(of, () => undefined));

describe("the built-in words", () => {
  it("say what is asked, of whom, since when, until when, and how it can be answered", () => {
    const { subject, text } = noticeMessage(notice());
    expect(subject).toBe("Decision needed: charge in order-saga (order-42)");
    expect(text).toBe(
      [
        "A decision is needed",
        "",
        'Node "charge" failed after 3 attempts (network): connection refused',
        "",
        "Thread:           order-42",
        "Graph:            order-saga",
        "Node:             charge",
        "Waiting since:    2026-11-23 09:30 UTC (for 1 h 30 min)",
        "Until:            2026-11-23 13:30 UTC; then others are asked",
        "Level:            1 of 2",
        "Asked:            anna@example.com",
        "Suggested:        retry: The failure may have passed.",
        "Possible answers: retry, abort",
        "",
        "To see it and to answer:",
        "  npx lgr inbox show order-42",
        "",
        "https://console.example.com/inbox/1?a=1&b=2",
        "",
      ].join("\n"),
    );
  });

  it("say the same in HTML, with nothing that a name could open", () => {
    const { html } = noticeMessage(notice({ url: "https://x.example/?a=1&b=2" }, { thread: "<img src=x onerror=1>" }));
    expect(html).toContain("&lt;img src=x onerror=1&gt;");
    expect(html).not.toContain("<img");
    expect(html).toContain('<a href="https://x.example/?a=1&amp;b=2">');
  });

  it("make no link of what is no page", () => {
    const { html } = noticeMessage(notice({ url: "javascript:alert(1)" }));
    expect(html).not.toContain("href");
    expect(inSlack(notice({ url: "javascript:alert(1)" }))).not.toContain("<javascript");
  });

  it("say what comes when the last level's time is over", () => {
    expect(noticeMessage(notice({}, { level: 1 })).text).toContain('then it is answered with "abort"');
    expect(noticeMessage(notice({ event: "overdue" }, { level: 1 })).text).toMatch(/Was due: +2026-11-23 13:30 UTC\n/);
  });

  it("say who answered what, and ask nobody any more", () => {
    const resolution = { action: "retry", by: "anna", at: OPENED_AT, reason: "it was the network" };
    const { text, subject } = noticeMessage(notice({ event: "resolved" }, { state: "resolved", resolution }));
    expect(text).toContain("Decided\n");
    expect(text).toMatch(/Answer: +retry, by anna\nReason: +it was the network/);
    expect(text).not.toMatch(/Possible answers|Until|to answer/);
    expect(subject).toBe("Re: Decision needed: charge in order-saga (order-42)");
  });

  it("have a title of their own for each event, and for approvals", () => {
    const titles = NOTICE_EVENTS.map((event) => noticeMessage(notice({ event })).text.split("\n")[0]);
    expect(new Set(titles).size).toBe(NOTICE_EVENTS.length);
    expect(noticeMessage(notice({ event: "reminder" }, { kind: "approval" })).text).toMatch(
      /^Reminder: an approval is still needed\n/,
    );
  });

  it("hold nothing of the state, of effects and of attempts", () => {
    for (const event of NOTICE_EVENTS) {
      const onExpiry = { action: "provide", update: { customer: "Carla" } };
      const added = { answer: { update: { customer: "Carla" } }, plan: { levels: [{ to: [] }], onExpiry } };
      const of = notice({ event }, added as object);
      const { subject, text, html } = noticeMessage(of);
      const said = [subject, text, html, inSlack(of), JSON.stringify(webhookPayload(of))].join("\n");
      for (const secret of ["Carla", "4242", STATE.receipt, "gateway"]) expect(said).not.toContain(secret);
    }
  });

  it.each([null, undefined, "text", 7, { suggestion: "retry", actions: "all" }, { actions: [null, 1, {}] }])(
    "are found for any request, such as %j",
    (request) => {
      expect(noticeMessage(notice({}, { request })).text).toContain("order-42");
      expect(inSlack(notice({}, { request }))).toContain("order-42");
      expect(webhookPayload(notice({}, { request })).item.threadId).toBe(notice().item.threadId);
    },
  );

  it("shorten a huge summary, and show no secret in it", () => {
    const huge = notice({}, { summary: `password=hunter2hunter2 ${"<&> ".repeat(300_000)}` });
    const { text, html } = noticeMessage(huge);
    expect(text.length).toBeLessThan(4000);
    expect((html ?? "").length).toBeLessThan(15_000);
    expect(JSON.stringify(webhookPayload(huge)).length).toBeLessThan(10_000);
    expect(text + inSlack(huge) + JSON.stringify(webhookPayload(huge))).not.toContain("hunter2");
  });

  it("leave out a command that is too long, for half of it would be another", () => {
    const command = `npx lgr inbox show '${"x".repeat(3000)}'`;
    expect(noticeMessage(notice({ command })).text).not.toContain("npx");
  });
});

describe("in Slack", () => {
  const blocksOf = (of = notice(), people: Record<string, string> = {}) =>
    (slackMessage(of, (person) => people[person]).blocks ?? []) as { type: string; text: { text: string } }[];

  it("the three control characters are escaped, so that nobody is mentioned by a name", () => {
    const said = inSlack(notice({ to: ["<!channel>"] }, { summary: "a <!here> & b", thread: "<@U1>" }));
    expect(said).toContain("a &lt;!here&gt; &amp; b");
    expect(said).not.toMatch(/<[!@]/);
  });

  it("people are mentioned, and those without an ID are named", () => {
    const [, asked] = blocksOf(notice({ to: ["anna", "carl"] }), { anna: "<@U012ABC>" });
    expect(asked?.text.text).toBe("<@U012ABC> carl");
  });

  it("every text keeps to Slack's limits, however long what it says is", () => {
    const long = "<&>".repeat(20_000);
    const to = Array.from({ length: 900 }, (_, index) => `person-${index}`);
    const of = notice({ to, command: "`".repeat(2500), url: `https://x.example/${"y".repeat(9000)}` });
    const { text, blocks = [] } = slackMessage(
      { ...of, item: { ...of.item, summary: long, thread: long, node: long, graph: long } },
      () => "<@U012ABC>",
    );
    expect(text.length).toBeLessThanOrEqual(1000);
    expect(blocks.length).toBeLessThanOrEqual(50);
    for (const { type, text: inside } of blocks as { type: string; text: { text: string } }[]) {
      expect(inside.text.length).toBeGreaterThan(0);
      expect(inside.text.length).toBeLessThanOrEqual(type === "header" ? 150 : 3000);
      expect(inside.text).not.toMatch(/&(?!amp;|lt;|gt;)/);
    }
  });

  it("a command cannot end its block", () => {
    const block = blocksOf(notice({ command: "echo '```' *bold*" })).find(({ text }) => text.text.startsWith("```"));
    expect(block?.text.text.match(/```/g)).toHaveLength(2);
  });
});

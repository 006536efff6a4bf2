import type { Notice } from "../core/notice-ports.js";
import { noticeFacts } from "./notice-facts.js";
import { commandLabel, isLink } from "./notice-message.js";
import { oneLine, shorten } from "./plain-text.js";

/** What an incoming webhook takes: docs.slack.dev/messaging/sending-messages-using-incoming-webhooks. */
export interface SlackMessage {
  /** Shown in notifications, and where blocks cannot be shown. Slack's own markup. */
  readonly text: string;
  /** At most 50. */
  readonly blocks?: readonly object[] | undefined;
}

/** Characters: docs.slack.dev/reference/block-kit/blocks/section-block and /header-block. */
const MAX_SECTION = 3000;
const MAX_HEADER = 150;
/** docs.slack.dev/reference/block-kit/blocks: blocks of one message. */
export const MAX_BLOCKS = 50;
/** Of the fallback; Slack cuts at 40,000 and advises 4,000. */
const MAX_TEXT = 1000;

/** `anna` → `<@U012ABC>`, by the option `people`. */
export type Mention = (person: string) => string | undefined;

/** The built-in words. Mentions of those who are asked come first, so that Slack tells them. */
export function slackMessage(notice: Notice, mention: Mention): SlackMessage {
  const { title, topic, summary, rows, command, url } = noticeFacts(notice);
  const asked = notice.to.map((person) => mention(person) ?? escapeSlack(oneLine(person, 100), MAX_TEXT));
  const facts = rows
    .filter(([label]) => label !== "Asked")
    .map(([label, value]) => `*${label}:* ${escapeSlack(value, MAX_TEXT)}`);
  return {
    text: escapeSlack(`${title}: ${topic}`, MAX_TEXT),
    blocks: [
      { type: "header", text: { type: "plain_text", text: shorten(title, MAX_HEADER), emoji: false } },
      ...(asked.length === 0 ? [] : [section(whole(asked, " "))]),
      section(escapeSlack(summary, MAX_SECTION)),
      section(whole(facts, "\n")),
      ...(command === undefined
        ? []
        : [
            section(`${commandLabel(notice)}:`),
            section(`\`\`\`${escapeSlack(unfenced(command), MAX_SECTION - 6)}\`\`\``),
          ]),
      ...(url === undefined ? [] : [section(isLink(url) ? linkTo(url) : escapeSlack(url, MAX_SECTION))]),
    ],
  };
}

/** `verbatim`: what looks like a name of a channel or an address stays text. */
function section(text: string): object {
  return { type: "section", text: { type: "mrkdwn", text, verbatim: true } };
}

/** As many of the parts as there is room for: half a mention would be none. */
function whole(parts: readonly string[], separator: string): string {
  const shown: string[] = [];
  let length = 0;
  for (const part of parts) {
    length += part.length + separator.length;
    if (length > MAX_SECTION - 20) return [...shown, `and ${parts.length - shown.length} more`].join(separator);
    shown.push(part);
  }
  return shown.join(separator);
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };

/** Slack's three control characters, and no more: docs.slack.dev/messaging/formatting-message-text. At most `max` characters. */
function escapeSlack(text: string, max: number): string {
  const escaped = (one: string) => one.replace(/[&<>]/g, (character) => ENTITIES[character] ?? character);
  let plain = shorten(text, max);
  // Cut before it is escaped: half an entity would be shown as it stands.
  for (let over = escaped(plain).length - max; over > 0; over = escaped(plain).length - max)
    plain = shorten(plain, Math.max(1, plain.length - Math.ceil(over / 5)));
  return escaped(plain);
}

/** Three of them would end the block. */
function unfenced(command: string): string {
  return command.replaceAll("```", "`\u200b`\u200b`");
}

/** The characters that would end the address are written as a browser would. */
function linkTo(url: string): string {
  const { href } = new URL(url);
  return `<${escapeSlack(href.replaceAll("|", "%7C").replaceAll("<", "%3C").replaceAll(">", "%3E"), MAX_SECTION - 20)}|Open>`;
}

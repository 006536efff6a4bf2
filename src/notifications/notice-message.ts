import type { Notice } from "../core/notice-ports.js";
import { isOpen, type NoticeFacts, noticeFacts } from "./notice-facts.js";
import { escapeHtml } from "./plain-text.js";

/** A notice as a mail says it. */
export interface NoticeMessage {
  /** One line. */
  readonly subject: string;
  readonly text: string;
  /** The same with layout; without it the mail is plain text. */
  readonly html?: string | undefined;
}

/**
 * The built-in words. The subject is the same in all notices of one question, after "Re: " in later ones: mail programs
 * put together what has one subject.
 */
export function noticeMessage(notice: Notice): NoticeMessage {
  const facts = noticeFacts(notice);
  return {
    subject: `${notice.event === "opened" ? "" : "Re: "}${facts.topic}`,
    text: textOf(facts, commandLabel(notice)),
    html: htmlOf(facts, commandLabel(notice)),
  };
}

/** What the command of a notice is for. */
export function commandLabel(notice: Notice): string {
  return isOpen(notice) ? "To see it and to answer" : "To see it";
}

function textOf({ title, summary, rows, command, url }: NoticeFacts, label: string): string {
  const width = Math.max(...rows.map(([name]) => name.length)) + 2;
  return [
    title,
    "",
    summary,
    "",
    ...rows.map(([name, value]) => `${`${name}:`.padEnd(width)}${value}`),
    ...(command === undefined ? [] : ["", `${label}:`, `  ${command}`]),
    ...(url === undefined ? [] : ["", url]),
    "",
  ].join("\n");
}

function htmlOf({ title, summary, rows, command, url }: NoticeFacts, label: string): string {
  const row = ([name, value]: readonly [string, string]) =>
    `<tr><th align="left" valign="top" style="padding:2px 12px 2px 0">${escapeHtml(name)}</th><td>${escapeHtml(value)}</td></tr>`;
  return [
    '<!doctype html><html><body style="font-family:sans-serif;line-height:1.4">',
    `<h2>${escapeHtml(title)}</h2>`,
    `<p>${escapeHtml(summary)}</p>`,
    `<table cellspacing="0">${rows.map(row).join("")}</table>`,
    command === undefined
      ? ""
      : `<p>${label}:</p><pre style="background:#eee;padding:8px;white-space:pre-wrap">${escapeHtml(command)}</pre>`,
    url === undefined
      ? ""
      : `<p>${isLink(url) ? `<a href="${escapeHtml(url)}">${escapeHtml(url)}</a>` : escapeHtml(url)}</p>`,
    "</body></html>",
  ].join("\n");
}

/** What opens a page and does nothing else. */
export function isLink(url: string): boolean {
  return /^https?:\/\//i.test(url) && URL.canParse(url);
}

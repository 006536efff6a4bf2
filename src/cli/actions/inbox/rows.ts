/** Questions of the inbox as a table that fits the terminal. */
import type { InboxItem, InboxState } from "../../../core/inbox-ports.js";
import { table } from "../../table.js";
import { cut, dueText, forText, outcomeText, printable, shortIds, spanText, threadOf } from "./words.js";

interface Look {
  /** Of those shown. */
  readonly state: InboxState | "all";
  readonly nowMs: number;
  /** Characters of a line; Infinity: nothing is cut. */
  readonly width: number;
}

interface Column {
  readonly title: string;
  readonly cell: (item: InboxItem) => string;
  /** Is left out on a narrow terminal; the highest first. */
  readonly luxury?: number;
}

/** Characters of a name of others' choosing. */
const maxCell = 28;
/** A summary with less room says nothing. */
const minSummary = 30;
const gap = 2;

export function inboxTable(items: readonly InboxItem[], look: Look): string[] {
  const columns = fitting(columnsOf(items, look), items, look.width);
  const rows = items.map((item) => columns.map(({ cell }) => cell(item)));
  const lines = table(
    columns.map(({ title }) => title),
    rows,
  );
  return lines.map((line) => cut(line, Math.max(look.width, minSummary)));
}

function columnsOf(items: readonly InboxItem[], { state, nowMs }: Look): Column[] {
  const short = shortIds(items.map(({ id }) => id));
  const isOpen = ({ state: one }: InboxItem) => one === "pending";
  const due = (item: InboxItem) => (isOpen(item) ? dueText(item, nowMs) : "");
  const who = (item: InboxItem) => (isOpen(item) ? forText(item, nowMs) : outcomeText(item));
  const columns: Column[] = [
    { title: "ID", cell: ({ id }) => short.get(id) ?? id },
    { title: "AGE", cell: ({ openedAt }) => spanText(nowMs - openedAt) },
    ...(state === "all" ? [{ title: "STATE", cell: (item: InboxItem) => item.state }] : []),
    ...(state === "pending" || state === "all" ? [{ title: "DUE", cell: due }] : []),
    { title: "THREAD", cell: threadOf },
    { title: "GRAPH", cell: ({ graph = "?" }) => graph, luxury: 2 },
    { title: "NODE", cell: ({ node }) => node, luxury: 1 },
    { title: "KIND", cell: ({ kind }) => kind, luxury: 3 },
    { title: state === "pending" ? "FOR" : state === "all" ? "WHO" : "OUTCOME", cell: who },
  ];
  const narrow = columns.map((column) => ({
    ...column,
    cell: (item: InboxItem) => cut(printable(column.cell(item)), maxCell),
  }));
  return [...narrow, { title: "SUMMARY", cell: ({ summary }) => printable(summary) }];
}

/** Without the columns that leave no room for the summary. */
function fitting(columns: readonly Column[], items: readonly InboxItem[], width: number): readonly Column[] {
  const taken = columns
    .slice(0, -1)
    .map(({ title, cell }) => Math.max(title.length, ...items.map((item) => cell(item).length)) + gap)
    .reduce((sum, one) => sum + one, 0);
  const luxuries = columns.map(({ luxury = 0 }) => luxury);
  const most = Math.max(...luxuries);
  if (width - taken >= minSummary || most === 0) return columns;
  return fitting(
    columns.filter((_, at) => luxuries[at] !== most),
    items,
    width,
  );
}

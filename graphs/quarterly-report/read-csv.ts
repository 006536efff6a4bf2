import { readFile, stat } from "node:fs/promises";
import { CsvError, parse } from "csv-parse/sync";
import { InvalidInputError } from "langgraph-resilience";
import { COLUMN_NAMES, COLUMNS, type Column, type Quarter, quarterName } from "./figures.js";

const MAX_BYTES = 5 * 1024 * 1024;

interface Line {
  readonly record: Readonly<Record<string, string>>;
  readonly info: { readonly lines: number };
}

/**
 * Reads the quarters of a CSV file in the columns of the bundled one; others are ignored.
 *
 * @throws InvalidInputError naming the file, and line and column where there is one
 */
export async function readQuarters(path: string): Promise<Quarter[]> {
  const lines = parseLines(path, await readText(path));
  if (lines.length === 0) throw new InvalidInputError(`${path} has a header but no rows`, { details: { path } });
  const quarters = lines.map((line) => toQuarter(path, line));
  const seen = new Map<string, number>();
  for (const quarter of quarters) {
    const name = quarterName(quarter);
    const earlier = seen.get(name);
    if (earlier !== undefined)
      throw refused(path, quarter.line, "fiscal_quarter", `${name} is already in line ${earlier}`);
    seen.set(name, quarter.line);
  }
  return quarters;
}

async function readText(path: string): Promise<string> {
  let text: string;
  try {
    const { size } = await stat(path);
    if (size > MAX_BYTES)
      throw new InvalidInputError(`${path} has ${size} bytes; the limit is ${MAX_BYTES}`, { details: { path, size } });
    text = await readFile(path, "utf8");
  } catch (cause) {
    if (cause instanceof InvalidInputError) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    const why = code === "ENOENT" ? "there is no such file" : code === "EISDIR" ? "it is a folder" : message;
    throw new InvalidInputError(`${path} cannot be read: ${why}`, { cause, details: { path } });
  }
  if (text.trim() === "") throw new InvalidInputError(`${path} is empty`, { details: { path } });
  return text;
}

function parseLines(path: string, text: string): Line[] {
  try {
    return parse(text, {
      bom: true,
      columns: (header: string[]) => checkedHeader(path, header),
      info: true,
      skip_empty_lines: true,
      trim: true,
    }) as unknown as Line[];
  } catch (cause) {
    if (cause instanceof CsvError)
      throw new InvalidInputError(`${path} is not valid CSV: ${cause.message}`, { cause, details: { path } });
    throw cause;
  }
}

function checkedHeader(path: string, header: readonly string[]): string[] {
  const names = header.map((name) => name.toLowerCase());
  const missing = COLUMN_NAMES.filter((column) => !names.includes(column));
  if (missing.length > 0) {
    const found = names
      .slice(0, 20)
      .map((name) => name.slice(0, 40))
      .join(", ");
    throw new InvalidInputError(
      `${path} lacks the column${missing.length > 1 ? "s" : ""} ${missing.join(", ")}; its first line has: ${found}`,
      {
        details: { path, missing },
      },
    );
  }
  return names;
}

function toQuarter(path: string, { record, info }: Line): Quarter {
  const number = (column: Column) => {
    const cell = record[column] ?? "";
    if (!/^[+-]?\d+(\.\d+)?$/.test(cell))
      throw refused(path, info.lines, column, `${JSON.stringify(cell)} is not a number like 85777`);
    return Number(cell);
  };
  const values = Object.fromEntries(
    COLUMN_NAMES.filter((column) => column !== "period_end").map((column) => [COLUMNS[column], number(column)]),
  );
  const quarter = { ...values, periodEnd: record.period_end ?? "", line: info.lines } as unknown as Quarter;
  if (!Number.isInteger(quarter.fiscalYear))
    throw refused(path, info.lines, "fiscal_year", `${quarter.fiscalYear} is not a year like 2024`);
  if (![1, 2, 3, 4].includes(quarter.fiscalQuarter)) {
    throw refused(path, info.lines, "fiscal_quarter", `${quarter.fiscalQuarter} is not 1, 2, 3 or 4`);
  }
  if (!isIsoDate(quarter.periodEnd)) {
    throw refused(path, info.lines, "period_end", `${JSON.stringify(quarter.periodEnd)} is not a date like 2024-06-29`);
  }
  return quarter;
}

function isIsoDate(text: string): boolean {
  const date = new Date(`${text}T00:00:00Z`);
  return /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
}

function refused(path: string, line: number, column: Column, what: string): InvalidInputError {
  return new InvalidInputError(`${path}, line ${line}, column ${column}: ${what}`, { details: { path, line, column } });
}

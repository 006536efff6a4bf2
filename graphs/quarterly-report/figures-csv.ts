/** The figures as they stand in a prompt: written there by prompts.ts, read back by the offline analyst. */
import { COLUMN_NAMES, COLUMNS, type Figures, positionOf, type Quarter } from "./figures.js";

const HEADER = COLUMN_NAMES.join(",");

export function figuresCsv(history: readonly Quarter[]): string {
  const rows = history.map((quarter) => COLUMN_NAMES.map((column) => quarter[COLUMNS[column]]).join(","));
  return [HEADER, ...rows].join("\n");
}

/** @returns undefined when the text holds no such table, or not the quarters to compare with */
export function parseFiguresCsv(
  text: string,
): Pick<Figures, "current" | "yearAgo" | "previous" | "history"> | undefined {
  const start = text.indexOf(HEADER);
  if (start === -1) return undefined;
  const history: Quarter[] = [];
  for (const line of text.slice(start).split("\n").slice(1)) {
    const cells = line.trim().split(",");
    if (cells.length !== COLUMN_NAMES.length) break;
    const values = COLUMN_NAMES.map((column, index) => [
      COLUMNS[column],
      column === "period_end" ? cells[index] : Number(cells[index]),
    ]);
    history.push({ ...Object.fromEntries(values), line: history.length + 2 } as Quarter);
  }
  const current = history.at(-1);
  if (current === undefined) return undefined;
  const at = (position: number) => history.find((quarter) => positionOf(quarter) === position);
  const yearAgo = at(positionOf(current) - 4);
  const previous = at(positionOf(current) - 1);
  return yearAgo === undefined || previous === undefined ? undefined : { current, yearAgo, previous, history };
}

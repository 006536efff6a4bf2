import { basename, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { InvalidInputError } from "langgraph-resilience";
import { threadFolder } from "../artifacts.js";
import { type Figures, positionOf, type Quarter, quarterName, quarterRanges } from "../figures.js";
import { checkRecipients } from "../mail.js";
import { type QuarterContext, queryQuarter } from "../query-figures.js";
import { readQuarters } from "../read-csv.js";
import type { QuarterlyReport, Update } from "../state.js";

const BUNDLED = fileURLToPath(new URL("../data/apple-income-quarterly.csv", import.meta.url));

/** Reads the file into SQL tables and takes from them the quarter, the year-ago and the previous one, and the history. */
export async function extractFigures(state: QuarterlyReport, config: LangGraphRunnableConfig): Promise<Update> {
  checkRecipients(state.mailTo);
  // On the scale of positions a fifth quarter would be the first of the next year.
  if (![1, 2, 3, 4].includes(state.fiscalQuarter))
    throw new InvalidInputError(`fiscalQuarter: ${state.fiscalQuarter} is not 1, 2, 3 or 4`);
  const source = state.csv === undefined ? BUNDLED : resolve(state.csv);
  const company = state.company ?? (source === BUNDLED ? "Apple Inc." : basename(source));
  const quarters = await readQuarters(source);
  const found = complete(await queryQuarter(quarters, state), state, source, quarters);
  return { folder: threadFolder(state.outputDir, config), figures: { source, company, ...found } };
}

type Found = Pick<Figures, "current" | "yearAgo" | "previous" | "history">;

function complete(
  { current, yearAgo, previous, history }: QuarterContext,
  wanted: QuarterlyReport,
  source: string,
  quarters: readonly Quarter[],
): Found {
  if (current === undefined) {
    throw new InvalidInputError(`There is no ${quarterName(wanted)} in ${source}; it holds ${quarterRanges(quarters)}`);
  }
  if (yearAgo === undefined || previous === undefined) {
    const lacks = yearAgo === undefined ? "the quarter a year before it" : "the quarter before it";
    throw new InvalidInputError(
      `${quarterName(wanted)} cannot be reported: ${source} lacks ${lacks}; ${reportable(quarters)}`,
    );
  }
  return { current, yearAgo, previous, history: [...history] };
}

function reportable(quarters: readonly Quarter[]): string {
  const positions = new Set(quarters.map(positionOf));
  const possible = quarters.filter(
    (quarter) => positions.has(positionOf(quarter) - 4) && positions.has(positionOf(quarter) - 1),
  );
  return possible.length === 0 ? "no quarter in it can be" : `it can be done for ${quarterRanges(possible)}`;
}

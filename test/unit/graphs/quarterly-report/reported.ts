/** The bundled figures of a quarter, as the graph's first two steps make them, and a folder that goes with the test. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import type { Figures } from "../../../../graphs/quarterly-report/figures.js";
import type { Findings } from "../../../../graphs/quarterly-report/outliers.js";
import { cleanFigures } from "../../../../graphs/quarterly-report/steps/clean-figures.js";
import { extractFigures } from "../../../../graphs/quarterly-report/steps/extract-figures.js";

export const BUNDLED = fileURLToPath(
  new URL("../../../../graphs/quarterly-report/data/apple-income-quarterly.csv", import.meta.url),
);

export async function reported(
  fiscalYear: number,
  fiscalQuarter: number,
): Promise<{ figures: Figures; findings: Findings }> {
  const { figures } = await extractFigures({ fiscalYear, fiscalQuarter }, {});
  const { findings } = await cleanFigures({ fiscalYear, fiscalQuarter, figures });
  if (figures === undefined || findings === undefined) throw new Error("the steps wrote nothing");
  return { figures, findings };
}

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "quarterly-report-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

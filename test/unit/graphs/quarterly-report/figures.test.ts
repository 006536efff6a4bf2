/** From a CSV file to checked figures: what is read, and what is refused and how it is said. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { COLUMN_NAMES, type Quarter, quarterRanges, quarterSlug } from "../../../../graphs/quarterly-report/figures.js";
import { figuresCsv, parseFiguresCsv } from "../../../../graphs/quarterly-report/figures-csv.js";
import { queryQuarter } from "../../../../graphs/quarterly-report/query-figures.js";
import { readQuarters } from "../../../../graphs/quarterly-report/read-csv.js";
import { cleanFigures } from "../../../../graphs/quarterly-report/steps/clean-figures.js";
import { extractFigures } from "../../../../graphs/quarterly-report/steps/extract-figures.js";
import { classifyError } from "../../../../src/errors/classify.js";
import { BUNDLED, reported, temporaryFolder } from "./reported.js";

const HEADER = COLUMN_NAMES.join(",");
/** Six quarters that add up: 2022 Q3 to 2023 Q4. */
const ROWS = [
  "2022,3,2022-06-30,80,20,100,50,5,55,45",
  "2022,4,2022-09-30,90,20,110,55,5,60,50",
  "2023,1,2022-12-31,95,25,120,60,5,65,55",
  "2023,2,2023-03-31,85,25,110,50,6,56,54",
  "2023,3,2023-06-30,88,27,115,52,6,58,57",
  "2023,4,2023-09-30,99,31,130,60,7,67,63",
];
const csv = (rows: readonly string[] = ROWS, header = HEADER) => [header, ...rows, ""].join("\n");
const withRow = (index: number, row: string) => csv(ROWS.with(index, row));

async function fileOf(content: string | Uint8Array, name = "own.csv"): Promise<string> {
  const path = join(await temporaryFolder(), name);
  await writeFile(path, content);
  return path;
}

/** The first two steps, as the graph runs them. */
async function figuresOf(path: string, fiscalYear = 2023, fiscalQuarter = 3) {
  const extracted = await extractFigures({ fiscalYear, fiscalQuarter, csv: path }, {});
  const cleaned = await cleanFigures({ fiscalYear, fiscalQuarter, csv: path, ...extracted });
  return { ...extracted, ...cleaned };
}

describe("the bundled figures", () => {
  it("are read to the row: 24 quarters, each with its line", async () => {
    const quarters = await readQuarters(BUNDLED);
    expect(quarters).toHaveLength(24);
    expect(quarters[22]).toEqual({
      fiscalYear: 2024,
      fiscalQuarter: 3,
      periodEnd: "2024-06-29",
      productSales: 61564,
      serviceSales: 24213,
      netSales: 85777,
      productCost: 39803,
      serviceCost: 6296,
      costOfSales: 46099,
      grossMargin: 39678,
      line: 24,
    });
  });

  it("are queried by SQL with the year-ago quarter, the previous one and the history up to it", async () => {
    const { current, yearAgo, previous, history } = await queryQuarter(await readQuarters(BUNDLED), {
      fiscalYear: 2024,
      fiscalQuarter: 3,
    });
    expect(current).toMatchObject({ netSales: 85777, grossMargin: 39678, line: 24 });
    expect(yearAgo).toMatchObject({
      fiscalYear: 2023,
      fiscalQuarter: 3,
      netSales: 81797,
      serviceSales: 21213,
      line: 20,
    });
    expect(previous).toMatchObject({ fiscalYear: 2024, fiscalQuarter: 2, netSales: 90753, line: 23 });
    expect(history).toHaveLength(23);
    expect(history[0]).toMatchObject({ fiscalYear: 2019, fiscalQuarter: 1, netSales: 84310 });
    expect(history.at(-1)).toEqual(current);
  });

  it("of a first quarter compare with the last quarter of the year before", async () => {
    const { figures } = await reported(2023, 1);
    expect(figures.previous).toMatchObject({ fiscalYear: 2022, fiscalQuarter: 4, netSales: 90146 });
    expect(figures.yearAgo).toMatchObject({ fiscalYear: 2022, fiscalQuarter: 1, netSales: 123945 });
    expect(figures.history).toHaveLength(17);
  });

  it("are Apple's, and their sums hold", async () => {
    const { figures, findings } = await reported(2024, 3);
    expect(figures).toMatchObject({ company: "Apple Inc.", source: BUNDLED });
    expect(findings.quartersChecked).toBe(23);
  });
});

describe("a file of one's own with the same columns", () => {
  it("gives its figures, and its name to the company", async () => {
    const path = await fileOf(csv());
    const { figures } = await figuresOf(path);
    expect(figures).toMatchObject({
      source: path,
      company: "own.csv",
      current: { netSales: 115 },
      yearAgo: { netSales: 100 },
      previous: { netSales: 110 },
    });
    expect(figures?.history).toHaveLength(5);
  });

  it("may have its rows and columns in any order, further columns, a byte order mark, CRLF, blank lines and spaces", async () => {
    const shuffled = ROWS.map((row) => `x, ${row} `).reverse();
    const path = await fileOf(
      `\uFEFF\r\n${csv(shuffled, `note,${HEADER.toUpperCase()}`).replaceAll("\n", "\r\n\r\n")}`,
    );
    const { figures } = await figuresOf(path);
    expect(figures).toMatchObject({ current: { netSales: 115, periodEnd: "2023-06-30" }, yearAgo: { netSales: 100 } });
    expect(figures?.history.map(({ fiscalQuarter }) => fiscalQuarter)).toEqual([3, 4, 1, 2, 3]);
  });

  it("may be off by the one million that rounding takes", async () => {
    expect(
      (await figuresOf(await fileOf(withRow(4, "2023,3,2023-06-30,88,27,116,52,6,58,57")))).figures?.current.netSales,
    ).toBe(116);
  });

  it("keeps a history of six years at most", async () => {
    const rows = Array.from(
      { length: 30 },
      (_, index) => `${2000 + Math.floor(index / 4)},${(index % 4) + 1},2001-01-01,80,20,100,50,5,55,45`,
    );
    const { figures } = await figuresOf(await fileOf(csv(rows)), 2007, 2);
    expect(figures?.history).toHaveLength(24);
    expect(figures?.history[0]).toMatchObject({ fiscalYear: 2001, fiscalQuarter: 3 });
  });
});

describe("bad input is refused with what is wrong, where, and what would do", () => {
  const file = (content: string | Uint8Array) => () => fileOf(content);
  const rows: readonly (readonly [
    what: string,
    path: () => Promise<string>,
    message: RegExp,
    quarter?: readonly [number, number],
  ])[] = [
    [
      "a missing file",
      async () => join(await temporaryFolder(), "none.csv"),
      /none\.csv cannot be read: there is no such file/,
    ],
    ["a folder", temporaryFolder, /quarterly-report-\w+ cannot be read: it is a folder/],
    ["an empty file", file(""), /own\.csv is empty/],
    ["a file of blanks", file(" \n\n"), /own\.csv is empty/],
    ["a header without rows", file(`${HEADER}\n`), /own\.csv has a header but no rows/],
    [
      "a file beyond 5 MB",
      file(new Uint8Array(5 * 1024 * 1024 + 1)),
      /own\.csv has 5242881 bytes; the limit is 5242880/,
    ],
    [
      "a missing column",
      file(csv(ROWS, HEADER.replace("net_sales", "revenue"))),
      /own\.csv lacks the column net_sales; its first line has: .*revenue/,
    ],
    [
      "two missing columns",
      file(
        "fiscal_year,fiscal_quarter,period_end,product_sales,service_sales,net_sales,product_cost,service_cost\n1,1,1,1,1,1,1,1",
      ),
      /lacks the columns cost_of_sales, gross_margin/,
    ],
    ["a row that is too short", file(withRow(1, "2022,4,2022-09-30,90")), /own\.csv is not valid CSV: .*line 3/i],
    ["an open quote", file(withRow(1, '2022,4,"2022-09-30,90,20,110,55,5,60,50')), /own\.csv is not valid CSV/],
    [
      "a cell that is no number",
      file(withRow(2, "2023,1,2022-12-31,95,25,n/a,60,5,65,55")),
      /own\.csv, line 4, column net_sales: "n\/a" is not a number like 85777/,
    ],
    [
      "an empty cell",
      file(withRow(2, "2023,1,2022-12-31,,25,120,60,5,65,55")),
      /own\.csv, line 4, column product_sales: "" is not a number/,
    ],
    [
      "a number with separators",
      file(withRow(2, '2023,1,2022-12-31,"9,500",25,120,60,5,65,55')),
      /line 4, column product_sales: "9,500" is not a number/,
    ],
    [
      "a year that is none",
      file(withRow(0, "2022.5,3,2022-06-30,80,20,100,50,5,55,45")),
      /line 2, column fiscal_year: 2022\.5 is not a year like 2024/,
    ],
    [
      "a fifth quarter in the file",
      file(withRow(0, "2022,5,2022-06-30,80,20,100,50,5,55,45")),
      /line 2, column fiscal_quarter: 5 is not 1, 2, 3 or 4/,
    ],
    [
      "a day that is none",
      file(withRow(0, "2022,3,2022-06-31,80,20,100,50,5,55,45")),
      /line 2, column period_end: "2022-06-31" is not a date like 2024-06-29/,
    ],
    [
      "a quarter twice",
      file(csv([...ROWS, ROWS[1] ?? ""])),
      /own\.csv, line 8, column fiscal_quarter: 2022 Q4 is already in line 3/,
    ],
    [
      "net sales that do not add up",
      file(withRow(4, "2023,3,2023-06-30,88,27,1117,52,6,58,57")),
      /own\.csv, line 6 \(2023 Q3\), column net_sales: 1,117 is not product_sales \+ service_sales, which is 115/,
    ],
    [
      "cost of sales that does not add up",
      file(withRow(0, "2022,3,2022-06-30,80,20,100,50,5,57,43")),
      /line 2 \(2022 Q3\), column cost_of_sales: 57 is not product_cost \+ service_cost, which is 55/,
    ],
    [
      "a gross margin that does not add up",
      file(withRow(0, "2022,3,2022-06-30,80,20,100,50,5,55,40")),
      /line 2 \(2022 Q3\), column gross_margin: 40 is not net_sales − cost_of_sales, which is 45/,
    ],
    [
      "a quarter without sales",
      file(withRow(0, "2022,3,2022-06-30,0,0,0,0,0,0,0")),
      /line 2 \(2022 Q3\), column net_sales: 0 must be above 0/,
    ],
    ["no such quarter", file(csv()), /There is no 2031 Q3 in .*own\.csv; it holds 2022 Q3 to 2023 Q4/, [2031, 3]],
    [
      "no year-ago quarter",
      file(csv()),
      /2023 Q2 cannot be reported: .*own\.csv lacks the quarter a year before it; it can be done for 2023 Q3 to 2023 Q4/,
      [2023, 2],
    ],
    [
      "no previous quarter",
      file(csv(ROWS.toSpliced(3, 1))),
      /2023 Q3 cannot be reported: .* lacks the quarter before it; it can be done for 2023 Q4/,
      [2023, 3],
    ],
    [
      "no quarter that could be reported",
      file(csv(ROWS.slice(0, 2))),
      /2022 Q4 cannot be reported: .*; no quarter in it can be/,
      [2022, 4],
    ],
    ["a fifth quarter asked for", file(csv()), /fiscalQuarter: 5 is not 1, 2, 3 or 4/, [2022, 5]],
    ["quarter 0 asked for", file(csv()), /fiscalQuarter: 0 is not 1, 2, 3 or 4/, [2024, 0]],
  ];
  const cases = rows.map(([what, path, message, quarter = [2023, 3] as const]) => ({ what, path, message, quarter }));
  it.each(cases)("$what", async ({ path, message, quarter }) => {
    const error: unknown = await figuresOf(await path(), ...quarter).then(
      () => "was accepted",
      (thrown: unknown) => thrown,
    );
    expect(classifyError(error)).toMatchObject({
      category: "invalid_input",
      retryable: false,
      message: expect.stringMatching(message),
    });
  });

  it("a path that leads through a file", async () => {
    const path = join(await temporaryFolder(), "own.csv", "below.csv");
    await mkdir(join(path, ".."), { recursive: true });
    await writeFile(path, csv());
    const error: unknown = await figuresOf(join(path, "x.csv")).catch((thrown: unknown) => thrown);
    expect(classifyError(error)).toMatchObject({
      category: "invalid_input",
      message: expect.stringContaining("cannot be read: ENOTDIR"),
    });
  });
});

describe("the table of figures in a prompt", () => {
  it("is read back as it was written, whatever stands around it", async () => {
    const { figures } = await reported(2024, 3);
    const parsed = parseFiguresCsv(
      `Analyze this:\n${figuresCsv(figures.history)}\n\nUnusual quarters:\n- none, really, none`,
    );
    const unnumbered = ({ line: _line, ...quarter }: Quarter) => quarter;
    expect(parsed?.history.map(unnumbered)).toEqual(figures.history.map(unnumbered));
    expect(parsed && unnumbered(parsed.yearAgo)).toEqual(unnumbered(figures.yearAgo));
    expect(parsed?.previous.netSales).toBe(90753);
  });

  it("is none without a header, rows, or the quarters to compare with", async () => {
    const rows = (await readFile(BUNDLED, "utf8")).trim().split("\n");
    expect(parseFiguresCsv("no table")).toBeUndefined();
    expect(parseFiguresCsv(HEADER)).toBeUndefined();
    expect(parseFiguresCsv([HEADER, ...rows.slice(-4)].join("\n"))).toBeUndefined();
    expect(parseFiguresCsv([HEADER, ...rows.slice(-5)].join("\n"))?.current.netSales).toBe(94930);
  });
});

it("names quarters for people and for files", () => {
  const quarters = [
    [2022, 2],
    [2019, 4],
    [2020, 1],
    [2020, 2],
  ].map(([fiscalYear = 0, fiscalQuarter = 0]) => ({ fiscalYear, fiscalQuarter }));
  expect(quarterRanges(quarters)).toBe("2019 Q4 to 2020 Q2, 2022 Q2");
  expect(quarterRanges([])).toBe("");
  expect(quarterSlug({ fiscalYear: 2024, fiscalQuarter: 3 })).toBe("2024-Q3");
});

import { InvalidInputError } from "langgraph-resilience";
import type { Column, Quarter } from "../figures.js";
import { quarterName } from "../figures.js";
import { findOutliers, METHOD } from "../outliers.js";
import { money } from "../prose.js";
import { present, type QuarterlyReport, type Update } from "../state.js";

/** Filings round each line to a whole million, so a sum may be off by one. */
const ROUNDING = 1;

const SUMS: readonly {
  readonly column: Column;
  readonly rule: string;
  readonly of: (quarter: Quarter) => { stated: number; computed: number };
}[] = [
  {
    column: "net_sales",
    rule: "product_sales + service_sales",
    of: (q) => ({ stated: q.netSales, computed: q.productSales + q.serviceSales }),
  },
  {
    column: "cost_of_sales",
    rule: "product_cost + service_cost",
    of: (q) => ({ stated: q.costOfSales, computed: q.productCost + q.serviceCost }),
  },
  {
    column: "gross_margin",
    rule: "net_sales − cost_of_sales",
    of: (q) => ({ stated: q.grossMargin, computed: q.netSales - q.costOfSales }),
  },
];

/** Refuses figures that do not add up, and reports quarters that are unlike the others. Outliers stay in: they are real. */
export async function cleanFigures(state: QuarterlyReport): Promise<Update> {
  const { history, current, source } = present(state, "figures");
  for (const quarter of history) checkSums(source, quarter);
  return { findings: { quartersChecked: history.length, method: METHOD, ...findOutliers(history, current) } };
}

function checkSums(source: string, quarter: Quarter): void {
  const where = (column: Column) => `${source}, line ${quarter.line} (${quarterName(quarter)}), column ${column}`;
  for (const { column, rule, of } of SUMS) {
    const { stated, computed } = of(quarter);
    if (Math.abs(stated - computed) <= ROUNDING) continue;
    throw new InvalidInputError(`${where(column)}: ${money(stated)} is not ${rule}, which is ${money(computed)}`, {
      details: { line: quarter.line, column, stated, computed },
    });
  }
  if (quarter.netSales <= 0)
    throw new InvalidInputError(`${where("net_sales")}: ${money(quarter.netSales)} must be above 0`);
}

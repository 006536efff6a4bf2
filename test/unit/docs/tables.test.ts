/** The tables of the guides say what the schemas and the matrix say. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import type { z } from "zod";
import { CATEGORIES, CATEGORY_POLICIES, type Category, type NextRung } from "../../../src/errors/categories.js";
import { middlewareSchema } from "../../../src/langgraph/middleware/options.js";
import { toolPolicySchema } from "../../../src/langgraph/middleware/tool-options.js";
import { resilientModelSchema, routeSchema } from "../../../src/langgraph/model/model-options.js";
import { resilientSchema } from "../../../src/langgraph/resilient-options.js";
import { retentionSchema } from "../../../src/persistence/retention/retention-options.js";
import { breakerSchema } from "../../../src/policies/breaker/breaker-options.js";
import { budgetSchema } from "../../../src/policies/budget.js";
import { bulkheadSchema } from "../../../src/policies/bulkhead.js";
import { cacheSchema } from "../../../src/policies/cache.js";
import { isolatedSchema } from "../../../src/policies/isolated-options.js";
import { rateLimitSchema } from "../../../src/policies/rate-limit.js";
import { retryBudgetSchema } from "../../../src/policies/retry-budget.js";
import { retrySchema } from "../../../src/policies/retry-options.js";
import { serviceSchema } from "../../../src/policies/service.js";
import { timeoutSchema } from "../../../src/policies/timeout.js";
import { markdownPages } from "./markdown-pages.js";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const pages = markdownPages(root);

type Row = readonly string[];

/** The rows of the table right after a mark `<!-- options: retry -->`, without its head. */
function tablesMarked(mark: string): { where: string; name: string; rows: readonly Row[] }[] {
  return pages.flatMap(({ page, markdown }) => {
    const lines = markdown.split("\n");
    return lines.flatMap((line, index) => {
      const name = new RegExp(`^<!-- ${mark}:? ?(\\w*) -->$`).exec(line)?.[1];
      if (name === undefined) return [];
      const end = lines.findIndex((one, at) => at > index && !one.startsWith("|"));
      return [{ where: `${page}:${index + 1}`, name, rows: lines.slice(index + 3, end).map(cells) }];
    });
  });
}

function cells(line: string): Row {
  return line
    .split(/(?<!\\)\|/)
    .slice(1, -1)
    .map((cell) => cell.trim());
}

/** The names in a cell: `a`, or `a`, `b` where several options share a row. */
const namesIn = (cell = "") => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name ?? "");

const schemas: Readonly<Record<string, { readonly shape: Readonly<Record<string, z.ZodType>> }>> = {
  retry: retrySchema,
  retryBudget: retryBudgetSchema,
  timeout: timeoutSchema,
  service: serviceSchema,
  circuitBreaker: breakerSchema,
  bulkhead: bulkheadSchema,
  rateLimit: rateLimitSchema,
  cache: cacheSchema,
  budget: budgetSchema,
  isolated: isolatedSchema,
  resilient: resilientSchema,
  model: resilientModelSchema,
  route: routeSchema,
  middleware: middlewareSchema,
  tool: toolPolicySchema,
  retention: retentionSchema,
};

/** How a table shows the default of an option. */
function defaultOf(schema: z.ZodType): string {
  const parsed = schema.safeParse(undefined);
  return parsed.success ? shown(parsed.data) : "required";
}

function shown(value: unknown): string {
  switch (typeof value) {
    case "undefined":
      return "none";
    case "boolean":
      return value ? "`true`" : "off";
    case "number":
      return value < 10_000 ? String(value) : String(value).replace(/\B(?=(\d{3})+$)/g, " ");
    case "string":
      return `\`${value}\``;
    case "function":
      return "the system's";
    case "object":
      return shownObject(value as object);
    default:
      throw new Error(`No table shows a ${typeof value}`);
  }
}

function shownObject(value: object): string {
  if ("now" in value) return "the system's";
  if (Object.keys(value).length === 0) return "none";
  if (!Array.isArray(value)) return "on";
  return value.every((one) => typeof one === "string")
    ? value.map((one) => `\`${one}\``).join(", ")
    : `\`${JSON.stringify(value)}\``;
}

const optionTables = tablesMarked("options");

describe("a table of options", () => {
  it.each(optionTables.filter(({ name }) => name in schemas))("is that of the schema: $where", ({ name, rows }) => {
    const shape = schemas[name]?.shape ?? {};
    const documented = rows.flatMap(([option, value]) => namesIn(option).map((one) => [one, value]));
    const given = Object.entries(shape).map(([option, schema]) => [option, defaultOf(schema)]);
    expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(given));
  });

  it("of a fallback step names its options and their defaults", () => {
    const step = resilientSchema.parse({ fallback: [{ name: "other", run: () => ({}) }] }).fallback[0];
    const table = optionTables.find(({ name }) => name === "fallback");
    const documented = Object.fromEntries(
      table?.rows.flatMap(([option, value]) => namesIn(option).map((one) => [one, value])) ?? [],
    );
    expect(documented).toMatchObject({
      name: "required",
      run: "required",
      retry: shown((step as { retry: false }).retry),
    });
    const all = Object.fromEntries(Object.keys(documented).map((option) => [option, undefined]));
    expect(() => resilientSchema.parse({ fallback: [{ ...all, name: "other", run: () => ({}) }] })).not.toThrow();
  });

  it("is there for every policy", () => {
    expect(optionTables.map(({ name }) => name).sort()).toEqual([...Object.keys(schemas), "fallback"].sort());
  });
});

const next: Readonly<Record<NextRung, string>> = {
  fallback: "fallback",
  declared_fallback: "fallback that names it",
  human: "person",
  fail: "the run fails",
  stop: "the run stops",
};

function waitsOf(category: Category): string {
  const { retries, backoff, initialDelayMs } = CATEGORY_POLICIES[category];
  if (retries === 0) return "";
  if (backoff === "none") return "none";
  return Array.from({ length: retries }, (_, index) => `${(initialDelayMs * 2 ** index) / 1000} s`).join(", ");
}

describe("the matrix of the rungs", () => {
  it("is that of the code, category by category", () => {
    const counts = new Set<Category>(breakerSchema.parse({}).counts);
    const [matrix] = tablesMarked("matrix");
    const documented = matrix?.rows.map((row) => row.slice(0, 5)) ?? [];
    const given = CATEGORIES.map((category) => [
      `\`${category}\``,
      String(CATEGORY_POLICIES[category].retries),
      waitsOf(category),
      counts.has(category) ? "yes" : "no",
      next[CATEGORY_POLICIES[category].next],
    ]);
    const byName = (rows: readonly Row[]) => [...rows].sort(([a = ""], [b = ""]) => (a < b ? -1 : 1));
    expect(byName(documented)).toEqual(byName(given));
  });
});

describe("the table of errors", () => {
  it("has every code that errors of ours carry", () => {
    const sources = ["own-errors", "policy-errors", "persistence-errors"].map((name) =>
      readFileSync(join(root, `src/errors/${name}.ts`), "utf8"),
    );
    const codes = sources.flatMap((source) => [
      ...[...source.matchAll(/"([A-Z]+(?:_[A-Z]+)*)"/g)].map(([, code]) => code ?? ""),
      ...[...source.matchAll(/^ {2}([A-Z]+(?:_[A-Z]+)+): "/gm)].map(([, code]) => code ?? ""),
    ]);
    const { markdown = "" } = pages.find(({ page }) => page === "docs/errors.md") ?? {};
    expect(codes).toContain("CIRCUIT_OPEN");
    expect(codes.filter((code) => !markdown.includes(`\`${code}\``))).toEqual([]);
  });
});

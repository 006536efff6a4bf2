import { fileURLToPath } from "node:url";
import { defineConfig, type TestProjectInlineConfiguration } from "vitest/config";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Starts a PostgreSQL for the tests that want one, or says that there is none. */
const postgresServer = "test/support/postgres-server.ts";
/** Compiles what tests start in processes of their own. */
const compiled = "test/support/compiled.ts";
/** Makes the embedded Postgres that tests begin with. */
const embeddedTemplate = "test/support/embedded-template.ts";

interface Kind {
  /** Projects of one group run together, groups one after the other. */
  readonly group: number;
  readonly timeoutMs?: number;
  readonly usesPostgres?: boolean;
  readonly startsProcesses?: boolean;
  /** The validation suite of LangGraph expects `describe` and `it` as globals. */
  readonly globals?: boolean;
  /** Default: the folder of test/ that it is named after. */
  readonly folders?: string;
  readonly exclude?: readonly string[];
}

/** Tests that talk HTTP to servers of their own, and to nothing else. */
const HTTP = "integration/{models,langchain,notifications,provider}";

const kinds: Record<string, Kind> = {
  unit: { group: 0 },
  property: { group: 0 },
  contract: { group: 1, usesPostgres: true, globals: true },
  integration: { group: 1, usesPostgres: true, startsProcesses: true, exclude: [`test/${HTTP}/**`] },
  http: { group: 1, folders: HTTP },
  crash: { group: 1, usesPostgres: true, startsProcesses: true, timeoutMs: 240_000 },
  e2e: { group: 1, usesPostgres: true, startsProcesses: true, timeoutMs: 120_000 },
};

const projects = Object.entries(kinds).map(
  ([name, kind]): TestProjectInlineConfiguration => ({
    extends: true,
    test: {
      name,
      include: [`test/${kind.folders ?? name}/**/*.test.ts`],
      exclude: [...(kind.exclude ?? [])],
      // The files of a project share two processes, which load LangChain once and not for each file: they leave nothing behind.
      isolate: false,
      globals: kind.globals === true,
      globalSetup: [
        ...(kind.startsProcesses ? [compiled] : []),
        ...(kind.usesPostgres ? [postgresServer, embeddedTemplate] : []),
      ],
      testTimeout: kind.timeoutMs ?? 30_000,
      hookTimeout: kind.timeoutMs ?? 60_000,
      maxWorkers: 2,
      sequence: { groupOrder: kind.group },
    },
  }),
);

const report = process.env.LGR_TEST_REPORT;

export default defineConfig({
  resolve: {
    // the paths of tsconfig.json: the package's own name stands for its sources
    alias: [
      { find: /^langgraph-resilience$/, replacement: here("src/index.ts") },
      { find: /^langgraph-resilience\/nodes$/, replacement: here("nodes/index.ts") },
      { find: /^langgraph-resilience\/(.+)$/, replacement: `${here("src/entries")}/$1.ts` },
    ],
  },
  test: {
    projects,
    pool: "forks",
    // Each project transforms the sources by itself; by this only the first one does, and of a later run those that changed.
    experimental: { fsModuleCache: true },
    reporters: report === undefined ? ["default"] : ["default", ["json", { outputFile: report }]],
  },
});

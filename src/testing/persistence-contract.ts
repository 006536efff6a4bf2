/** The suite that every persistence plugin passes. */
import { z } from "zod";
import { parseOptions } from "../core/options.js";
import type { Persistence } from "../core/ports.js";
import { attemptCases } from "./attempt-cases.js";
import { auditCases } from "./audit-cases.js";
import { cacheCases } from "./cache-cases.js";
import { checkpointCases } from "./checkpoint-cases.js";
import type { Contract } from "./contract.js";
import { effectCases } from "./effect-cases.js";
import { equals } from "./expectations.js";
import { graphCases } from "./graph-cases.js";
import { inboxCases } from "./inbox-cases.js";
import { lockCases } from "./lock-cases.js";
import { reopenCases } from "./reopen-cases.js";
import { storeCases } from "./store-cases.js";
import { streamCases } from "./stream-cases.js";
import { threadCases } from "./thread-cases.js";
import { versionedCases } from "./versioned-cases.js";
import { writeCases } from "./write-cases.js";

interface NestedTests {
  describe(name: string, body: () => void): unknown;
  it(name: string, body: () => Promise<void>): unknown;
}

/** As vitest and jest call them. */
interface HooksOfAll {
  beforeAll(body: () => Promise<void>): unknown;
  afterAll(body: () => Promise<void>): unknown;
}

/** As node:test and mocha call them. */
interface Hooks {
  before(body: () => Promise<void>): unknown;
  after(body: () => Promise<void>): unknown;
}

/** What the cases are registered with: `import * as test from "vitest"`, `"node:test"` or `"@jest/globals"`. */
export type TestFunctions = NestedTests & (HooksOfAll | Hooks);

/** Stores that a plugin may have beside checkpoints, threads and LangGraph's long-term store. */
const optionalStores = ["attempts", "audit", "breakers", "cache", "inbox", "ledger", "locks", "streams"] as const;

export type OptionalStore = (typeof optionalStores)[number];

const casesOf: Record<OptionalStore, (contract: Contract) => void> = {
  attempts: attemptCases,
  audit: auditCases,
  breakers: versionedCases,
  cache: cacheCases,
  inbox: inboxCases,
  ledger: effectCases,
  locks: lockCases,
  streams: streamCases,
};

export interface PersistenceContractOptions {
  /** Of the plugin, for the names of the tests. */
  readonly name: string;
  /** Gives what is tested. Called once, before the first case; what it finds there already does not matter. */
  readonly open: () => Persistence | Promise<Persistence>;
  /**
   * Opens once more what `open` gave, while that is open still, for a plugin that keeps what it is told longer than the
   * process; default none, then nothing is tested that needs it.
   */
  readonly reopen?: () => Persistence | Promise<Persistence>;
  /** Called after the last case; default calls its `close()`. */
  readonly close?: (persistence: Persistence) => void | Promise<void>;
  /** The optional stores that the plugin has; default none. It must have these and no others. */
  readonly stores?: readonly OptionalStore[];
  /** The functions of the test runner, which stays the caller's own choice. */
  readonly test: TestFunctions;
}

const aFunction = <T>() => z.custom<T>((given) => typeof given === "function", "expected a function");

const schema = z.object({
  name: z.string().min(1),
  open: aFunction<PersistenceContractOptions["open"]>(),
  reopen: aFunction<() => Persistence | Promise<Persistence>>().optional(),
  close: aFunction<(persistence: Persistence) => void | Promise<void>>().default(
    () => (one: Persistence) => one.close(),
  ),
  stores: z.array(z.enum(optionalStores)).readonly().default([]),
  test: z.custom<TestFunctions>(
    isTestFunctions,
    "expected describe and it, with beforeAll and afterAll or with before and after",
  ),
});

/**
 * Registers the cases that every persistence plugin must pass, to run under vitest, node:test, jest or mocha. They use
 * threads and keys of their own, and delete none of others. Beside them run LangGraph's suite for checkpointers, the
 * package `@langchain/langgraph-checkpoint-validation`: what it covers is here only in small part.
 *
 * @throws ConfigError naming the option at fault
 */
export function persistenceContract(options: PersistenceContractOptions): void {
  const { name, open, reopen, close, stores, test } = parseOptions("persistenceContract", schema, options);
  let persistence: Persistence | undefined;
  const contract: Contract = {
    describe: (title, body) => void test.describe(title, body),
    it: (title, body) => void test.it(title, body),
    opened() {
      if (persistence === undefined) throw new Error(`${name} could not be opened, see the error of the hook before`);
      return persistence;
    },
  };

  test.describe(`persistence contract: ${name}`, () => {
    const { before, after } = hooksOf(test);
    before(async () => {
      persistence = await open();
      await persistence.ready();
    });
    after(async () => {
      if (persistence !== undefined) await close(persistence);
    });

    test.it("has the stores that the suite was told of", async () => {
      const has = optionalStores.filter((store) => contract.opened()[store] !== undefined);
      equals(has, [...stores].sort(), `The plugin's optional stores and the option "stores" of the suite differ`);
    });

    checkpointCases(contract);
    writeCases(contract);
    threadCases(contract);
    graphCases(contract);
    storeCases(contract);
    for (const store of stores) casesOf[store](contract);
    if (reopen !== undefined) reopenCases(contract, async () => reopen());
  });
}

function hooksOf(test: TestFunctions): Hooks {
  return "before" in test ? test : { before: (body) => test.beforeAll(body), after: (body) => test.afterAll(body) };
}

function isTestFunctions(given: unknown): given is TestFunctions {
  const functions = (given ?? {}) as Record<string, unknown>;
  const has = (...names: string[]) => names.every((one) => typeof functions[one] === "function");
  return has("describe", "it") && (has("beforeAll", "afterAll") || has("before", "after"));
}

import { execFileSync } from "node:child_process";
import { resolve } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { databaseOf } from "../../../src/cli/database.js";
import { requestLines } from "../../../src/cli/request-text.js";
import { shellQuote } from "../../../src/core/shell-quote.js";
import { interventionRequest } from "../../../src/recovery/intervention-request.js";

describe("a printed command", () => {
  const nasty = ["my thread; rm -rf x", "it's", "$(id)", "`id`", "a\nb", "--as", "", "q3", "ä b"];

  it.each(nasty)("gives a shell the word %j as it is", (word) => {
    expect(execFileSync("sh", ["-c", `printf %s ${shellQuote(word)}`]).toString()).toBe(word);
  });

  it("can be pasted, whatever the thread and the fallback are called", () => {
    const report = { category: "network", retryable: true, message: "reset" } as const;
    const failure = {
      v: 1,
      node: "n",
      input: {},
      report,
      attempts: [],
      fallbacks: ["do less"],
      decisions: [],
    } as const;
    const request = interventionRequest(failure, ["retry", "fallback"], { threadName: "a b" });
    expect(request.resumeCommand).toBe("npx lgr resume 'a b' --action retry");
    const lines = requestLines({ id: "0123456789", node: "h", value: request, request }, "a b", true).join("\n");
    expect(lines).toContain("lgr resume 'a b' --action fallback --step 'do less' --question 01234567");
  });

  it("is preceded by what the thread did outside, without secrets", () => {
    const effects = [
      {
        effect: "mail",
        state: "confirmed",
        node: "pay",
        key: "0123456789ab",
        at: "T",
        receipt: { apiToken: "hunter2" },
      },
      { effect: "charge", state: "unknown", node: "pay", key: "ba9876543210", at: "U" },
    ] as const;
    const request = {
      ...interventionRequest(
        {
          v: 1,
          node: "n",
          input: {},
          report: { category: "network", retryable: true, message: "" },
          attempts: [],
          fallbacks: [],
          decisions: [],
        },
        ["retry"],
        {},
      ),
      effects,
    };
    const lines = requestLines({ id: "x", node: "h", value: request, request }, "t", false);
    const from = lines.indexOf("What was done outside:");
    expect(lines.slice(from + 1, from + 3)).toEqual([
      '  T  confirmed: mail of pay (0123456789ab): {"apiToken":"[redacted]"}',
      "  U  unknown: charge of pay (ba9876543210)",
    ]);
  });

  it("hides secrets of a question that is the graph's own", () => {
    const [line] = requestLines({ id: "x", node: "n", value: { password: "hunter2" } }, "t", false);
    expect(line).not.toContain("hunter2");
  });
});

describe("the database of a project", () => {
  const project = { directory: "/project", graphs: {} };
  const before = process.env.DATABASE_URL;
  afterEach(() => {
    if (before === undefined) delete process.env.DATABASE_URL;
    else process.env.DATABASE_URL = before;
  });

  it("lies in the project's folder, wherever lgr is called from", () => {
    delete process.env.DATABASE_URL;
    expect(databaseOf(project, {})).toBe("pglite:/project/.lgr/pglite");
    process.env.DATABASE_URL = "pglite:data";
    expect(databaseOf(project, {})).toBe("pglite:/project/data");
  });

  it("is relative to where lgr is called when the command line names it", () => {
    expect(databaseOf(project, { db: "pglite:data" })).toBe(`pglite:${resolve("data")}`);
  });

  it.each(["pglite:/abs/data", "pglite:memory", "memory:", "postgres://u@h/db"])("is %s as it stands", (db) => {
    expect(databaseOf(project, { db })).toBe(db);
  });
});

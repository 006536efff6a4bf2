/** Errors of the language, the system, the database, the mail server and LangGraph, and things that are no errors. */
import { access, readFile, writeFile } from "node:fs/promises";
import * as core from "@langchain/core/errors";
import { Annotation, END, NodeTimeoutError, START, StateGraph } from "@langchain/langgraph";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { CATEGORIES, type Category } from "../../../src/errors/categories.js";
import { classifyError } from "../../../src/errors/classify.js";
import {
  AttemptTimeoutError,
  CancelledError,
  ConfigError,
  InjectedFaultError,
  InvalidInputError,
  MalformedOutputError,
  NonErrorThrown,
  OwnedElsewhereError,
  RunAbortedError,
  ThreadError,
} from "../../../src/errors/own-errors.js";

async function thrownBy(work: () => unknown): Promise<unknown> {
  try {
    await work();
  } catch (error) {
    return error;
  }
  throw new Error("expected a failure");
}

const reached = new Set<Category>();
async function categoryOf(work: () => unknown): Promise<Category> {
  const { category } = classifyError(await thrownBy(work));
  reached.add(category);
  return category;
}
const fail = (error: unknown) => () => {
  throw error;
};
const withCode = (code: string, more: object = {}) =>
  fail(Object.assign(new Error(`failed with ${code}`), { code, ...more }));
const postgres = (code: string) => withCode(code, { severity: "ERROR", routine: "exec" });
const smtp = (responseCode: number, code = "EENVELOPE") => withCode(code, { responseCode, command: "RCPT TO" });

const endless = () =>
  new StateGraph(Annotation.Root({ n: Annotation<number> }))
    .addNode("loop", ({ n }) => ({ n: n + 1 }))
    .addEdge(START, "loop")
    .addConditionalEdges("loop", ({ n }) => (n < 0 ? END : "loop"))
    .compile();
const slowNode = () =>
  new StateGraph(Annotation.Root({ n: Annotation<number> }))
    .addNode("slow", () => new Promise(() => {}), { timeout: { runTimeout: 10 } })
    .addEdge(START, "slow")
    .compile();

type Row = readonly [what: string, failing: () => unknown, category: Category];

const language: readonly Row[] = [
  ["a TypeError of the user's code", () => (undefined as unknown as { x: number }).x, "bug"],
  ["a RangeError", () => new Array(-1), "bug"],
  ["a ReferenceError", fail(new ReferenceError("x is not defined")), "bug"],
  ["JSON.parse of half a document", () => JSON.parse('{"a": '), "malformed_output"],
  ["JSON.parse of no JSON", () => JSON.parse("Sure! Here is"), "malformed_output"],
  ["a ZodError", () => z.object({ a: z.string() }).parse({ a: 1 }), "invalid_input"],
  [
    "AbortSignal.timeout",
    async () =>
      new Promise((_, no) =>
        AbortSignal.timeout(1).addEventListener("abort", function (this: AbortSignal) {
          no(this.reason);
        }),
      ),
    "timeout",
  ],
  ["AbortController.abort", () => AbortSignal.abort().throwIfAborted(), "cancelled"],
  ["an import of a package that is not installed", () => import(`no-such-package-${"x"}`), "environment"],
];

const system: readonly Row[] = [
  ["a missing file", () => readFile("/no/such/file"), "not_found"],
  ["a path through a file", () => readFile("/etc/hostname/x"), "not_found"],
  ["a directory that is no file", () => writeFile("/no-such-folder/x", ""), "not_found"],
  ["EACCES", withCode("EACCES"), "permission"],
  ["EPERM", withCode("EPERM"), "permission"],
  ["ENOSPC", withCode("ENOSPC"), "environment"],
  ["ENOMEM", withCode("ENOMEM"), "environment"],
  ["EMFILE", withCode("EMFILE"), "environment"],
  ["ECONNRESET", withCode("ECONNRESET"), "network"],
  ["EPIPE", withCode("EPIPE"), "network"],
  ["EAI_AGAIN", withCode("EAI_AGAIN"), "network"],
  ["ETIMEDOUT", withCode("ETIMEDOUT"), "timeout"],
  ["UND_ERR_HEADERS_TIMEOUT", withCode("UND_ERR_HEADERS_TIMEOUT"), "timeout"],
  ["UND_ERR_SOCKET", withCode("UND_ERR_SOCKET"), "network"],
  ["ERR_ACCESS_DENIED of the permission model", withCode("ERR_ACCESS_DENIED"), "permission"],
  ["a TLS handshake that breaks off", withCode("ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE"), "network"],
  ["UND_ERR_ABORTED", withCode("UND_ERR_ABORTED"), "cancelled"],
  ["407 of a proxy", fail({ status: 407, message: "Proxy Authentication Required" }), "auth"],
  ["a host name that the certificate lacks", withCode("HOSTNAME_MISMATCH"), "environment"],
  ["an expired certificate", withCode("CERT_HAS_EXPIRED"), "environment"],
  ["socket hang up, in words only", fail(new Error("socket hang up")), "network"],
];

const database: readonly Row[] = [
  ["40001 serialization failure", postgres("40001"), "conflict"],
  ["40P01 deadlock", postgres("40P01"), "conflict"],
  ["55P03 lock not available", postgres("55P03"), "conflict"],
  ["57P01 terminated by the administrator", postgres("57P01"), "network"],
  ["08006 connection failure", postgres("08006"), "network"],
  ["53300 too many connections", postgres("53300"), "server_error"],
  ["53100 disk full", postgres("53100"), "environment"],
  ["57014 statement timeout", postgres("57014"), "timeout"],
  ["42601 syntax error", postgres("42601"), "invalid_input"],
  ["42501 insufficient privilege", postgres("42501"), "permission"],
  ["22P02 invalid text", postgres("22P02"), "invalid_input"],
  ["23505 unique violation", postgres("23505"), "conflict"],
  ["25P04 transaction timeout", postgres("25P04"), "timeout"],
  ["57P03 not yet ready", postgres("57P03"), "network"],
  ["57P04 database dropped", postgres("57P04"), "environment"],
  ["02000 no data", postgres("02000"), "not_found"],
  ["XX001 data corrupted", postgres("XX001"), "environment"],
  ["XX000 internal error", postgres("XX000"), "server_error"],
  ["58030 input and output", postgres("58030"), "server_error"],
  [
    "53100 disk full of a fork that writes its class in a wrapper",
    fail(new Error("x", { cause: { code: "53100" } })),
    "environment",
  ],
  ["28P01 wrong password", postgres("28P01"), "auth"],
];

const mail: readonly Row[] = [
  ["EAUTH", withCode("EAUTH", { responseCode: 535 }), "auth"],
  ["454 temporary login failure", withCode("EAUTH", { responseCode: 454 }), "server_error"],
  ["ENOAUTH", withCode("ENOAUTH"), "auth"],
  ["EREQUIRETLS", withCode("EREQUIRETLS"), "environment"],
  ["421 service not available", smtp(421, "ECONNECTION"), "server_error"],
  ["451 local error", smtp(451), "server_error"],
  ["550 no such mailbox", smtp(550), "invalid_input"],
  ["no recipients", withCode("EENVELOPE"), "invalid_input"],
  ["ESOCKET", withCode("ESOCKET"), "network"],
  ["ESOCKET over a certificate", withCode("ESOCKET", { originalCode: "CERT_HAS_EXPIRED" }), "environment"],
];

const langgraph: readonly Row[] = [
  ["GraphRecursionError of a looping graph", () => endless().invoke({ n: 0 }, { recursionLimit: 5 }), "stuck"],
  ["NodeTimeoutError of a slow node", () => slowNode().invoke({ n: 0 }), "timeout"],
  ["GraphDrained by name", fail(Object.assign(new Error("drained"), { name: "GraphDrained" })), "cancelled"],
  ["ToolException by name", fail(Object.assign(new Error("tool failed"), { name: "ToolException" })), "tool_execution"],
  [
    "ToolInvocationError around a tool's own error",
    fail(
      Object.assign(new Error("tool failed"), { name: "ToolInvocationError", toolError: new Error("no such seat") }),
    ),
    "tool_execution",
  ],
  [
    "ToolInvocationError around a service that is busy",
    fail(
      Object.assign(new Error("tool failed"), {
        name: "ToolInvocationError",
        toolError: Object.assign(new Error("busy"), { status: 503 }),
      }),
    ),
    "server_error",
  ],
  // LangChain 1.3 has no such class.
  ...("ModelRefusalError" in core
    ? [["ModelRefusalError", fail(new core.ModelRefusalError()), "content_policy"] as const]
    : []),
  ["ModelAbortError", fail(new core.ModelAbortError("stopped")), "cancelled"],
  ["ContextOverflowError", fail(new core.ContextOverflowError()), "context_length"],
];

const own: readonly Row[] = [
  ["AttemptTimeoutError", fail(new AttemptTimeoutError("Node", 5)), "timeout"],
  ["MalformedOutputError", fail(new MalformedOutputError("half a table")), "malformed_output"],
  ["InvalidInputError", fail(new InvalidInputError("no such quarter")), "invalid_input"],
  ["ConfigError", fail(new ConfigError("wrong option")), "invalid_input"],
  ["ThreadError THREAD_NOT_FOUND", fail(new ThreadError("THREAD_NOT_FOUND", "nothing stored")), "not_found"],
  ["CancelledError", fail(new CancelledError("stop")), "cancelled"],
  ["RunAbortedError", fail(new RunAbortedError("n", "ann", "")), "cancelled"],
  ["OwnedElsewhereError", fail(new OwnedElsewhereError("folder in use")), "environment"],
  ...CATEGORIES.map(
    (category): Row => [`InjectedFaultError ${category}`, fail(new InjectedFaultError("n", category)), category],
  ),
];

const things: readonly Row[] = [
  ["a string", fail("boom"), "unknown"],
  ["a string that says what it is", fail("429 Too Many Requests"), "rate_limit"],
  ["undefined", fail(undefined), "unknown"],
  ["null", fail(null), "unknown"],
  ["a number", fail(7), "unknown"],
  ["a symbol", fail(Symbol("s")), "unknown"],
  ["a function", fail(() => 1), "unknown"],
  ["a bigint", fail(7n), "unknown"],
  ["true", fail(true), "unknown"],
  ["an array", fail([new Error("x")]), "unknown"],
  ["a frozen object", fail(Object.freeze({ status: 503 })), "server_error"],
  ["a frozen error", fail(Object.freeze(new TypeError("x"))), "bug"],
  ["a date", fail(new Date(0)), "unknown"],
  ["an empty object", fail({}), "unknown"],
  ["a plain Error", fail(new Error("something odd")), "unknown"],
];

function tail(): Error {
  const inner = Object.assign(new Error("inner"), { code: "ECONNRESET" });
  const outer = new Error("outer", { cause: new Error("middle", { cause: inner }) });
  return Object.assign(inner, { cause: outer });
}

const chains: readonly Row[] = [
  [
    "a wrapper around a network cause",
    fail(new Error("step failed", { cause: Object.assign(new Error("read"), { code: "ECONNRESET" }) })),
    "network",
  ],
  [
    "a TypeError around a network cause",
    fail(new TypeError("fetch failed", { cause: Object.assign(new Error("dns"), { code: "ENOTFOUND" }) })),
    "network",
  ],
  [
    "our MalformedOutputError around a ZodError",
    fail(new MalformedOutputError("no table", { cause: z.string().safeParse(1).error })),
    "malformed_output",
  ],
  [
    "our InvalidInputError around a missing file",
    fail(new InvalidInputError("no such CSV", { cause: Object.assign(new Error("x"), { code: "ENOENT" }) })),
    "invalid_input",
  ],
  [
    "a typed cause below words that say otherwise",
    fail(new Error("rate limit?", { cause: Object.assign(new Error("x"), { status: 503 }) })),
    "server_error",
  ],
  [
    "an AggregateError of connection attempts",
    fail(
      new AggregateError(
        [
          Object.assign(new Error("::1"), { code: "ECONNREFUSED" }),
          Object.assign(new Error("127.0.0.1"), { code: "ECONNREFUSED" }),
        ],
        "all failed",
      ),
    ),
    "network",
  ],
  [
    "a SuppressedError: what failed first, and what failed while cleaning up",
    fail(
      Object.assign(new Error("an error was suppressed"), {
        name: "SuppressedError",
        error: new Error("could not close"),
        suppressed: Object.assign(new Error("busy"), { status: 429 }),
      }),
    ),
    "rate_limit",
  ],
  [
    "an error of Anthropic's client",
    fail(Object.assign(new Error("x"), { error: { type: "error", error: { type: "overloaded_error" } } })),
    "server_error",
  ],
  ["a chain that bites its tail", fail(tail()), "network"],
  ["a thrown plain object with a status", fail({ status: 503, message: "busy" }), "server_error"],
  ["Discord's 40001 unauthorized", fail({ status: 401, code: 40001, message: "Unauthorized" }), "auth"],
  ["Discord's 40003 opening too fast", fail({ status: 400, code: 40003, message: "Too fast" }), "invalid_input"],
  ["a status and five digits as text", fail({ status: 401, code: "40001", message: "Unauthorized" }), "auth"],
  ["five digits as a number, without a status", fail({ code: 40001, message: "odd" }), "unknown"],
  ["a SQLSTATE without severity, as PGlite or PostgREST tell it", fail({ code: "40001", message: "x" }), "conflict"],
  [
    "an axios-like error",
    fail(Object.assign(new Error("Request failed"), { response: { status: 429, headers: { "Retry-After": "3" } } })),
    "rate_limit",
  ],
];

const readBack: readonly Row[] = [
  ["TimeoutError", fail({ name: "TimeoutError", message: "The operation was aborted due to timeout" }), "timeout"],
  ["ZodError", fail({ name: "ZodError", message: "[]" }), "invalid_input"],
  ["TypeError", fail({ name: "TypeError", message: "x is not a function" }), "bug"],
  ["GraphRecursionError", fail({ name: "GraphRecursionError", message: "Recursion limit" }), "stuck"],
  [
    "Error with the status in its words",
    fail({ name: "Error", message: "503 The engine is overloaded" }),
    "server_error",
  ],
  ["AbortError", fail({ name: "AbortError", message: "aborted" }), "cancelled"],
  ["AttemptTimeoutError", fail({ name: "AttemptTimeoutError", message: "it was slow" }), "timeout"],
  ["OwnedElsewhereError", fail({ name: "OwnedElsewhereError", message: "taken" }), "environment"],
  ["BudgetExceededError", fail({ name: "BudgetExceededError", message: "spent" }), "quota"],
  [
    "APIConnectionError of a client that names its errors",
    fail({ name: "APIConnectionError", message: "x" }),
    "network",
  ],
  ["NodeInterrupt", fail({ name: "NodeInterrupt", message: "[]" }), "cancelled"],
  ["InsufficientQuotaError", fail({ name: "InsufficientQuotaError", message: "429 No credit" }), "quota"],
  ["RateLimitCapacityError", fail({ name: "RateLimitCapacityError", message: "slow down" }), "rate_limit"],
];

/** Name and message as clients and servers write them, with nothing else left. */
const words: readonly (readonly [message: string, category: Category])[] = [
  ["Request was aborted.", "cancelled"],
  ["This operation was aborted", "cancelled"],
  ["Aborted", "cancelled"],
  ["The operation was aborted due to timeout", "timeout"],
  ["429 You exceeded your current quota, please check your plan and billing details.", "quota"],
  ["429 Rate limit reached for gpt-4.1", "rate_limit"],
  ["Too many tokens, please wait before trying again.", "rate_limit"],
  ["400 This model's maximum context length is 8192 tokens", "context_length"],
  ["400 prompt is too long: 210000 tokens > 200000 maximum", "context_length"],
  ["400 filtered by the content management policy", "content_policy"],
  ["404 The model `gpt-9` does not exist or you do not have access to it.", "model_unavailable"],
  ["Request failed with status code 503", "server_error"],
  ["HTTP 401", "auth"],
  ["Response status: 403", "permission"],
  ["Request timed out.", "timeout"],
  ["Query read timeout", "timeout"],
  ["timeout exceeded when trying to connect", "timeout"],
  ["canceling statement due to lock timeout", "conflict"],
  ["self-signed certificate in certificate chain", "environment"],
  ["certificate has expired", "environment"],
  ["sorry, too many clients already", "server_error"],
  ["Connection terminated unexpectedly", "network"],
  ["Client was closed and is not queryable", "network"],
  ["other side closed", "network"],
  ["FATAL: terminating connection due to administrator command", "network"],
  ["Error: 3 things went wrong", "unknown"],
  ["We serve 500 customers", "unknown"],
  ["Could not parse response content as the length limit was reached", "malformed_output"],
  ["JavaScript heap out of memory", "environment"],
  ["upstream connect error: Service Unavailable", "server_error"],
  ["Access denied", "permission"],
];

describe.each([
  ["of the language", language],
  ["of the system", system],
  ["of PostgreSQL", database],
  ["of a mail server", mail],
  ["of LangGraph", langgraph],
  ["of our own", own],
  ["that is none", things],
  ["in a chain", chains],
  ["read back from a checkpoint", readBack],
] as const)("an error %s", (_, rows) => {
  it.each(rows)("%s", async (_what, failing, category) => {
    expect(await categoryOf(failing)).toBe(category);
  });
});

describe("an error of which only words are left", () => {
  it.each(words)("%j is %s", (message, category) => {
    expect(classifyError({ name: "Error", message }).category).toBe(category);
  });
});

it("every category is reached by some error", async () => {
  for (const [, failing] of [...language, ...system, ...database, ...langgraph, ...own.slice(0, 8)])
    await categoryOf(failing);
  await categoryOf(fail({ status: 429, message: "slow down" }));
  await categoryOf(fail({ code: "insufficient_quota" }));
  await categoryOf(fail({ code: "model_not_found" }));
  await categoryOf(fail({ code: "context_length_exceeded" }));
  await categoryOf(fail({ code: "content_filter" }));
  await categoryOf(fail(new Error("odd")));
  expect([...CATEGORIES].filter((category) => !reached.has(category))).toEqual([]);
});

describe("the report", () => {
  it("of a NodeTimeoutError made by hand agrees with LangGraph's own", () => {
    expect(classifyError(Object.assign(new Error("late"), { name: NodeTimeoutError.name })).category).toBe("timeout");
  });

  it("survives JSON unchanged", () => {
    const error = new Error("outer", { cause: Object.assign(new Error("inner"), { code: "ECONNRESET" }) });
    const report = classifyError(error);
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
    expect(report.cause).toEqual(["Error: inner"]);
  });

  it("waits as a provider's answer asks that was thrown without an error around it", () => {
    const answer = { error: { message: "Please try again in 2s.", type: "requests", code: "rate_limit_exceeded" } };
    expect(classifyError(answer)).toEqual({
      category: "rate_limit",
      retryable: true,
      code: "rate_limit_exceeded",
      retryAfterMs: 2000,
      message: "Please try again in 2s.",
    });
  });

  it("ends at a cause that is its own cause", () => {
    const error = new Error("round") as Error & { cause?: unknown };
    error.cause = error;
    expect(classifyError(error)).toMatchObject({ category: "unknown", message: "round" });
  });

  it("of what is wrapped as NonErrorThrown sees the thrown value", () => {
    expect(classifyError(new NonErrorThrown({ status: 503 })).category).toBe("server_error");
    const round: Record<string, unknown> = {};
    round.self = round;
    expect(new NonErrorThrown(round).message).toContain("object");
  });

  it("reads SMTP and SQL codes together with who said them", () => {
    expect(classifyError({ code: "40001", severity: "ERROR", message: "could not serialize" })).toMatchObject({
      code: "40001",
      provider: "postgres",
    });
    expect(classifyError({ code: "EENVELOPE", responseCode: 550, message: "no" })).toMatchObject({ provider: "smtp" });
  });

  it("does not take a five-letter errno for a SQLSTATE", () => {
    expect(
      classifyError(Object.assign(new Error("argument list too long"), { code: "E2BIG", errno: -7 })).provider,
    ).toBeUndefined();
  });

  it("gives a failed attempt's words where the outermost are vague", async () => {
    expect(classifyError(new Error("Connection error.", { cause: new Error("getaddrinfo ENOTFOUND x") })).message).toBe(
      "Connection error.: getaddrinfo ENOTFOUND x",
    );
    await expect(access("/no/such")).rejects.toThrow();
  });
});

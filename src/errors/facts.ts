/**
 * The typed facts of an error: what classification may rely on. Read without trusting shape or prototype,
 * because errors come from other packages, other realms and, as plain objects, from checkpoints.
 */
import { isCategory } from "./categories.js";
import { isControlFlow } from "./control-flow.js";
import { field, isList, number, object, printed, prototypeOf, text } from "./reading.js";
import { retryAfterMsOf } from "./retry-after.js";

export interface ErrorFacts {
  /** `name` and class names up to Error; several libraries set only one of them. */
  readonly names: readonly string[];
  readonly message: string;
  /** HTTP status. */
  readonly status?: number;
  /** SMTP reply code, as nodemailer reports it. */
  readonly smtpStatus?: number;
  /** Provider code, errno or own code as a string; LangChain's label where there is nothing more specific. */
  readonly code?: string;
  /** LangChain's `lc_error_code`, such as "MODEL_NOT_FOUND". It labels by status alone, so it is coarser than `code`. */
  readonly langchainCode?: string;
  /** Provider's error type, such as "insufficient_quota" or "overloaded_error". */
  readonly type?: string;
  readonly sqlState?: string;
  readonly provider?: string;
  readonly retryAfterMs?: number;
  /** A category the error carries itself: our own errors and reports read back from a checkpoint. */
  readonly category?: string;
  /** Whether a retry can help, where the error says so itself. */
  readonly retryable?: boolean;
  /** LangGraph's interrupts, drains and commands to a parent graph: no failures at all. */
  readonly controlFlow?: true;
}

/** No real cause chain is this deep; a longer one is a cycle made by hand. */
const MAX_LINKS = 16;

/**
 * The facts of the error and of everything beneath it, outermost first. Cycles end the walk.
 *
 * Beneath an error are its `cause`, the `errors` of an AggregateError, the `error` and `suppressed` of a
 * SuppressedError (TC39 explicit resource management) and the `toolError` of LangChain's ToolInvocationError.
 */
export function factsOf(error: unknown): readonly ErrorFacts[] {
  const chain: ErrorFacts[] = [];
  const seen = new Set<unknown>();
  const visit = (link: unknown): void => {
    if (link === undefined || link === null || seen.has(link) || chain.length >= MAX_LINKS) return;
    seen.add(link);
    chain.push(readFacts(link));
    if (typeof link !== "object") return;
    const cause = field(link, "cause");
    // A report keeps its causes as a list of words.
    if (isList(cause)) for (const one of list(cause)) visit(one);
    else visit(cause);
    for (const key of ["toolError", "error", "suppressed"]) {
      const beneath = field(link, key);
      if (isErrorLike(beneath)) visit(beneath);
    }
    if (!isZodLike(link)) for (const one of list(field(link, "errors"))) visit(one);
  };
  visit(error);
  return chain;
}

function readFacts(thrown: unknown): ErrorFacts {
  if (typeof thrown !== "object" || thrown === null) {
    const message = printed(thrown);
    const retryAfterMs = retryAfterMsOf({ message });
    return { names: [typeof thrown], message, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
  }
  const link: object = thrown;
  const body = bodyOf(link);
  const names = namesOf(link);
  const category = text(field(link, "category"));
  const retryable = field(link, "retryable");
  const langchainCode = text(field(link, "lc_error_code"));
  const code = codeOf(link, body, names) ?? langchainCode;
  const status =
    httpStatus(field(link, "status")) ??
    httpStatus(field(link, "statusCode")) ??
    httpStatus(field(object(field(link, "response")), "status"));
  const sqlState = sqlStateOf(link, body, status !== undefined || isCategory(category));
  const smtpStatus = number(field(link, "responseCode"));
  const message = withoutLink(text(field(link, "message")) ?? text(field(body, "message")) ?? "");
  const retryAfterMs = retryAfterMsOf(link) ?? retryAfterMsOf({ message });
  const provider = providerOf(link, names, sqlState, smtpStatus);
  const type = text(field(link, "type")) ?? text(field(body, "type"));
  return {
    names,
    message,
    ...(status === undefined ? {} : { status }),
    ...(smtpStatus === undefined ? {} : { smtpStatus }),
    ...(code === undefined ? {} : { code }),
    ...(langchainCode === undefined ? {} : { langchainCode }),
    ...(type === undefined ? {} : { type }),
    ...(sqlState === undefined ? {} : { sqlState }),
    ...(provider === undefined ? {} : { provider }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(category === undefined ? {} : { category }),
    ...(typeof retryable === "boolean" ? { retryable } : {}),
    ...(isControlFlow(link) ? { controlFlow: true as const } : {}),
  };
}

/** LangChain and LangGraph end their messages in a link to their manuals, whose address is full of telling words. */
function withoutLink(message: string): string {
  const link = message.lastIndexOf("Troubleshooting URL: http");
  return link === -1 ? message : message.slice(0, link).trimEnd();
}

/** What the provider answered: `error` of an OpenAI error, and the `error` within that of an Anthropic one. */
function bodyOf(link: object): object | undefined {
  const body = field(link, "error");
  if (isErrorLike(body)) return undefined;
  return object(field(body, "error")) ?? object(body);
}

function namesOf(link: object): string[] {
  const names = new Set<string>();
  const name = text(field(link, "name"));
  if (name !== undefined) names.add(name);
  let proto = prototypeOf(link);
  for (let level = 0; level < MAX_LINKS && proto !== null && proto !== Object.prototype; level += 1) {
    const constructorName = text(field(object(field(proto, "constructor")), "name"));
    if (constructorName === "Error") break;
    if (constructorName !== undefined) names.add(constructorName);
    proto = prototypeOf(proto);
  }
  return [...names];
}

/**
 * The most specific code: nodemailer keeps the errno it replaces by a code of its own as `originalCode`. A DOMException
 * numbers its kinds (20 is an abort), which its name says better.
 */
function codeOf(link: object, body: object | undefined, names: readonly string[]): string | undefined {
  const code = field(link, "code");
  return (
    text(field(link, "originalCode")) ??
    (names.includes("DOMException") ? text(code) : codeText(code)) ??
    codeText(field(body, "code"))
  );
}

/** The classes PostgreSQL knows: documentation, appendix A. */
const SQLSTATE = /^(?:0[0-9A-Z]|[1-5]\d|2[BDF]|3[BDF]|72|F0|HV|P0|XX)[0-9A-Z]{3}$/;

/**
 * node-postgres puts the SQLSTATE into `code`, as text; only its errors also name a severity or a routine. Providers of
 * HTTP APIs number their errors with five digits too, as Discord does: theirs are numbers, or come with a status.
 */
function sqlStateOf(link: object, body: object | undefined, saysMore: boolean): string | undefined {
  const code = text(field(link, "code")) ?? text(field(body, "code"));
  if (code === undefined || !SQLSTATE.test(code)) return undefined;
  const fromPostgres = field(link, "severity") !== undefined || field(link, "routine") !== undefined;
  return fromPostgres || (!saysMore && field(link, "errno") === undefined) ? code : undefined;
}

function providerOf(
  link: object,
  names: readonly string[],
  sqlState: string | undefined,
  smtpStatus: number | undefined,
): string | undefined {
  const stated = text(field(link, "provider"));
  if (stated !== undefined) return stated;
  if (sqlState !== undefined) return "postgres";
  if (smtpStatus !== undefined) return "smtp";
  const openAi = names.some((name) => /^(OpenAIError|APIError)$/.test(name)) || field(link, "requestID") !== undefined;
  return openAi ? "openai" : undefined;
}

function isZodLike(link: object): boolean {
  return isList(field(link, "issues"));
}

/** Only errors have a stack; what a provider answered has none. */
function isErrorLike(value: unknown): boolean {
  return typeof value === "object" && typeof field(value, "stack") === "string";
}

/** The first elements: no more are looked at than a chain may have links. */
function list(value: unknown): readonly unknown[] {
  return isList(value) ? Array.from({ length: MAX_LINKS }, (_, index) => field(value, String(index))) : [];
}

function codeText(value: unknown): string | undefined {
  return typeof value === "number" ? String(value) : text(value);
}

function httpStatus(value: unknown): number | undefined {
  const status = typeof value === "string" ? Number(value) : number(value);
  return status !== undefined && Number.isInteger(status) && status >= 100 && status <= 599 ? status : undefined;
}

/**
 * The typed facts of an error: what classification may rely on. Read without trusting shape or prototype,
 * because errors come from other packages, other realms and, as plain objects, from checkpoints.
 */
import { retryAfterMsOf } from "./retry-after.js";

export interface ErrorFacts {
  /** `name` and class names up to Error; several libraries set only one of them. */
  readonly names: readonly string[];
  readonly message: string;
  /** HTTP status. */
  readonly status?: number;
  /** SMTP reply code, as nodemailer reports it. */
  readonly smtpStatus?: number;
  /** Provider code, errno or own code: whatever `code` holds, as a string. */
  readonly code?: string;
  /** Provider's error type, such as "insufficient_quota" or "overloaded_error". */
  readonly type?: string;
  readonly sqlState?: string;
  readonly provider?: string;
  readonly retryAfterMs?: number;
  /** A category the error carries itself: our own errors and reports read back from a checkpoint. */
  readonly category?: string;
}

/** No real cause chain is this deep; a longer one is a cycle made by hand. */
const MAX_LINKS = 16;

/** The facts of the error and of everything beneath it, outermost first. Cycles end the walk. */
export function factsOf(error: unknown): readonly ErrorFacts[] {
  const chain: ErrorFacts[] = [];
  const seen = new Set<unknown>();
  const visit = (link: unknown): void => {
    if (link === undefined || link === null || seen.has(link) || chain.length >= MAX_LINKS) return;
    seen.add(link);
    chain.push(readFacts(link));
    if (typeof link !== "object") return;
    visit(field(link, "cause"));
    const several = isZodLike(link) ? [] : list(field(link, "errors"));
    for (const one of several) visit(one);
  };
  visit(error);
  return chain;
}

function readFacts(link: unknown): ErrorFacts {
  if (typeof link !== "object" || link === null) return { names: [typeof link], message: printed(link) };
  const body = object(field(link, "error"));
  const response = object(field(link, "response"));
  const names = namesOf(link);
  const code = text(field(link, "lc_error_code")) ?? codeText(field(link, "code")) ?? codeText(field(body, "code"));
  const status =
    httpStatus(field(link, "status")) ?? httpStatus(field(link, "statusCode")) ?? httpStatus(field(response, "status"));
  const sqlState = status === undefined ? sqlStateOf(link, body) : undefined;
  const smtpStatus = number(field(link, "responseCode"));
  const retryAfterMs = retryAfterMsOf(link);
  const provider = providerOf(link, names, sqlState, smtpStatus);
  const type = text(field(link, "type")) ?? text(field(body, "type"));
  const category = text(field(link, "category"));
  return {
    names,
    message: text(field(link, "message")) ?? text(field(body, "message")) ?? "",
    ...(status === undefined ? {} : { status }),
    ...(smtpStatus === undefined ? {} : { smtpStatus }),
    ...(code === undefined ? {} : { code }),
    ...(type === undefined ? {} : { type }),
    ...(sqlState === undefined ? {} : { sqlState }),
    ...(provider === undefined ? {} : { provider }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(category === undefined ? {} : { category }),
  };
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
 * node-postgres puts the SQLSTATE into `code`, as text; only its errors also name a severity or a routine. Providers of
 * HTTP APIs number their errors with five digits too, as Discord does: theirs are numbers, or come with a status.
 */
function sqlStateOf(link: object, body: object | undefined): string | undefined {
  const code = text(field(link, "code")) ?? text(field(body, "code"));
  const looksLikeSqlState = code !== undefined && /^[0-9A-Z]{5}$/.test(code) && /\d/.test(code);
  const fromPostgres = field(link, "severity") !== undefined || field(link, "routine") !== undefined;
  return looksLikeSqlState && (fromPostgres || field(link, "errno") === undefined) ? code : undefined;
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

function prototypeOf(of: object): object | null {
  try {
    return Object.getPrototypeOf(of);
  } catch {
    // A proxy may refuse.
    return null;
  }
}

function isList(value: unknown): value is readonly unknown[] {
  try {
    return Array.isArray(value);
  } catch {
    // A revoked proxy is no list.
    return false;
  }
}

/** The first elements: no more are looked at than a chain may have links. */
function list(value: unknown): readonly unknown[] {
  return isList(value) ? Array.from({ length: MAX_LINKS }, (_, index) => field(value, String(index))) : [];
}

function printed(value: unknown): string {
  try {
    return String(value);
  } catch {
    // Functions may have a toString that throws.
    return typeof value;
  }
}

function field(of: unknown, key: string): unknown {
  if (typeof of !== "object" && typeof of !== "function") return undefined;
  try {
    return (of as Record<string, unknown> | null)?.[key];
  } catch {
    // A getter that throws tells nothing; the other facts still count.
    return undefined;
  }
}

function object(value: unknown): object | undefined {
  return (typeof value === "object" || typeof value === "function") && value !== null ? value : undefined;
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function number(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

function codeText(value: unknown): string | undefined {
  return typeof value === "number" ? String(value) : text(value);
}

function httpStatus(value: unknown): number | undefined {
  const status = typeof value === "string" ? Number(value) : number(value);
  return status !== undefined && Number.isInteger(status) && status >= 100 && status <= 599 ? status : undefined;
}

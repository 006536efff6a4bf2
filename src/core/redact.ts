/**
 * What of a value may be shown to people and logs: secrets hidden, long things shortened, JSON-able throughout.
 * Secrets are known by the name they stand under, or by their own look where the issuer gave them one.
 */

const HIDDEN = "[redacted]";

/** Endings that mean a secret in any name, glued ones such as PGPASSWORD included. */
const SECRET_ENDING =
  /(?:password|passwd|passphrase|passcode|secret|token|credential|(?:api|access|secret|private|signing|encryption|ssh|account|master)key)s?$/;
/** Words that mean a secret only as a whole: "auth" is one, "author" is none. */
const SECRET_WORD =
  /^(?:pass|pwd|pw|auth|authorization|auth(?:orization)?code|bearer|jwts?|cookies?|creds?|pin|pincode|t?otp|mfacode|card|cardn(?:o|umber)|cv[cv]|iban|ssn)$/;
/** Words after a secret's name that leave it one, as in secretString, authHeader, passwordConfirmation. */
const TRAILER = /^(?:value|string|header|confirm|confirmation|hash|raw|base|b|encrypted|plain|plaintext|\d+)$/;
/** A number under such a name counts them; a number under any other secret name is the secret. */
const COUNTABLE = /(?:token|auth|(?:token|key|secret|cookie|credential)s)$/;
/** Signatures of presigned URLs. */
const SIGNATURE = /(?:^|[-_])sig(?:nature)?$/i;

/** Secrets whose issuer made them recognisable. */
const ISSUED = new RegExp(
  `(?<![A-Za-z0-9])(?:${[
    /sk-[\w-]{8,}/, // OpenAI, Anthropic, OpenRouter
    /(?:[sr]k_(?:live|test)|whsec)_\w{8,}/, // Stripe
    /AIza[\w-]{20,}/, // Google
    /ya29\.[\w-]{8,}/,
    /gh[pousr]_\w{10,}/, // GitHub
    /github_pat_\w{10,}/,
    /glpat-[\w-]{10,}/, // GitLab
    /npm_[A-Za-z0-9]{30,}/,
    /hf_[A-Za-z0-9]{20,}/, // Hugging Face
    /(?:AKIA|ASIA)[A-Z0-9]{12,}/, // AWS
    /(?:xox[a-z]|xapp)-[\w-]{8,}/, // Slack
    /SG\.[\w-]{16,}\.[\w-]{16,}/, // SendGrid
    /ey[JA][\w-]{8,2048}(?:\.[\w-]*){2,4}/, // JWT (RFC 7519) and JWE: base64url of `{"` or `{ `
  ]
    .map((one) => one.source)
    .join("|")})`,
  "g",
);
const PRIVATE_KEY = /-----BEGIN ([A-Z ]{0,30}PRIVATE KEY)-----[\s\S]*?(?:-----END \1-----|$)/g;
const BEARER =
  /\bBearer\s+(?!(?:tokens?|auth|authentication|authorization|scheme|header|realm)(?![\w.~+/=-]))[^\s"'\\<>,;)]+/gi;
const BASIC = /(\bAuthorization\W{1,6})?\bBasic\s+([\w+/-]{4,}={0,2})(?![\w=])/gi;
/** Userinfo ends at the first "/", "?" or "#"; a "?" or "#" that nobody escaped is taken in where no "@" comes before. */
const URL_PASSWORD = /(\b[a-z][a-z0-9+.-]{0,30}:\/\/[^\s:/"',]*:)(?!\d{1,5}(?:[/?#]|$))(?:[^\s/?#"',]+|[^\s/"',]+)@/gi;
/** Connection strings with an unescaped "/" in the password: what follows the colon is no port then. */
const DSN_PASSWORD =
  /(\b(?!https?:|wss?:)[a-z][a-z0-9+.-]{0,30}:\/\/[^\s:/@"',]*:)(?!\d{1,5}[/?#]|\[redacted\])[^\s"',]{1,256}@/gi;

/** `name=value` of queries, forms, connection strings, environments and command lines. */
const ASSIGNED = /(?<before>^|[?&;#\s,({"'`])(?<name>[\w.-]{1,64})=/g;
const ASSIGNED_VALUE = /(\\{0,8}["'])[\s\S]*?(?:(?<!\\)\1|$)|[^\s&;#"'<>\\]+/y;
/** `"name": "value"` of JSON, of JSON within JSON, and of objects as Node prints them. */
const MEMBER = /(?:\\{0,8}["']|[{,]\s{0,40})(?<name>[\w.-]{1,64})(?:\\{0,8}["'])?\s*:\s*/g;
const MEMBER_VALUE = /(\\{0,8}["'`])[\s\S]*?(?:(?<!\\)\1|$)|-?\d[\d.]*/y;

export interface RedactLimits {
  /** Characters of one text; default 500. */
  readonly maxText?: number;
  /** Elements of one list or keys of one object; default 20. */
  readonly maxItems?: number;
  /** Levels of nesting; default 6. */
  readonly maxDepth?: number;
}

/**
 * The value as plain data that may be shown. Never throws: what cannot be read is shown as such.
 *
 * A name such as `apiKey`, `client_secret` or `X-Auth-Token` hides the text or object under it, and a number too unless
 * it counts (`maxTokens`); texts are redacted as by {@link redactText}.
 */
export function redact(value: unknown, limits: RedactLimits = {}): unknown {
  const { maxText = 500, maxItems = 20, maxDepth = 6 } = limits;
  const above = new Set<object>();
  const visit = (at: unknown, depth: number): unknown => {
    if (typeof at === "string") return shorten(redactText(at), maxText);
    if (typeof at === "bigint") return String(at);
    if (typeof at === "function" || typeof at === "symbol") return `[${typeof at}]`;
    if (typeof at !== "object" || at === null) return at;
    if (above.has(at)) return "[seen above]";
    if (depth >= maxDepth) return "[deeper]";
    above.add(at);
    try {
      if (at instanceof Date) return Number.isNaN(at.getTime()) ? "[invalid date]" : at.toISOString();
      if (ArrayBuffer.isView(at)) return `[${at.byteLength} bytes]`;
      return inside(jsonForm(at), depth);
    } catch {
      // A revoked proxy, a date that is none, nesting beyond the stack.
      return "[not readable]";
    } finally {
      above.delete(at);
    }
  };
  const inside = (plain: unknown, depth: number): unknown => {
    if (typeof plain !== "object" || plain === null) return visit(plain, depth);
    if (Array.isArray(plain)) {
      const { length } = plain;
      const shown = Array.from({ length: Math.min(length, maxItems) }, (_, at) => visit(read(plain, at), depth + 1));
      return length > maxItems ? [...shown, `[${length - maxItems} more]`] : shown;
    }
    const keys = Object.keys(plain);
    const shown = keys.slice(0, maxItems).map((key): [string, unknown] => {
      const one = read(plain, key);
      return [shorten(redactText(key), maxText), isSecret(key, one) ? HIDDEN : visit(one, depth + 1)];
    });
    if (keys.length > maxItems) shown.push(["…", `[${keys.length - maxItems} more]`]);
    return Object.fromEntries(shown);
  };
  return visit(value, 0);
}

/**
 * The text without bearer and basic credentials, recognisable keys (OpenAI, Google, GitHub, AWS, Slack, …), JWTs, PEM
 * private keys, passwords of URLs, and values given to a secret's name in queries and in JSON.
 */
export function redactText(text: string): string {
  const unnamed = text
    .replace(PRIVATE_KEY, HIDDEN)
    .replace(ISSUED, HIDDEN)
    .replace(URL_PASSWORD, `$1${HIDDEN}@`)
    .replace(DSN_PASSWORD, `$1${HIDDEN}@`)
    .replace(BEARER, `Bearer ${HIDDEN}`)
    .replace(BASIC, (all, header: string | undefined, credentials: string) =>
      header !== undefined || isBasicCredentials(credentials) ? `${header ?? ""}Basic ${HIDDEN}` : all,
    );
  const assigned = hideNamed(unnamed, ASSIGNED, ASSIGNED_VALUE, (name, value, before) =>
    /[?&;#]/.test(before)
      ? isSecret(name, value) || SIGNATURE.test(name)
      : SECRET_ENDING.test(compact(name)) && isSecret(name, value),
  );
  return hideNamed(assigned, MEMBER, MEMBER_VALUE, (name, value) =>
    isSecret(name, /^[-\d]/.test(value) ? Number(value) : value),
  );
}

/** Replaces the values that follow a secret's name. A value under another name is searched itself. */
function hideNamed(
  text: string,
  names: RegExp,
  values: RegExp,
  hides: (name: string, value: string, before: string) => boolean,
): string {
  let shown = "";
  let from = 0;
  for (const match of text.matchAll(names)) {
    if (match.index < from) continue;
    const start = match.index + match[0].length;
    values.lastIndex = start;
    const found = values.exec(text);
    if (found === null || !hides(match.groups?.name ?? "", found[0], match.groups?.before ?? "")) continue;
    const quote = found[1] ?? "";
    shown += `${text.slice(from, start)}${quote}${HIDDEN}${quote}`;
    from = start + found[0].length;
  }
  return shown + text.slice(from);
}

/** Whether what stands under this name is to be hidden. */
function isSecret(name: string, value: unknown): boolean {
  const kind = value === null ? "null" : typeof value;
  if (kind !== "string" && kind !== "object" && kind !== "number" && kind !== "bigint") return false;
  const words = wordsOf(name);
  const whole = words.join("");
  const named = SECRET_ENDING.test(whole) || [1, 2].some((last) => SECRET_WORD.test(words.slice(-last).join("")));
  if (!named) return false;
  if (kind === "string") return !(whole.endsWith("tokens") && /^\d+$/.test(value as string));
  return kind === "object" || !COUNTABLE.test(whole);
}

function compact(name: string): string {
  return wordsOf(name).join("");
}

/** The last words of a camelCase, snake_case or kebab-case name, in lower case, without what only trails a name. */
function wordsOf(name: string): string[] {
  const words = name
    .slice(-100)
    .split(/(?<=[a-z\d])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-z\d]+|(?<=[A-Za-z])(?=\d)/)
    .filter((word) => word !== "")
    .map((word) => word.toLowerCase());
  while (words.length > 1 && TRAILER.test(words.at(-1) ?? "")) words.pop();
  return words.slice(-3);
}

/** RFC 7617: base64 of "user:password". Other words follow "basic" too. */
function isBasicCredentials(text: string): boolean {
  const decoded = Buffer.from(text, "base64").toString("latin1");
  return (
    /^[\x20-\x7e]*:[\x20-\x7e]*$/.test(decoded) ||
    text.endsWith("=") ||
    (text.length >= 16 && /\d/.test(text) && /[A-Z]/.test(text))
  );
}

function read(of: object, key: PropertyKey): unknown {
  try {
    return (of as Record<PropertyKey, unknown>)[key];
  } catch {
    // A getter that throws hides no other field.
    return "[not readable]";
  }
}

/** Messages and other classes show what they would be stored as. */
function jsonForm(value: object): unknown {
  const toJSON = (value as { toJSON?: unknown }).toJSON;
  if (typeof toJSON !== "function") return value;
  try {
    return toJSON.call(value);
  } catch (error) {
    return `[not printable: ${error instanceof Error ? error.message : typeof error}]`;
  }
}

function shorten(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max)}… [${text.length - max} more characters]`;
}

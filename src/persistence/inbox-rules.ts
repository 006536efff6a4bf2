/** What holds for the inbox of every plugin: what an item is, how large it may be, and what may be asked. */
import { z } from "zod";
import { systemClock } from "../core/clock.js";
import {
  INBOX_STATES,
  type InboxFilter,
  type InboxItem,
  type InboxLevel,
  type InboxPlan,
  type PendingNotice,
} from "../core/inbox-ports.js";
import { NOTICE_EVENTS } from "../core/notice-ports.js";
import { parseOptions } from "../core/options.js";
import { type RedactLimits, redact } from "../core/redact.js";
import { InvalidInputError } from "../errors/own-errors.js";
import { jsonText } from "./json-text.js";

/** Of an item's JSON: a list of a hundred must still fit into memory, and on a page. */
const maxBytes = 1_000_000;

/** An item is shortened as little as makes it fit. The last leave every field of a request there. */
const limitsInTurn: readonly Required<RedactLimits>[] = [
  { maxText: Number.POSITIVE_INFINITY, maxItems: Number.POSITIVE_INFINITY, maxDepth: 100 },
  { maxText: 10_000, maxItems: 1000, maxDepth: 20 },
  { maxText: 500, maxItems: 50, maxDepth: 8 },
];

/** The greatest time that a Date can hold, in milliseconds since the Unix epoch. */
const latestMs = 8.64e15;
const time = z.number().min(0).max(latestMs);
const count = z.int().min(0);

/** Ten years: whoever waits for longer means no end. */
const longestMs = 10 * 365 * 24 * 3_600_000;
const span = z.number().positive().max(longestMs);
const maxLevels = 20;
const maxPeopleOfLevel = 50;
const maxNotices = 50;

/** A field of a record without its line here would be dropped. */
type EachField<T> = Record<keyof T, z.ZodType>;

const levelSchema = z.object({
  to: z.array(z.string()).max(maxPeopleOfLevel),
  deadlineMs: span.optional(),
  remindEveryMs: span.optional(),
} satisfies EachField<InboxLevel>);

const planSchema = z.object({
  levels: z.array(levelSchema).min(1).max(maxLevels),
  // Handed through as it came, since an answer may have fields of any name.
  onExpiry: z
    .custom<{ readonly action: string }>(isAnswer, 'expected an object with a text as its "action"')
    .optional(),
} satisfies EachField<InboxPlan>);

const noticeSchema = z.object({
  id: z.string(),
  event: z.enum(NOTICE_EVENTS),
  at: time,
  done: z.array(z.string()),
  attempts: count,
  nextAt: time.optional(),
} satisfies EachField<PendingNotice>);

const resolutionSchema = z.object({ action: z.string(), by: z.string(), at: time, reason: z.string().optional() });

const itemSchema = z.object({
  v: z.literal(1),
  id: z.string(),
  threadId: z.string(),
  thread: z.string().optional(),
  graph: z.string().optional(),
  node: z.string(),
  kind: z.string(),
  summary: z.string(),
  request: z.unknown(),
  hash: z.string(),
  state: z.enum(INBOX_STATES),
  level: count,
  assignee: z.string().optional(),
  claim: z.object({ by: z.string(), until: time }).optional(),
  openedAt: time,
  dueAt: time.optional(),
  sweepAt: time.optional(),
  reminders: count,
  remindAt: time.optional(),
  overdue: z.literal(true).optional(),
  answer: resolutionSchema.optional(),
  resolution: resolutionSchema.optional(),
  plan: planSchema.optional(),
  askedAt: z.string().optional(),
  notices: z.array(noticeSchema).max(maxNotices).optional(),
  notifyAt: time.optional(),
  tellingUntil: time.optional(),
} satisfies EachField<InboxItem>);

const limit = z.int().min(1);

const filterSchema = z.strictObject({
  state: z.enum([...INBOX_STATES, "all"]).default("pending"),
  graph: z.string().optional(),
  threadId: z.string().optional(),
  node: z.string().optional(),
  kind: z.string().optional(),
  assignee: z.string().optional(),
  claimedBy: z.string().optional(),
  dueBefore: time.optional(),
  limit: limit.default(100),
});

const momentSchema = z.strictObject({ nowMs: time, limit });

/** What an item must be to be found; what is undefined is not asked. */
export interface InboxConditions extends Omit<z.output<typeof filterSchema>, "limit" | "state"> {
  readonly state?: InboxItem["state"];
  /** With `claimedBy`: claims that are over by this time are none. */
  readonly claimedAfter?: number;
}

/**
 * The item as it is stored: a copy with the fields of an item and no others, without secrets, and shortened where it is
 * too large. Its plan is kept as it is: what happens without an answer happens by it. What the store made of an item, it
 * makes of it again.
 *
 * @throws InvalidInputError naming the field at fault, or how large the item is when nothing more can be left out
 */
export function storableInboxItem(given: InboxItem): InboxItem {
  const what = `The inbox item "${given.id}"`;
  const parsed = itemSchema.safeParse(JSON.parse(jsonText(what, given)));
  if (!parsed.success) {
    const faults = parsed.error.issues.map(({ path, message }) => `"${path.join(".")}": ${message}`);
    throw new InvalidInputError(`${what} cannot be stored: ${faults.join("; ")}`);
  }
  let bytes = 0;
  for (const limits of limitsInTurn) {
    const item = shown(parsed.data as InboxItem, limits);
    bytes = Buffer.byteLength(JSON.stringify(item));
    if (bytes <= maxBytes) return item;
  }
  throw new InvalidInputError(
    `${what} cannot be stored: it has ${bytes} bytes, however much is shortened, and may have ${maxBytes}`,
    { details: { bytes, maxBytes } },
  );
}

/** @throws InvalidInputError for what is no version */
export function inboxVersion(id: string, version: number): number {
  if (Number.isSafeInteger(version) && version >= 1) return version;
  throw new InvalidInputError(`The inbox item "${id}" cannot be changed: no item has the version ${version}`);
}

/** @throws ConfigError naming the part of the filter at fault */
export function inboxQuery(filter: InboxFilter | undefined): { conditions: InboxConditions; limit: number } {
  const { limit, state, ...asked } = parseOptions("inbox.list", filterSchema, filter);
  return {
    conditions: {
      ...(state === "all" ? {} : { state }),
      ...asked,
      ...(asked.claimedBy === undefined ? {} : { claimedAfter: systemClock.now() }),
    },
    limit,
  };
}

/** @throws ConfigError naming the parameter at fault */
export function inboxMoment(asks: "due" | "unsent", nowMs: number, limit: number): z.output<typeof momentSchema> {
  return parseOptions(`inbox.${asks}`, momentSchema, { nowMs, limit });
}

function isAnswer(given: unknown): boolean {
  if (typeof given !== "object" || given === null || Array.isArray(given)) return false;
  return typeof (given as { action?: unknown }).action === "string";
}

function shown(item: InboxItem, limits: RedactLimits): InboxItem {
  const { summary, request, answer, resolution } = item;
  const text = (one: string) => redact(one, limits) as string;
  return {
    ...item,
    summary: text(summary),
    request: withSchemas(redact(request, limits), request),
    ...(answer?.reason === undefined ? {} : { answer: { ...answer, reason: text(answer.reason) } }),
    ...(resolution?.reason === undefined ? {} : { resolution: { ...resolution, reason: text(resolution.reason) } }),
  };
}

/** In a schema a name such as "token" stands over no secret but over what a field may hold, and nobody could answer without. */
function withSchemas(shownRequest: unknown, request: unknown): unknown {
  const given = actionsOf(request);
  if (given.length === 0) return shownRequest;
  const actions = actionsOf(shownRequest).map((action, at) => {
    const schema = (given[at] as { schema?: unknown } | null | undefined)?.schema;
    return schema === undefined || typeof action !== "object" ? action : { ...action, schema };
  });
  return { ...(shownRequest as object), actions };
}

function actionsOf(request: unknown): readonly unknown[] {
  const actions = (request as { actions?: unknown } | null | undefined)?.actions;
  return Array.isArray(actions) ? actions : [];
}

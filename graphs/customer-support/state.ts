import { z } from "zod";
import { Customer } from "./conversation.js";
import { Order, Receipt } from "./shop/shop.js";

/** What a caller gives, or nothing for a sample. Whether it can be taken is told by the first step. */
export const CustomerSupportInput = z.object({
  conversation: z.int().optional().describe("Number behind the stand-in's orders and faults; default 1"),
  customer: Customer.partial().optional().describe("{ name, mail } of who writes; kept from turn to turn"),
  message: z.string().optional().describe("What the customer writes"),
});

/** What the customer wants, as the model or the keywords read it. */
export const Request = z.object({
  intent: z.enum(["refund", "status", "person", "other"]),
  orderId: z.string().nullable(),
});
export type Request = z.infer<typeof Request>;

export const Decision = z.object({
  next: z.enum(["refund", "escalate", "answer"]),
  /** Why, in words for a person, and by which the answer is written. */
  because: z.string(),
});
export type Decision = z.infer<typeof Decision>;

/** What a person makes of a case that rules do not decide. */
export const Handover = z.strictObject({
  reply: z.string().trim().min(1).max(4000),
  refund: z.boolean().default(false),
});

const Reply = z.object({
  text: z.string(),
  writtenBy: z.enum(["model", "template", "person"]),
  /** Absent when no model wrote it. */
  model: z.string().optional(),
});

/** What is written in one turn of the talk; the next begins without it. */
const turn = {
  request: Request.extend({ readBy: z.string() }).nullish(),
  order: Order.nullish(),
  decision: Decision.nullish(),
  handover: Handover.nullish(),
  receipt: Receipt.nullish(),
  reply: Reply.nullish(),
};
export const CustomerSupportState = CustomerSupportInput.extend(turn);
export type CustomerSupport = z.infer<typeof CustomerSupportState>;
export type Update = Partial<CustomerSupport>;

export const NEW_TURN = { order: null, decision: null, handover: null, receipt: null, reply: null } satisfies Update;

/** A field an earlier step of the turn has written. */
export function present<K extends keyof CustomerSupport>(
  state: CustomerSupport,
  field: K,
): NonNullable<CustomerSupport[K]> {
  const value = state[field];
  if (value === undefined || value === null)
    throw new TypeError(`The state has no "${field}": the step that writes it has not run`);
  return value;
}

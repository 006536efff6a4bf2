/** What a customer writes, and what the desk takes for it where less is given. */
import { InvalidInputError } from "langgraph-resilience";
import { z } from "zod";
import { chance } from "./shop/chance.js";

export const Customer = z.strictObject({
  name: z.string().min(1).max(200),
  mail: z.string().min(3).max(320).describe("Tells the shop whose orders may be spoken of"),
});

export const Conversation = z.strictObject({
  /** What the stand-in's orders and faults are drawn by. */
  conversation: z.int().min(1).default(1),
  customer: Customer,
  message: z.string().trim().min(1).max(4000),
});
export type Conversation = z.infer<typeof Conversation>;

const REFUND = [
  "my order {order} arrived broken. I want my money back, please.",
  "please refund {order}, it is not what the picture shows.",
  "{order} came twice the size I asked for. How do I return it?",
];
const STATUS = ["where is my order {order}?", "has {order} been sent yet?", "any news of {order}?"];
const OTHER = ["do you have the green teapot again?", "what are your opening hours?"];
const NO_NUMBER = ["I want my money back for the teapot.", "my parcel arrived broken, please refund it."];

/**
 * The n-th simulated conversation, always the same. Of a hundred customers 55 want their money back, 30 ask where an order
 * is, 8 ask something else, 4 name no order, and 3 name somebody else's.
 */
export function simulated(conversation: number): Conversation {
  const kind = chance("kind", conversation);
  const texts = kind < 0.58 ? REFUND : kind < 0.88 ? STATUS : kind < 0.96 ? OTHER : NO_NUMBER;
  const text = texts[Math.floor(chance("text", conversation) * texts.length)] ?? "";
  // Somebody else's order: the number is right, and the mail is not.
  const owner = kind < 0.03 ? conversation + 1 : conversation;
  return {
    conversation,
    customer: { name: `Customer ${conversation}`, mail: mailOf(conversation) },
    message: `Hello, ${text.replace("{order}", `ORD-${owner}`)}`,
  };
}

/** Whose mail the stand-in's order of that number was placed with. */
export function mailOf(order: number): string {
  return `customer${order}@example.com`;
}

/** What is written where nothing is given at all: one whose refund is done and not answered, by the faults as they are drawn. */
const SAMPLE: Conversation = {
  conversation: 8,
  customer: { name: "Ada Sample", mail: mailOf(8) },
  message: "Hello, my order ORD-8 arrived broken. I want my money back, please.",
};

/**
 * Nothing given is the sample; what is given has to be whole.
 *
 * @throws InvalidInputError naming each field that is missing or wrong
 */
export function parseConversation(given: {
  readonly conversation?: unknown;
  readonly customer?: unknown;
  readonly message?: unknown;
}): Conversation {
  const { conversation, customer, message } = given;
  if (customer === undefined && message === undefined && conversation === undefined) return SAMPLE;
  const parsed = Conversation.safeParse({ conversation, customer, message });
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(({ path, message: what }) => `${path.join(".")}: ${what}`);
  throw new InvalidInputError(`The conversation cannot be taken: ${faults.join("; ")}`, { details: { faults } });
}

/** 5030 → "50.30" */
export function money(cents: number): string {
  return (cents / 100).toFixed(2);
}

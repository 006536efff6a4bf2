import type { PromptMessage } from "langgraph-resilience/nodes";
import { z } from "zod";
import { Customer, Item, money, type Order } from "./order.js";

/** What the confirmation is about. */
export const Paid = z.object({
  orderId: z.string(),
  total: z.string(),
  name: Customer.shape.name,
  items: z.array(Item.pick({ sku: true, quantity: true })),
});
export type Paid = z.infer<typeof Paid>;

const FACTS = "The order as JSON:";

export function paidOrder({ customer, items }: Order, orderId: string, cents: number): Paid {
  return {
    orderId,
    total: money(cents),
    name: customer.name,
    items: items.map(({ sku, quantity }) => ({ sku, quantity })),
  };
}

export function confirmationPrompt(paid: Paid): PromptMessage[] {
  return [
    {
      role: "system",
      content:
        "You write a shop's mails. Use only the facts given, never invent a date or a promise. Plain text, at most 100 words, no subject line.",
    },
    {
      role: "user",
      content: `Write to the customer that the order is taken and paid. Name the order's ID and the total exactly as given.\n${FACTS}\n${JSON.stringify(paid)}`,
    },
  ];
}

/** The facts back out of a prompt: what the offline writer works from. */
export function paidOrderIn(prompt: string): Paid | undefined {
  const line = prompt.split(`${FACTS}\n`)[1]?.split("\n")[0];
  try {
    return Paid.parse(JSON.parse(line ?? ""));
  } catch {
    return undefined;
  }
}

/** The mail without a model; also what the offline writer is made of. */
export function plainConfirmation({ orderId, total, name, items }: Paid): string {
  const lines = items.map(({ sku, quantity }) => `- ${quantity} x ${sku}`);
  return [
    `Dear ${name},`,
    `your order ${orderId} is taken, and ${total} is paid.`,
    lines.join("\n"),
    "Thank you.",
  ].join("\n\n");
}

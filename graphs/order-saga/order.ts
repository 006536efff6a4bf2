/** An order, as it is given and as the shop takes it. */
import { z } from "zod";

export const Item = z.strictObject({
  sku: z.string().min(1).describe("Article number"),
  quantity: z.int().min(1).max(1000),
  cents: z.int().min(1).max(10_000_000).describe("Price of one, in cents"),
});

export const Customer = z.strictObject({
  name: z.string().min(1).max(200),
  mail: z.string().regex(/^[^\s@<>,]+@[^\s@<>,]+$/, "is not a mail address"),
});

export const Order = z.strictObject({
  customer: Customer,
  items: z.array(Item).min(1).max(100),
  card: z.string().min(1).max(200).default("tok_visa"),
});
export type Order = z.infer<typeof Order>;

/** 5030 → "50.30" */
export function money(cents: number): string {
  return (cents / 100).toFixed(2);
}

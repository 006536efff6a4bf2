import { z } from "zod";
import { Customer, Item } from "./order.js";
import { Receipt } from "./shop/client.js";

/** What a caller gives, or nothing for a sample order. Whether it can be taken is told by the first step. */
export const OrderSagaInput = z.object({
  customer: Customer.partial().optional().describe("{ name, mail } of who orders"),
  items: z.array(Item.partial()).optional().describe("{ sku, quantity, cents } each; cents is the price of one"),
  card: z.string().optional().describe("Token of the card; default tok_visa. The bundled shop declines tok_declined"),
});

const Confirmation = z.object({
  subject: z.string(),
  text: z.string(),
  writtenBy: z.enum(["model", "template"]),
  /** Absent when no model wrote it. */
  model: z.string().optional(),
});
export type Confirmation = z.infer<typeof Confirmation>;

export const OrderSagaState = OrderSagaInput.extend({
  order: Receipt.optional(),
  payment: Receipt.optional(),
  confirmation: Confirmation.optional(),
  mail: Receipt.optional(),
});
export type OrderSaga = z.infer<typeof OrderSagaState>;
export type Update = Partial<OrderSaga>;

/** A field an earlier step has written. */
export function present<K extends keyof OrderSaga>(state: OrderSaga, field: K): NonNullable<OrderSaga[K]> {
  const value = state[field];
  if (value === undefined || value === null)
    throw new TypeError(`The state has no "${field}": the step that writes it has not run`);
  return value;
}

/** What the graph does to the outside world. docs/order-saga.md says why each is of its kind. */
import { defineEffect } from "langgraph-resilience";
import { z } from "zod";
import { Customer, Item } from "./order.js";
import { ask, lookUp, Receipt } from "./shop/client.js";

/** The shop knows a repetition by its key, so a doubt is cleared by asking again. */
export const createOrder = defineEffect({
  name: "createOrder",
  kind: "idempotent",
  input: z.object({ customer: Customer, items: z.array(Item) }),
  output: Receipt,
  run: (order, call) => ask("orders", order, call),
  compensate: ({ id }, call) => ask("cancellations", { orderId: id }, call),
});

/** Money is never asked for twice to find out: what came of a charge is looked up by its key first. */
export const charge = defineEffect({
  name: "charge",
  kind: "reversible",
  input: z.object({ orderId: z.string(), cents: z.int(), card: z.string() }),
  output: Receipt,
  run: (payment, call) => ask("charges", payment, call),
  probe: (_, call) => lookUp("charges", call),
  compensate: ({ id }, call) => ask("refunds", { chargeId: id }, call),
});

const Mail = z.object({ to: z.string(), subject: z.string(), text: z.string() });

/**
 * No mail can be unsent. What undoes this one is a second mail that takes it back, which is what people do; it is sent
 * before the refund and may be followed by a new confirmation, so it claims neither that nor that the order is off.
 */
export const confirm = defineEffect({
  name: "confirm",
  kind: "reversible",
  input: Mail,
  output: Receipt.extend({ to: z.string(), subject: z.string() }),
  run: async (mail, call) => sent(mail, await ask("mails", mail, call)),
  probe: async (mail, call) => {
    const answer = await lookUp("mails", call);
    return answer.happened ? { happened: true, receipt: sent(mail, answer.receipt) } : answer;
  },
  compensate: ({ to, subject }, call) => ask("mails", apology(to, subject), call),
});

function sent({ to, subject }: z.infer<typeof Mail>, receipt: Receipt) {
  return { ...receipt, to, subject };
}

function apology(to: string, subject: string): z.infer<typeof Mail> {
  return {
    to,
    subject: `Sorry, please disregard: ${subject}`,
    text: `We have to take back our mail "${subject}": it no longer holds. If a payment is given back to you with this, you need not do anything for it. We write again when your order is settled. We are sorry for the trouble.`,
  };
}

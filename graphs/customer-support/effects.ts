/** What the graph does to the outside world. docs/customer-support.md says why it is of its kind. */
import { defineEffect } from "langgraph-resilience";
import { z } from "zod";
import { Receipt, shop } from "./shop/shop.js";

/** Money is never given back for a second time to find out: what came of a refund is looked up by its key first. */
export const refund = defineEffect({
  name: "refund",
  kind: "reversible",
  input: z.object({ conversation: z.int(), orderId: z.string(), cents: z.int() }),
  output: Receipt,
  run: ({ conversation, ...what }, call) => shop().refund(conversation, what, call),
  probe: async ({ conversation }, call) => {
    const receipt = await shop().findRefund(conversation, call);
    return receipt === undefined ? { happened: false } : { happened: true, receipt };
  },
  compensate: (receipt, call) => shop().takeBack(receipt, call),
});

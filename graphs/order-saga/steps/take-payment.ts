import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { charge } from "../effects.js";
import { parseOrder } from "../parse-order.js";
import { type OrderSaga, present, type Update } from "../state.js";

/** Charges what the shop says that the order is over. */
export async function takePayment(state: OrderSaga, config: LangGraphRunnableConfig): Promise<Update> {
  const { id, cents = 0 } = present(state, "order");
  const { card } = parseOrder(state);
  return { payment: await charge({ orderId: id, cents, card }, config) };
}

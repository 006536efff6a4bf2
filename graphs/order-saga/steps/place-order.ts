import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { createOrder } from "../effects.js";
import { parseOrder } from "../parse-order.js";
import { checkShop } from "../shop/client.js";
import type { OrderSaga, Update } from "../state.js";

/** Checks what was given before anything is done, and creates the order. */
export async function placeOrder(state: OrderSaga, config: LangGraphRunnableConfig): Promise<Update> {
  checkShop();
  const { customer, items, card } = parseOrder(state);
  const order = await createOrder({ customer, items }, config);
  return { customer, items, card, order };
}

import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { confirm } from "../effects.js";
import { parseOrder } from "../parse-order.js";
import { type OrderSaga, present, type Update } from "../state.js";

export async function sendConfirmation(state: OrderSaga, config: LangGraphRunnableConfig): Promise<Update> {
  const { subject, text } = present(state, "confirmation");
  const { id, standIn } = await confirm({ to: parseOrder(state).customer.mail, subject, text }, config);
  return { mail: { id, standIn } };
}

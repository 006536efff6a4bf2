import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { parseConversation } from "../conversation.js";
import { refund } from "../effects.js";
import { type CustomerSupport, present, type Update } from "../state.js";

/** Gives back what the shop says that the order cost. */
export async function refundOrder(state: CustomerSupport, config: LangGraphRunnableConfig): Promise<Update> {
  const { conversation } = parseConversation(state);
  const { id: orderId, cents } = present(state, "order");
  return { receipt: await refund({ conversation, orderId, cents }, config) };
}

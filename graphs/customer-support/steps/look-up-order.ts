import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { parseConversation } from "../conversation.js";
import { shop } from "../shop/shop.js";
import { type CustomerSupport, present, type Update } from "../state.js";

/** Reading changes nothing outside, so it is no effect: it is simply done again. */
export async function lookUpOrder(state: CustomerSupport, { signal }: LangGraphRunnableConfig): Promise<Update> {
  const { orderId } = present(state, "request");
  if (orderId === null) return { order: null };
  const { conversation, customer } = parseConversation(state);
  const call = { signal: signal ?? new AbortController().signal };
  return { order: await shop().findOrder(conversation, orderId, customer.mail, call) };
}

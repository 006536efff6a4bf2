import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { callStructured } from "langgraph-resilience/nodes";
import { parseConversation } from "../conversation.js";
import { readingModel } from "../model.js";
import { classifyPrompt } from "../prompts.js";
import { readByKeywords } from "../rules.js";
import { ratesNow } from "../shop/faults.js";
import { type CustomerSupport, NEW_TURN, Request, type Update } from "../state.js";

/** The model's reading of the message. An order it names has to stand there. */
export async function classify(state: CustomerSupport, config: LangGraphRunnableConfig): Promise<Update> {
  const conversation = taken(state);
  const { value, model } = await callStructured(
    {
      model: await readingModel(),
      messages: classifyPrompt(conversation.message),
      schemaName: "customer_request",
      schema: Request,
      check: ({ orderId }) =>
        orderId === null || conversation.message.toUpperCase().includes(orderId.toUpperCase())
          ? undefined
          : `orderId is "${orderId}", which is not in the message`,
    },
    config,
  );
  const request = { ...value, orderId: value.orderId?.toUpperCase() ?? null, readBy: model };
  return { ...NEW_TURN, ...conversation, request };
}

/** No model: by the words that are in it. */
export async function byKeywords(state: CustomerSupport): Promise<Update> {
  const conversation = taken(state);
  return { ...NEW_TURN, ...conversation, request: { ...readByKeywords(conversation.message), readBy: "keywords" } };
}

/** What can be wrong with input and settings is told before anything is done. */
function taken(state: CustomerSupport) {
  ratesNow();
  return parseConversation(state);
}

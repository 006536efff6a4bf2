import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { money, parseConversation } from "../conversation.js";
import { writingModel } from "../model.js";
import { answerPrompt, type Facts, plainAnswer } from "../prompts.js";
import { type CustomerSupport, present, type Update } from "../state.js";

/** The model writes the answer, save where a person has. */
export function writeAnswer(initialDelayMs: number) {
  return async function writeAnswer(state: CustomerSupport, config: LangGraphRunnableConfig): Promise<Update> {
    if (state.handover) return { reply: { text: state.handover.reply, writtenBy: "person" } };
    const facts = factsOf(state);
    const model = await writingModel(facts, initialDelayMs);
    const { text, response_metadata } = await model.invoke(
      answerPrompt(facts).map((message) => ({ ...message })),
      config,
    );
    const name: unknown = response_metadata.model_name;
    return { reply: { text, writtenBy: "model", model: typeof name === "string" ? name : "unknown model" } };
  };
}

/** No model: the facts in fixed words. */
export async function template(state: CustomerSupport): Promise<Update> {
  return { reply: { text: plainAnswer(factsOf(state)), writtenBy: "template" } };
}

function factsOf(state: CustomerSupport): Facts {
  const { customer, message } = parseConversation(state);
  const { receipt } = state;
  return {
    name: customer.name,
    message,
    orderId: present(state, "request").orderId,
    because: present(state, "decision").because,
    ...(receipt ? { refund: { id: receipt.id, amount: money(receipt.cents) } } : {}),
  };
}

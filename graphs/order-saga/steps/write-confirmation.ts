import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { confirmationModel } from "../model.js";
import { parseOrder } from "../parse-order.js";
import { confirmationPrompt, type Paid, paidOrder, plainConfirmation } from "../prompts.js";
import { type Confirmation, type OrderSaga, present, type Update } from "../state.js";

/**
 * The model writes the mail. A step of its own, before the one that sends it: a model writes something else each time, and
 * an effect that is done again has to be given the same.
 */
export async function writeConfirmation(state: OrderSaga, config: LangGraphRunnableConfig): Promise<Update> {
  const paid = paidOf(state);
  const model = await confirmationModel(paid);
  const answer = await model.invoke(
    confirmationPrompt(paid).map((message) => ({ ...message })),
    config,
  );
  const name: unknown = answer.response_metadata.model_name;
  return confirmation(paid, answer.text, {
    writtenBy: "model",
    model: typeof name === "string" ? name : "unknown model",
  });
}

/** No model: the facts in fixed words. */
export async function template(state: OrderSaga): Promise<Update> {
  const paid = paidOf(state);
  return confirmation(paid, plainConfirmation(paid), { writtenBy: "template" });
}

function paidOf(state: OrderSaga): Paid {
  return paidOrder(parseOrder(state), present(state, "order").id, present(state, "payment").cents ?? 0);
}

function confirmation({ orderId }: Paid, text: string, by: Pick<Confirmation, "writtenBy" | "model">): Update {
  return { confirmation: { subject: `Your order ${orderId} is confirmed`, text, ...by } };
}

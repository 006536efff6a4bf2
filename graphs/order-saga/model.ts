import { type ResilientChatModel, resilientModel } from "langgraph-resilience";
import type { ChatRequest } from "langgraph-resilience/chaos";
import { chatModel } from "langgraph-resilience/nodes";
import { type Paid, paidOrderIn, plainConfirmation } from "./prompts.js";

const OFFLINE_LABEL = "(Offline writer: filled in from the order; no language model was asked.)";

/** The model that writes the mail: OpenAI's with a key, else the bundled provider. A mail with wrong facts is asked for anew. */
export async function confirmationModel({ orderId, total }: Paid): Promise<ResilientChatModel> {
  const model = await chatModel({ offline: { name: "offline-clerk", answer: offlineClerk } });
  return resilientModel([model], {
    retry: { maxAttempts: 3, initialDelayMs: 250 },
    validate: ({ text }) => {
      const missing = [orderId, total].filter((fact) => !text.includes(fact));
      return missing.length === 0 ? undefined : `the mail has to name ${missing.join(" and ")}`;
    },
  });
}

/** Answers without a language model, from what the prompt says, and says so. */
function offlineClerk({ messages }: ChatRequest): string {
  const paid = paidOrderIn(messages.map(({ text }) => text).join("\n"));
  return paid === undefined
    ? `${OFFLINE_LABEL} The request holds no order.`
    : `${plainConfirmation(paid)}\n\n${OFFLINE_LABEL}`;
}

import { END, START, StateGraph } from "@langchain/langgraph";
import { installRecovery, keepCheckpointer, openPersistence, resilient } from "langgraph-resilience";
import { OrderSagaInput, OrderSagaState } from "./state.js";
import { placeOrder } from "./steps/place-order.js";
import { sendConfirmation } from "./steps/send-confirmation.js";
import { takePayment } from "./steps/take-payment.js";
import { template, writeConfirmation } from "./steps/write-confirmation.js";

/** Short waits: a person is watching. Retry-After is obeyed all the same. */
const QUICK = { maxAttempts: 3, initialDelayMs: 250 };

/** No step that does something outside has a fallback: there is no simpler way to take money, so a person decides. */
export const builder = new StateGraph({ state: OrderSagaState, input: OrderSagaInput })
  .addNode("createOrder", resilient(placeOrder, { name: "createOrder", retry: QUICK }))
  .addNode("charge", resilient(takePayment, { name: "charge", retry: QUICK }))
  .addNode(
    "writeConfirmation",
    // The model has retries of its own.
    resilient(writeConfirmation, {
      name: "writeConfirmation",
      retry: false,
      fallback: [{ name: "template", run: template }],
    }),
  )
  .addNode("confirm", resilient(sendConfirmation, { name: "confirm", retry: QUICK }))
  .addEdge(START, "createOrder")
  .addEdge("createOrder", "charge")
  .addEdge("charge", "writeConfirmation")
  .addEdge("writeConfirmation", "confirm")
  .addEdge("confirm", END);

installRecovery(builder);

export const graph = builder.compile({
  checkpointer: openPersistence(process.env.DATABASE_URL, { strict: true, retention: {} }).checkpointer,
});
keepCheckpointer(graph);

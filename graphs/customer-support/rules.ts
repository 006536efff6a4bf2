/** What needs no model: reading a message by its words, and what is done for whom. Money follows these alone. */
import type { Order } from "./shop/shop.js";
import type { Decision, Request } from "./state.js";

const RETURN_DAYS = 30;

const WORDS: readonly (readonly [Request["intent"], RegExp])[] = [
  ["person", /\b(a (human|person)|somebody real|manager|lawyer)\b/i],
  ["refund", /\b(refund|money back|return|broken)\b/i],
  ["status", /\b(where is|been sent|news|arrive|track|status)\b/i],
];

export function readByKeywords(message: string): Request {
  const intent = WORDS.find(([, words]) => words.test(message))?.[0] ?? "other";
  return { intent, orderId: /\bORD-\d{1,9}\b/i.exec(message)?.[0].toUpperCase() ?? null };
}

/** What is done. `order` is the customer's own, as the shop knows it: nothing of what they wrote decides about money. */
export function decide({ intent, orderId }: Request, order: Order | null | undefined): Decision {
  if (intent === "person") return { next: "escalate", because: "the customer asks for a person" };
  if (intent === "other" && orderId === null) return answer("it is not about an order, which is all the desk knows of");
  if (orderId === null) return answer("the message names no order; its number is in the confirmation mail, like ORD-1");
  if (order === null || order === undefined) return answer(`there is no order ${orderId} under the customer's mail`);
  if (order.isDisputed) return { next: "escalate", because: `complex case: the payment of ${order.id} is in dispute` };
  if (order.isRefunded) return answer(`order ${order.id} is refunded already`);
  if (intent !== "refund") return answer(`order ${order.id} (${order.item}) ${whereabouts(order)}`);
  if (order.deliveredDaysAgo === undefined)
    return answer(`order ${order.id} is still on its way; it can be sent back once it has arrived`);
  if (order.deliveredDaysAgo > RETURN_DAYS)
    return answer(
      `order ${order.id} arrived ${order.deliveredDaysAgo} days ago, and is taken back within ${RETURN_DAYS} only`,
    );
  return { next: "refund", because: `order ${order.id} arrived ${order.deliveredDaysAgo} days ago` };
}

function answer(because: string): Decision {
  return { next: "answer", because };
}

function whereabouts({ deliveredDaysAgo: days }: Order): string {
  return days === undefined ? "is on its way" : `arrived ${days === 0 ? "today" : `${days} days ago`}`;
}

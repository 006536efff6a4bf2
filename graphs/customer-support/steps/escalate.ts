import { interrupt } from "@langchain/langgraph";
import { parseConversation } from "../conversation.js";
import { type CustomerSupport, Handover, present, type Update } from "../state.js";

const ANSWER_WITH = {
  reply: "what the customer is told",
  refund: "true to give the order's money back; default false",
};

/** Hands the case over to a person and waits. An answer that does not fit is asked for again, with what is wrong. */
export async function escalate(state: CustomerSupport): Promise<Update> {
  const { conversation, customer, message } = parseConversation(state);
  const { because } = present(state, "decision");
  const question = { kind: "support_case", because, conversation, customer, message, order: state.order ?? null };
  let wrong: string | undefined;
  for (;;) {
    const given: unknown = interrupt({
      ...question,
      answerWith: ANSWER_WITH,
      ...(wrong === undefined ? {} : { refused: wrong }),
    });
    const parsed = Handover.safeParse(given);
    if (!parsed.success)
      wrong = parsed.error.issues.map(({ path, message: what }) => [...path, what].join(": ")).join("; ");
    else if (parsed.data.refund && (state.order?.isRefunded ?? true)) wrong = "refund: there is no order to refund";
    else return { handover: parsed.data };
  }
}

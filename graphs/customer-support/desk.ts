import { END, START, StateGraph } from "@langchain/langgraph";
import { installRecovery, resilient } from "langgraph-resilience";
import { CustomerSupportInput, CustomerSupportState, present } from "./state.js";
import { byKeywords, classify } from "./steps/classify.js";
import { decideCase } from "./steps/decide-case.js";
import { escalate } from "./steps/escalate.js";
import { lookUpOrder } from "./steps/look-up-order.js";
import { refundOrder } from "./steps/refund-order.js";
import { template, writeAnswer } from "./steps/write-answer.js";

export interface DeskOptions {
  /** How long a tool may take to answer, in milliseconds; default 2000. A probe shares the limit of its refund. */
  readonly toolTimeoutMs?: number;
  /** How often a tool, or the model that reads, is asked again; default 2. */
  readonly retries?: number;
  /** Before the first of them, in milliseconds; doubled each time. Default 250. */
  readonly initialDelayMs?: number;
}

/** A customer waits. Reading, a tool twice, and writing come to 29 s at most, all retries and their waits included. */
const READING_MS = 2500;
const WRITING_MS = 6000;

/** The graph, to be compiled. Tests and the bench set its waits. */
export function desk({ toolTimeoutMs = 2000, retries = 2, initialDelayMs = 250 }: DeskOptions = {}) {
  const retry = { maxAttempts: 1 + retries, initialDelayMs, patienceMs: 1000 };
  const ofTool = { baseMs: toolTimeoutMs, maxMs: toolTimeoutMs };
  const builder = new StateGraph({ state: CustomerSupportState, input: CustomerSupportInput })
    .addNode(
      "classify",
      resilient(classify, {
        name: "classify",
        retry,
        timeout: { baseMs: READING_MS, maxMs: READING_MS },
        fallback: [{ name: "keywords", run: byKeywords }],
      }),
    )
    .addNode("lookUpOrder", resilient(lookUpOrder, { name: "lookUpOrder", retry, timeout: ofTool }))
    .addNode("decide", resilient(decideCase, { name: "decide", retry: false }))
    .addNode("escalate", resilient(escalate, { name: "escalate", retry: false }))
    // No fallback: there is no simpler way to give money back, so a person decides.
    .addNode("refund", resilient(refundOrder, { name: "refund", retry, timeout: ofTool }))
    .addNode(
      "answer",
      // The model has retries of its own.
      resilient(writeAnswer(initialDelayMs), {
        name: "answer",
        retry: false,
        timeout: { baseMs: WRITING_MS },
        fallback: [{ name: "template", run: template }],
      }),
    )
    .addEdge(START, "classify")
    .addEdge("classify", "lookUpOrder")
    .addEdge("lookUpOrder", "decide")
    .addConditionalEdges("decide", (state) => present(state, "decision").next, ["refund", "escalate", "answer"])
    .addConditionalEdges("escalate", ({ handover }) => (handover?.refund === true ? "refund" : "answer"), [
      "refund",
      "answer",
    ])
    .addEdge("refund", "answer")
    .addEdge("answer", END);
  installRecovery(builder, { barrierEvery: 5 });
  return builder;
}

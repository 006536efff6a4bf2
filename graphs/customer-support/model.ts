import { type ResilientChatModel, resilientModel } from "langgraph-resilience";
import type { ChatRequest } from "langgraph-resilience/chaos";
import { chatModel, type StreamingModel } from "langgraph-resilience/nodes";
import { type Facts, factsIn, messageIn, plainAnswer, wrongFacts } from "./prompts.js";
import { readByKeywords } from "./rules.js";

const OFFLINE_LABEL = "(Offline desk: filled in from the facts; no language model was asked.)";

/** The model that reads: OpenAI's with a key, else the bundled provider. Its retries are the step's. */
export function readingModel(): Promise<StreamingModel> {
  return chatModel({ offline: { name: "offline-desk", answer: offlineDesk } });
}

/** The model that writes. An answer with wrong facts is asked for anew. */
export async function writingModel(facts: Facts, initialDelayMs: number): Promise<ResilientChatModel> {
  const model = await chatModel({ offline: { name: "offline-desk", answer: offlineDesk } });
  return resilientModel([model], {
    retry: { maxAttempts: 3, initialDelayMs, patienceMs: 1000 },
    validate: ({ text }) => wrongFacts(text, facts),
  });
}

/** Answers without a language model, from what the prompt says, and says so. */
export function offlineDesk({ messages, responseFormat }: ChatRequest): string | object {
  const prompt = messages.map(({ text }) => text).join("\n");
  if (responseFormat !== undefined) return readByKeywords(messageIn(prompt) ?? "");
  const facts = factsIn(prompt);
  return facts === undefined
    ? `${OFFLINE_LABEL} The request holds no facts.`
    : `${plainAnswer(facts)}\n\n${OFFLINE_LABEL}`;
}

/** What is bound to a chat model (`withConfig`), kept while the model itself is exchanged. */
import type { BaseChatModel } from "@langchain/core/language_models/chat_models";
import type { Runnable } from "@langchain/core/runnables";
import type { AnyChatModel } from "./model-options.js";
import { chatModelOf } from "./route.js";

/**
 * @param change given the chat model beneath all that is bound to it
 * @returns what it made, with the same bound to it
 */
export function exchanged(given: AnyChatModel, change: (model: BaseChatModel) => Runnable): Runnable {
  const model = chatModelOf(given) as BaseChatModel;
  if (given === model) return change(model);
  const { bound } = given as unknown as { readonly bound: AnyChatModel };
  const value = exchanged(bound, change);
  return Object.create(given, { bound: { value, writable: true, enumerable: true, configurable: true } }) as Runnable;
}

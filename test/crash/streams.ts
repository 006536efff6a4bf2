/** A graph of one node that has a long text generated. */
import type { BaseLanguageModelInput } from "@langchain/core/language_models/base";
import type { AIMessageChunk } from "@langchain/core/messages";
import { Annotation, START, StateGraph } from "@langchain/langgraph";
import { ChatOpenAI } from "@langchain/openai";
import { resilient, streamWithCheckpoints } from "langgraph-resilience";

const State = Annotation.Root({ text: Annotation<string> });

export const PROMPT = "Count.";
/** The first request ends in the prompt, every other in this. */
export const GO_ON = "Go on.";
/** 5,000 tokens by the provider's count, four characters each. */
export const TEXT = Array.from({ length: 2500 }, (_, index) => `${`w${index + 1}`.padEnd(7, ".")} `).join("");
export const INTERVAL = 500;

export interface Pace {
  /** Told of each piece that has come, before anything is done with it. */
  readonly came: (piece: AIMessageChunk) => void;
  /** What the model waits for before the next piece: it is slower than a database. */
  readonly ready: () => Promise<void>;
}

export function builderOf(baseUrl: string, { came, ready }: Pace) {
  const chat = new ChatOpenAI({
    model: "offline-model",
    apiKey: "offline",
    maxRetries: 0,
    useResponsesApi: false,
    configuration: { baseURL: baseUrl },
  });
  const model = {
    model: "offline-model",
    async stream(input: BaseLanguageModelInput, options?: object) {
      const stream = await chat.stream(input, options);
      return (async function* () {
        for await (const piece of stream) {
          came(piece);
          yield piece;
          await ready();
        }
      })();
    },
  };
  const options = { everyTokens: INTERVAL, continueWith: GO_ON };
  return new StateGraph(State)
    .addNode(
      "write",
      resilient(async (_: typeof State.State, config) => ({
        text: (await streamWithCheckpoints(model, PROMPT, config, options).final()).text,
      })),
    )
    .addEdge(START, "write");
}

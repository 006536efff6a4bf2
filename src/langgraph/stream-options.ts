import type { BaseLanguageModelInput } from "@langchain/core/language_models/base";
import type { AIMessage, AIMessageChunk } from "@langchain/core/messages";
import { z } from "zod";

/** A chat model, or one with tools or options bound to it: what is needed of it is that it streams. */
export interface StreamableModel {
  stream(
    input: BaseLanguageModelInput,
    // biome-ignore lint/suspicious/noExplicitAny: each model has call options of its own
    options?: any,
  ): Promise<AsyncIterable<AIMessageChunk | AIMessage>>;
}

/** How much of a text is durable. */
export interface StreamCheckpoint {
  readonly characters: number;
  /** About, where the provider does not say. */
  readonly tokens: number;
  /** Whether the text is complete. */
  readonly finished: boolean;
}

export interface StreamCheckpointOptions {
  /** How much may be generated until it is saved; default 500 tokens. */
  readonly everyTokens?: number;
  /** Tells apart calls of a node that ask the same question, where it is not their order that does. */
  readonly key?: string;
  /** The user's message that asks the model to go on with what was saved. */
  readonly continueWith?: string;
  /**
   * Whether an answer that does not say why it ended is taken for cut. Default: required of models whose answers name
   * their provider, as those of LangChain's integrations do.
   */
  readonly finishReason?: "required" | "optional";
  /** Told when more of the text is durable. Nobody waits for it; what it throws is a process warning. */
  readonly onCheckpoint?: (checkpoint: StreamCheckpoint) => unknown;
}

const CONTINUE =
  "Your answer was cut off. Go on with it exactly where it stops: begin with the very next word, repeat nothing of it, and say nothing about the interruption.";

export const streamSchema = z.strictObject({
  everyTokens: z.int().min(1).default(500),
  key: z.string().min(1).optional(),
  continueWith: z.string().min(1).default(CONTINUE),
  finishReason: z.enum(["required", "optional"]).optional(),
  onCheckpoint: z
    .custom<NonNullable<StreamCheckpointOptions["onCheckpoint"]>>(
      (value) => typeof value === "function",
      "must be a function",
    )
    .optional(),
});

export type StreamPolicy = z.output<typeof streamSchema>;

import type { AIMessageChunk } from "@langchain/core/messages";
import type { Category } from "../../errors/categories.js";
import {
  AnswerMessageChunk,
  type AnswerMetadata,
  closingChunk,
  type Restart,
  restartChunk,
  restartOf,
} from "./answer-chunk.js";

/** Where the pieces of an answer go while it is made, attempt after attempt. */
export interface AnswerOutput {
  /** A new attempt begins: pieces of the ones before it are void, and do not pass any more. */
  begin(model: string): AttemptOutput;
  /** The last attempt begun has answered in full. */
  finish(metadata: AnswerMetadata): void;
}

export interface AttemptOutput {
  piece(chunk: AIMessageChunk): void;
  /** What was handed on of this attempt is void; said at once, for the next one may have to wait. */
  broke(category: Category, message: string): void;
}

/** Of an answer that nobody sees before it is whole. */
export const UNSEEN: AnswerOutput = {
  begin: () => ({ piece: () => undefined, broke: () => undefined }),
  finish: () => undefined,
};

/**
 * @param hand called with each piece at once
 * @param restarted told of each answer that broke off after some of it was handed on
 */
export function liveOutput(
  hand: (chunk: AnswerMessageChunk) => void,
  restarted: (restart: Restart) => void,
): AnswerOutput {
  let current = 0;
  let model = "";
  let characters = 0;
  let id: string | undefined;
  /** Pieces that say nothing yet: an attempt that ends before it has said anything leaves nothing to take back. */
  let waiting: AIMessageChunk[] = [];
  let hasSpoken = false;
  const pass = () => {
    for (const chunk of waiting) hand(identified(chunk, id));
    waiting = [];
  };
  const takeBack = (category: Category, message: string) => {
    waiting = [];
    if (hasSpoken) {
      const restart = { model, category, message, droppedCharacters: characters };
      restarted(restart);
      hand(restartChunk(restart, id));
    }
    hasSpoken = false;
    id = undefined;
    characters = 0;
  };
  return {
    begin(next) {
      current += 1;
      const own = current;
      // One that does not hear its abort has not said itself that it broke.
      takeBack("timeout", "the attempt was given up on");
      model = next;
      return {
        piece(chunk) {
          if (own !== current) return;
          hasSpoken ||= saysSomething(chunk);
          characters += chunk.text.length;
          id ??= chunk.id;
          waiting.push(chunk);
          if (hasSpoken) pass();
        },
        broke(category, message) {
          if (own === current) takeBack(category, message);
        },
      };
    },
    finish(metadata) {
      pass();
      hand(closingChunk(metadata, id));
    },
  };
}

/** Holds the pieces back until they make a whole answer. */
export function heldOutput(hand: (chunk: AnswerMessageChunk) => void): AnswerOutput {
  let held: AIMessageChunk[] = [];
  return {
    begin() {
      const own: AIMessageChunk[] = [];
      held = own;
      const piece = (chunk: AIMessageChunk) => {
        // Of a chain within the chain.
        if (restartOf(chunk) === undefined) own.push(chunk);
        else own.length = 0;
      };
      return { piece, broke: () => undefined };
    },
    finish(metadata) {
      const id = held.find((chunk) => chunk.id !== undefined)?.id;
      for (const chunk of held) hand(identified(chunk, id));
      hand(closingChunk(metadata, id));
    },
  };
}

/** The opening of a stream, sent before the model has thought of anything, and the accounts at its end do not. */
export function saysSomething({ content, tool_call_chunks, additional_kwargs }: AIMessageChunk): boolean {
  return (
    content.length > 0 || (tool_call_chunks?.length ?? 0) > 0 || typeof additional_kwargs.reasoning_content === "string"
  );
}

/** All pieces of an answer bear its id: who shows them tells by it which belong together. */
function identified(chunk: AIMessageChunk, id: string | undefined): AnswerMessageChunk {
  if (chunk.id === undefined && id !== undefined) chunk.id = id;
  return asAnswerChunk(chunk);
}

/** `instanceof` takes any piece of LangChain for one. */
function asAnswerChunk(chunk: AIMessageChunk): AnswerMessageChunk {
  return Object.getPrototypeOf(chunk) === AnswerMessageChunk.prototype
    ? (chunk as AnswerMessageChunk)
    : (Object.setPrototypeOf(chunk, AnswerMessageChunk.prototype) as AnswerMessageChunk);
}

/** The pieces of a streamed answer. A piece may take back all that came before it. */
import { AIMessageChunk } from "@langchain/core/messages";
import { ChatGenerationChunk } from "@langchain/core/outputs";
import type { Category } from "../../errors/categories.js";

/** Why what was streamed so far is void. */
export interface Restart {
  /** The model whose answer broke off. */
  readonly model: string;
  readonly category: Category;
  readonly message: string;
  /** Characters of text that were streamed and are void. */
  readonly droppedCharacters: number;
}

/** Who answered, and after what; in `response_metadata.resilience` of each answer. */
export interface AnswerProvenance {
  /** The name of the model in the chain. */
  readonly answeredBy: string;
  /** Requests made for this answer, this one included. */
  readonly attempts: number;
  /** The failed ones, oldest first. */
  readonly failures: readonly { readonly model: string; readonly category: Category; readonly message: string }[];
}

/** What is added to the metadata of an answer. */
export interface AnswerMetadata {
  readonly resilience: AnswerProvenance;
  /** Where the model has not said its own name there. */
  readonly model_name?: string;
}

interface Marked {
  readonly response_metadata?: { readonly resilience?: { readonly restarted?: Restart } };
}

/**
 * Set on the piece that follows an answer which broke off: drop all the text that was streamed for this call so far; what
 * comes from here on is a new answer from its beginning. Undefined on every other piece.
 */
export function restartOf(chunk: unknown): Restart | undefined {
  return (chunk as Marked | null | undefined)?.response_metadata?.resilience?.restarted;
}

/** Joined to what came before it, a piece that restarts the answer replaces it. */
export class AnswerMessageChunk extends AIMessageChunk {
  /** Stored and sent as a class that LangChain knows: it finds no other when the message is read back. */
  override get lc_id(): string[] {
    return [...this.lc_namespace, AIMessageChunk.lc_name()];
  }

  override concat(chunk: AIMessageChunk): this {
    if (restartOf(chunk) !== undefined) return chunk as this;
    const whole = super.concat(chunk) as this;
    // An answer that is whole begins nothing anew.
    const { resilience } = chunk.response_metadata as { readonly resilience?: object };
    if (resilience !== undefined) whole.response_metadata = { ...whole.response_metadata, resilience };
    // The mark bears the name of the answer that broke off, for it is that one which is void.
    if (restartOf(this) !== undefined && this.content === "" && chunk.id !== undefined) whole.id = chunk.id;
    return whole;
  }
}

export class AnswerChunk extends ChatGenerationChunk {
  override concat(chunk: ChatGenerationChunk): ChatGenerationChunk {
    if (restartOf(chunk.message) !== undefined) return chunk;
    const { text, generationInfo, message } = super.concat(chunk);
    return new AnswerChunk({ text, message, ...(generationInfo === undefined ? {} : { generationInfo }) });
  }
}

/** A piece that says the answer begins anew. @param id of the message that is void */
export function restartChunk(restarted: Restart, id: string | undefined): AnswerMessageChunk {
  return piece({ resilience: { restarted } }, id);
}

/** The last piece of an answer. */
export function closingChunk(metadata: AnswerMetadata, id: string | undefined): AnswerMessageChunk {
  return piece(metadata, id);
}

function piece(response_metadata: object, id: string | undefined): AnswerMessageChunk {
  return new AnswerMessageChunk({
    content: "",
    response_metadata,
    ...(id === undefined ? {} : { id }),
  });
}

/** All pieces as one, joined in pairs: one after the other, the arguments of a long tool call would be read over and over. */
export function joined(chunks: readonly AIMessageChunk[]): AIMessageChunk | undefined {
  let layer: readonly AIMessageChunk[] = chunks;
  while (layer.length > 1) {
    const pairs: AIMessageChunk[] = [];
    for (let at = 0; at < layer.length; at += 2) {
      const [left, right] = [layer[at] as AIMessageChunk, layer[at + 1]];
      pairs.push(right === undefined ? left : left.concat(right));
    }
    layer = pairs;
  }
  return layer[0];
}

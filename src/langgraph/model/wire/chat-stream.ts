import {
  AnswerCutError,
  AnswerDamagedError,
  ContentFilteredError,
  UnusableResponseError,
} from "../../../errors/model-errors.js";
import { watchDamage } from "./damage.js";
import { excerpt, parsedObject, type StreamCheck } from "./stream-check.js";

export interface ChatRequestFacts {
  /** Answers asked for at once (`n`). */
  readonly choices: number;
  /** Whether the stream is to end in what the answer cost. */
  readonly includesUsage: boolean;
}

interface Choice {
  readonly index?: number;
  finish_reason?: string | null;
  readonly delta?: {
    readonly content?: unknown;
    readonly reasoning?: unknown;
    reasoning_content?: unknown;
    readonly refusal?: unknown;
    readonly tool_calls?: readonly { readonly function?: { readonly arguments?: unknown; readonly name?: unknown } }[];
  };
}

interface Usage {
  readonly prompt_tokens?: number;
  readonly total_tokens?: number;
  readonly completion_tokens?: number;
  readonly completion_tokens_details?: { readonly reasoning_tokens?: number } | null;
}

/**
 * The events of `POST /chat/completions`: https://platform.openai.com/docs/api-reference/chat-streaming. Whole is an
 * answer with a `finish_reason` for each choice; servers that leave out the closing `[DONE]` have still said that.
 *
 * A damaged event is passed over only where nothing can be missing: an event carries at least one token, so an answer of
 * exactly as many events as tokens has them all.
 */
export function chatStreamCheck({ choices, includesUsage }: ChatRequestFacts): StreamCheck {
  const finished = new Set<number>();
  const damage = watchDamage();
  let events = 0;
  let eventsWithChoices = 0;
  let textEvents = 0;
  let tokens: number | undefined;
  let isAccounted = false;
  let ended = false;
  let hasFailed = false;
  let firstNoise: string | undefined;
  let refusal = "";
  let model = "";

  const isFinished = () => finished.size >= choices;
  const refuseDamage = () => {
    if (damage.lost === undefined || textEvents === tokens) return;
    throw new AnswerDamagedError(
      `An event of the stream came damaged, and what it carried is missing from the answer: ${damage.lost}`,
    );
  };

  return {
    accept(data, name) {
      if (data.trim() === "[DONE]") {
        ended = true;
        return [data];
      }
      const sound = parsedObject(data);
      if (sound !== undefined) damage.sound();
      const text = sound === undefined ? damage.mend(data) : data;
      const event = sound ?? (text === undefined ? undefined : parsedObject(text));
      // Without the accounts at the end nothing will tell whether anything is missing.
      if (sound !== undefined && !includesUsage) refuseDamage();
      if (text === undefined || event === undefined) {
        firstNoise ??= excerpt(data);
        return [];
      }
      if (name === "error" && event.error === undefined) {
        hasFailed = true;
        return [JSON.stringify({ error: event })];
      }
      if (isForeign(event)) {
        damage.foreign(data);
        return [];
      }
      // Read by the client, which throws it.
      if (event.error) {
        hasFailed = true;
        return [data];
      }
      events += 1;
      return [read(event) ? JSON.stringify(event) : text];
    },
    get state() {
      if (ended || hasFailed) return "done";
      if (!isFinished()) return "open";
      return isAccounted ? "done" : "ending";
    },
    end() {
      // What the server says of its failure is the truth of it.
      if (hasFailed) return;
      if (events === 0)
        throw new UnusableResponseError(
          `The answer held no event of a stream${firstNoise === undefined ? "" : `; it begins ${firstNoise}`}`,
        );
      if (eventsWithChoices === 0)
        throw new UnusableResponseError("The stream held no choice, only empty lists of them");
      if (!ended && !isFinished())
        throw new AnswerCutError(`The stream ended after ${textEvents} pieces of text without a finish_reason`);
      refuseDamage();
      // The client passes over it.
      if (refusal !== "") throw new ContentFilteredError(model, refusal);
      if (damage.hasClosed && (tokens === undefined || textEvents > tokens))
        throw new AnswerDamagedError(
          "An event of the stream came without its end, and nobody can tell whether it was sent again: its text may be there twice",
        );
    },
  };

  /** @returns whether the event was changed: joined by the client, a reason that is said twice would read as none known */
  function read(event: Record<string, unknown>): boolean {
    let isChanged = false;
    if (typeof event.model === "string") model = event.model;
    const list = Array.isArray(event.choices) ? (event.choices as readonly Choice[]) : [];
    if (list.length > 0) eventsWithChoices += 1;
    for (const choice of list) {
      if (typeof choice !== "object" || choice === null)
        throw new UnusableResponseError(`The stream held a choice that is none: ${excerpt(JSON.stringify(choice))}`);
      if (carriesText(choice)) textEvents += 1;
      if (typeof choice.delta?.refusal === "string") refusal += choice.delta.refusal;
      if (namesItsThinking(choice)) isChanged = true;
      if (typeof choice.finish_reason !== "string") continue;
      const index = choice.index ?? 0;
      if (choice.finish_reason === "" || finished.has(index)) {
        choice.finish_reason = null;
        isChanged = true;
      } else finished.add(index);
    }
    const usage = event.usage as Usage | null | undefined;
    if (typeof usage?.completion_tokens === "number") {
      tokens = spokenTokens(usage);
      // Some servers give their accounts with every event; the last one counts.
      isAccounted = isFinished();
    }
    return isChanged;
  }
}

/** OpenRouter, vLLM and Groq call it otherwise than the client does, to which thinking would look like silence. */
function namesItsThinking({ delta }: Choice): boolean {
  if (typeof delta?.reasoning !== "string" || delta.reasoning_content !== undefined) return false;
  delta.reasoning_content = delta.reasoning;
  return true;
}

/** Without the thinking, which some servers count apart: then it is in the total, and not among these. */
function spokenTokens({ prompt_tokens = 0, completion_tokens = 0, total_tokens, ...usage }: Usage): number {
  const countsThinking = total_tokens === undefined || total_tokens === prompt_tokens + completion_tokens;
  return completion_tokens - (countsThinking ? (usage.completion_tokens_details?.reasoning_tokens ?? 0) : 0);
}

/** Servers add events of their own to the protocol's; one that names nothing of it at all is the rest of another. */
function isForeign({ choices, usage, error, id, object }: Record<string, unknown>): boolean {
  return [choices, usage, error, id, object].every((field) => field === undefined);
}

function carriesText({ delta }: Choice): boolean {
  if (typeof delta?.content === "string" && delta.content !== "") return true;
  return (Array.isArray(delta?.tool_calls) ? delta.tool_calls : []).some(
    (call) => call?.function?.arguments !== undefined && call.function.arguments !== "",
  );
}

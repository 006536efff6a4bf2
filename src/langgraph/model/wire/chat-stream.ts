import { AnswerCutError, AnswerDamagedError, UnusableResponseError } from "../../../errors/model-errors.js";
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
  readonly finish_reason?: string | null;
  readonly delta?: {
    readonly content?: unknown;
    readonly reasoning_content?: unknown;
    readonly tool_calls?: readonly { readonly function?: { readonly arguments?: unknown; readonly name?: unknown } }[];
  };
}

interface Usage {
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
  let ended = false;
  let hasFailed = false;
  let firstNoise: string | undefined;

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
      if (event.error !== undefined && event.error !== null) {
        hasFailed = true;
        return [data];
      }
      events += 1;
      read(event);
      return [text];
    },
    get state() {
      if (ended || hasFailed) return "done";
      if (!isFinished()) return "open";
      return tokens === undefined ? "ending" : "done";
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
      if (damage.hasClosed && (tokens === undefined || textEvents > tokens))
        throw new AnswerDamagedError(
          "An event of the stream came without its end, and nobody can tell whether it was sent again: its text may be there twice",
        );
    },
  };

  function read(event: Record<string, unknown>): void {
    const list = Array.isArray(event.choices) ? (event.choices as readonly Choice[]) : [];
    if (list.length > 0) eventsWithChoices += 1;
    for (const choice of list) {
      if (carriesText(choice)) textEvents += 1;
      if (typeof choice?.finish_reason === "string") finished.add(choice.index ?? 0);
    }
    const usage = event.usage as Usage | null | undefined;
    if (typeof usage?.completion_tokens === "number")
      tokens = usage.completion_tokens - (usage.completion_tokens_details?.reasoning_tokens ?? 0);
  }
}

/** Servers add events of their own to the protocol's; one that names nothing of it at all is the rest of another. */
function isForeign({ choices, usage, error, id, object }: Record<string, unknown>): boolean {
  return [choices, usage, error, id, object].every((field) => field === undefined);
}

function carriesText({ delta }: Choice): boolean {
  if (typeof delta?.content === "string" && delta.content !== "") return true;
  return (delta?.tool_calls ?? []).some(
    (call) => call?.function?.arguments !== undefined && call.function.arguments !== "",
  );
}

import { AnswerCutError, AnswerDamagedError, UnusableResponseError } from "../../../errors/model-errors.js";
import { watchDamage } from "./damage.js";
import { excerpt, parsedObject, type StreamCheck } from "./stream-check.js";

const LAST_EVENTS: readonly unknown[] = ["response.completed", "response.incomplete"];

/**
 * The events of `POST /responses`: https://platform.openai.com/docs/api-reference/responses-streaming. They are numbered,
 * so that a damaged one is known to be missing or to have been one too many.
 */
export function responsesStreamCheck(): StreamCheck {
  const damage = watchDamage();
  let ended = false;
  let events = 0;
  let last: number | undefined;
  let isUnnumbered = false;
  let hasGap = false;
  let firstNoise: string | undefined;
  const texts = createTexts();

  const refuseDamage = () => {
    if (damage.lost === undefined || !(hasGap || isUnnumbered)) return;
    throw new AnswerDamagedError(
      `An event of the stream came damaged, and what it carried is missing from the answer: ${damage.lost}`,
    );
  };

  return {
    accept(data) {
      const sound = parsedObject(data);
      const mended = sound === undefined ? damage.mend(data) : undefined;
      if (sound !== undefined) damage.sound();
      const event = sound ?? (mended === undefined ? undefined : parsedObject(mended));
      if (event === undefined) {
        firstNoise ??= excerpt(data);
        return [];
      }
      const { sequence_number: number, type } = event;
      if (typeof type !== "string") {
        damage.foreign(data);
        return [];
      }
      events += 1;
      if (typeof number !== "number") isUnnumbered = true;
      else {
        if (last !== undefined && number > last + 1) hasGap = true;
        last = number;
      }
      refuseDamage();
      if (type === "response.failed") throw failureIn((event.response as Failure | undefined)?.error);
      // Nor does the client throw this one.
      if (type === "error") throw failureIn((event.error ?? event) as Failure["error"]);
      texts.take(event);
      if (LAST_EVENTS.includes(type)) ended = true;
      return [mended ?? data];
    },
    get state() {
      return ended ? "done" : "open";
    },
    end() {
      if (ended) return;
      if (events === 0)
        throw new UnusableResponseError(
          `The answer held no event of a stream${firstNoise === undefined ? "" : `; it begins ${firstNoise}`}`,
        );
      throw new AnswerCutError(`The stream ended after ${events} events without response.completed`);
    },
  };
}

/** The text and arguments that came in pieces, held against what the server says that they are as a whole. */
function createTexts() {
  const pieces = new Map<string, string>();
  const compare = (key: string, whole: unknown) => {
    const came = pieces.get(key);
    // Shorter is what a server has trimmed; longer, what has not arrived.
    if (typeof whole !== "string" || came === undefined || came.length >= whole.length) return;
    throw new AnswerDamagedError(`Of the ${whole.length} characters that the server sent, ${came.length} have come`);
  };
  return {
    take(event: Record<string, unknown>): void {
      const {
        type,
        output_index: item,
        content_index: part = 0,
        delta,
      } = event as {
        readonly type: string;
        readonly output_index?: unknown;
        readonly content_index?: unknown;
        readonly delta?: unknown;
      };
      const [, kind, step] = /^response\.(output_text|function_call_arguments)\.(delta|done)$/.exec(type) ?? [];
      if (kind === undefined) return;
      const key = `${kind} ${String(item)} ${String(part)}`;
      if (step === "delta") pieces.set(key, (pieces.get(key) ?? "") + String(delta ?? ""));
      else compare(key, kind === "output_text" ? event.text : event.arguments);
    },
  };
}

interface Failure {
  readonly error?: { readonly code?: unknown; readonly message?: unknown };
}

/** In the server's words, which the client passes over. */
function failureIn(error: Failure["error"]): Error {
  const message = typeof error?.message === "string" ? error.message : "The server says that the answer failed";
  return Object.assign(new Error(message), { code: error?.code ?? "server_error" });
}

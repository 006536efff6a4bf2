/** What a stream of an OpenAI-compatible server has to be for its answer to be whole. */

export interface StreamCheck {
  /**
   * Takes the data of one event, and its name if it has one.
   *
   * @returns what to hand on: itself, a mended form of it, or nothing
   * @throws what makes the answer unusable
   */
  accept(data: string, name?: string): readonly string[];
  /**
   * - `open`: more has to come
   * - `ending`: the answer is whole; only its accounts are missing, and they may be missing for good
   * - `done`: nothing more is needed
   */
  readonly state: "open" | "ending" | "done";
  /** The server has ended the stream, or nothing more is waited for. @throws when that leaves no whole answer */
  end(): void;
}

/** How much of what came is shown in a message. */
const EXCERPT_CHARACTERS = 120;

export function excerpt(text: string): string {
  const shown = text.trim().slice(0, EXCERPT_CHARACTERS);
  return JSON.stringify(shown.length < text.trim().length ? `${shown}…` : shown);
}

export function parsedObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** What servers send to keep a connection open, in the wrong form. Anything else might be what is left of an event. */
export function isNoise(data: string): boolean {
  return /^\s*(?:|:[^{}"]*|ping|pong|keep-?alive|heartbeat|null|\[\])\s*$/i.test(data);
}

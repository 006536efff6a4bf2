import { excerpt, isNoise, parsedObject } from "./stream-check.js";

/** Deals with events that are no JSON. */
export interface Damage {
  /**
   * @param data of an event that cannot be parsed
   * @returns the event, if it can be restored without a guess
   */
  mend(data: string): string | undefined;
  /** JSON that is no event of the protocol: perhaps what is left of one. */
  foreign(data: string): void;
  /** An event in good order came: what lies before it will not be completed any more. */
  sound(): void;
  /** Whether an event was restored by itself: it may have been sent again, whole. */
  readonly hasClosed: boolean;
  /** What came damaged and was not restored; undefined where nothing can be missing. */
  readonly lost: string | undefined;
}

export function watchDamage(): Damage {
  let fragment: string | undefined;
  let lost: string | undefined;
  let hasClosed = false;
  return {
    mend(data) {
      const whole = fragment === undefined ? data : fragment + data;
      if (parsedObject(whole) !== undefined) {
        fragment = undefined;
        return whole;
      }
      if (isNoise(data)) return undefined;
      const closed = closedAtEnd(whole);
      if (closed !== undefined) {
        fragment = undefined;
        hasClosed = true;
        return closed;
      }
      if (fragment !== undefined) lost ??= excerpt(fragment);
      fragment = data;
      return undefined;
    },
    foreign(data) {
      lost ??= excerpt(data);
    },
    sound() {
      if (fragment === undefined) return;
      lost ??= excerpt(fragment);
      fragment = undefined;
    },
    get hasClosed() {
      return hasClosed;
    },
    get lost() {
      return lost ?? (fragment === undefined ? undefined : excerpt(fragment));
    },
  };
}

const MAX_CLOSERS = 8;

/** The event with its last brackets put back, if the text it carries is there to its closing quote. */
function closedAtEnd(data: string): string | undefined {
  const closers: string[] = [];
  let inString = false;
  let escaped = false;
  for (const character of data) {
    if (escaped) escaped = false;
    else if (inString) {
      if (character === "\\") escaped = true;
      else if (character === '"') inString = false;
    } else if (character === '"') inString = true;
    else if (character === "{") closers.push("}");
    else if (character === "[") closers.push("]");
    else if ((character === "}" || character === "]") && closers.pop() !== character) return undefined;
  }
  if (inString || closers.length === 0 || closers.length > MAX_CLOSERS) return undefined;
  const closed = data + closers.reverse().join("");
  return carriesText(parsedObject(closed)) ? closed : undefined;
}

function carriesText(event: Record<string, unknown> | undefined): boolean {
  const choices = event?.choices as readonly { readonly delta?: Readonly<Record<string, unknown>> }[] | undefined;
  const delta = choices?.[0]?.delta;
  const { content, tool_calls } = delta ?? {};
  return choices?.length === 1 && typeof content === "string" && content !== "" && tool_calls === undefined;
}

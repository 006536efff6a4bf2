/** Where a text that was cut and its continuation meet. */

/** Shorter repetitions may be what the text is meant to say: a name, a word like "and". */
const MIN_OVERLAP = 20;
/** How far back a continuation is looked for in the text before it; also the most that is held back. */
const MAX_OVERLAP = 2000;

export interface Seam {
  /** Takes the next piece of the continuation and gives what can be handed out by now. */
  push(piece: string): string;
  /** Gives what is still held back: the continuation has come to its end. */
  end(): string;
}

/**
 * Takes the repetition away with which many models begin a continuation: the longest end of `text`, of 20 characters or
 * more, that the continuation begins with. A piece is held back only as long as it may be part of one. Takes time in
 * proportion to what it looks at, whatever the texts.
 *
 * After a space, which {@link safeCut} cuts at, the continuation begins with a word: models leave the space out, or say
 * it again.
 */
export function seamAfter(text: string): Seam {
  let state: State | undefined = automatonOf(text.slice(-MAX_OVERLAP));
  let isAtStart = /\s$/.test(text);
  let held = "";
  let matched = 0;
  let overlap = 0;

  const released = (): string => {
    state = undefined;
    // What the text itself says over and over may well come once more: nothing is lost for a repetition too many.
    const rest = held.slice(saysTwice(text, overlap) ? 0 : overlap);
    held = "";
    return rest;
  };

  return {
    push(piece) {
      const given = isAtStart ? piece.trimStart() : piece;
      if (given !== "") isAtStart = false;
      if (state === undefined) return given;
      held += given;
      while (matched < held.length) {
        state = state.next.get(held.charCodeAt(matched));
        if (state === undefined) return released();
        matched += 1;
        if (state.endsText && matched >= MIN_OVERLAP) overlap = matched;
      }
      return "";
    },
    end: released,
  };
}

/** Whether the last characters of the text were said in it just before, too. */
function saysTwice(text: string, length: number): boolean {
  if (length === 0) return false;
  const end = text.slice(-length);
  const period = smallestPeriod(end);
  if (period * 2 <= length) return true;
  return text.length >= length + period && text.slice(-length - period, -period) === end;
}

/** Knuth, Morris and Pratt 1977: in linear time. */
function smallestPeriod(text: string): number {
  const border = [0];
  for (let at = 1, length = 0; at < text.length; at += 1) {
    while (length > 0 && text[at] !== text[length]) length = border[length - 1] as number;
    if (text[at] === text[length]) length += 1;
    border[at] = length;
  }
  return text.length - (border.at(-1) as number);
}

/** The pieces of the text that end at the same places. */
interface State {
  readonly next: Map<number, State>;
  readonly length: number;
  shorter: State | undefined;
  /** Whether they end where the text does. */
  endsText: boolean;
}

/**
 * The suffix automaton of a text: every walk from its start is a piece of the text. Blumer et al., "The smallest
 * automaton recognizing the subwords of a text", Theoretical Computer Science 40, 1985.
 */
function automatonOf(text: string): State {
  const start: State = { next: new Map(), length: 0, shorter: undefined, endsText: false };
  let whole = start;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    const added: State = { next: new Map(), length: whole.length + 1, shorter: start, endsText: false };
    let at: State | undefined = whole;
    for (; at !== undefined && !at.next.has(unit); at = at.shorter) at.next.set(unit, added);
    if (at !== undefined) added.shorter = endingWith(unit, at);
    whole = added;
  }
  for (let at: State | undefined = whole; at !== undefined; at = at.shorter) at.endsText = true;
  return start;
}

/** The state of exactly the pieces of `at` with one unit more; split off from a state of longer ones if need be. */
function endingWith(unit: number, at: State): State {
  const found = at.next.get(unit) as State;
  if (found.length === at.length + 1) return found;
  const split: State = { ...found, next: new Map(found.next), length: at.length + 1 };
  found.shorter = split;
  for (let from: State | undefined = at; from?.next.get(unit) === found; from = from.shorter)
    from.next.set(unit, split);
  return split;
}

/** No word is longer; what is, is cut where it ends. */
const LONGEST_WORD = 64;

/**
 * How much of a text that goes on can be kept so that a model can take up the thread: whole words with the space after
 * them. In the middle of a word, or of the indentation of a line, a continuation begins where it likes.
 */
export function safeCut(text: string): number {
  for (let at = text.length - 1; at > Math.max(0, text.length - LONGEST_WORD); at -= 1)
    if (/\S/.test(text.charAt(at)) && /\s/.test(text.charAt(at - 1))) return at;
  if (text.length < LONGEST_WORD && /[\w\s]$/.test(text)) return 0;
  return /[\uD800-\uDBFF]$/.test(text) ? text.length - 1 : text.length;
}

/** What changed between two texts: all but a common beginning and a common end. A list that grows changes at its end. */

export interface TextChange {
  /** Characters taken over from the beginning, and from the end. */
  readonly prefix: number;
  readonly suffix: number;
  /** What stands between them in the new text. */
  readonly middle: string;
}

export function changeBetween(before: string, after: string): TextChange {
  const shorter = Math.min(before.length, after.length);
  const prefix = whole(
    after,
    commonLength(shorter, (length) => after.startsWith(before.slice(0, length))),
  );
  const suffix = commonLength(shorter - prefix, (length) => after.endsWith(before.slice(before.length - length)));
  const end = after.length - suffix;
  // Neither end may fall between the halves of a surrogate pair: half a pair has no UTF-8.
  const kept = isLowSurrogate(after.charCodeAt(end)) ? suffix - 1 : suffix;
  return { prefix, suffix: kept, middle: after.slice(prefix, after.length - kept) };
}

/** The longest length for which `holds`, which holds for every shorter one; almost all is tried first. */
function commonLength(limit: number, holds: (length: number) => boolean): number {
  if (limit <= 0) return 0;
  if (holds(limit)) return limit;
  if (limit > 1 && holds(limit - 1)) return limit - 1;
  let low = 0;
  let high = limit - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (holds(middle)) low = middle;
    else high = middle;
  }
  return low;
}

function whole(text: string, length: number): number {
  return length > 0 && isLowSurrogate(text.charCodeAt(length)) ? length - 1 : length;
}

function isLowSurrogate(code: number): boolean {
  return code >= 0xdc00 && code <= 0xdfff;
}

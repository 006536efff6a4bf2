/** Text that no compression makes smaller, the same in every run: what a person types has no repeats of 1 KB either. */

const SIGNS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/**
 * Pseudo-random words of 2 to 9 letters and digits, in ASCII.
 *
 * @param {string} seed the same seed gives the same text
 * @param {number} bytes length of the text
 */
export function randomText(seed, bytes) {
  const next = random(seed);
  const text = Buffer.alloc(bytes);
  let left = 0;
  for (let at = 0; at < bytes; at += 1) {
    if (left === 0) {
      left = 2 + Math.floor(next() * 8);
      text[at] = 0x20;
    } else {
      left -= 1;
      text[at] = SIGNS.charCodeAt(Math.floor(next() * SIGNS.length));
    }
  }
  return text.toString("latin1");
}

/** Mulberry32 (Tommy Ettinger, public domain), started from an FNV-1a hash of the seed. */
function random(/** @type {string} */ seed) {
  let state = 0x811c9dc5;
  for (let at = 0; at < seed.length; at += 1) state = Math.imul(state ^ seed.charCodeAt(at), 0x01000193);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

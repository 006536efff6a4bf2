/** Texts that databases, JSON and careless escaping stumble over. */
export const oddTexts: readonly string[] = [
  "",
  " ",
  "NUL \0 within",
  "half a pair \ud800 and \udfff",
  "a marker \uFDD00000 of our own",
  "quotes ' \" \\ \\u0000 % _ $1",
  "__proto__",
  "línea\n\u2028 日本語 🧨",
];

/** What goes wrong, and what a good end of it is. Nothing here knows who is asked. */

export const PRIMARY = "primary";
export const FALLBACK = "fallback";

/** @typedef {import("langgraph-resilience/chaos").ScriptEntry} ScriptEntry */
/** @typedef {import("langgraph-resilience/chaos").SeenRequest} SeenRequest */

/**
 * @typedef {object} Scenario
 * @property {string} name
 * @property {string} title what the server does
 * @property {readonly ScriptEntry[]} script
 * @property {"answer" | "error"} best what a good end is: a whole answer, or an error that says what is wrong
 * @property {RegExp} says what an error has to hold to be a clear one
 * @property {boolean} [tools] asks for a call of a tool
 * @property {boolean} [prefill] the conversation ends in words of the assistant
 * @property {readonly ("stream" | "whole")[]} [modes] default both
 * @property {(sick: readonly SeenRequest[], all: readonly SeenRequest[]) => string | undefined} [conduct] what was wrong
 *   with how the server was treated
 */

const onPrimary = { when: { model: PRIMARY } };
const always = /** @type {const} */ ({ ...onPrimary, times: "always" });
const everyModel = /** @type {const} */ ({ times: "always" });

/**
 * @param {number} afterMs what the server asked for
 * @returns {NonNullable<Scenario["conduct"]>}
 */
const keepsRetryAfter = (afterMs) => (sick, all) => {
  const early = sick.filter((refused) =>
    // A timer may fire a millisecond early, and the header speaks of the time at which it was sent.
    all.some(({ model, atMs }) => model === refused.model && atMs > refused.atMs && atMs < refused.atMs + afterMs - 50),
  ).length;
  return early === 0 ? undefined : `came back too early ×${early}`;
};

/** @type {NonNullable<Scenario["conduct"]>} */
const neverRepeats = (sick) => {
  const most = Math.max(0, ...[PRIMARY, FALLBACK].map((name) => sick.filter(({ model }) => model === name).length));
  return most <= 1 ? undefined : `asked the same ×${most}`;
};

/** @type {NonNullable<Scenario["conduct"]>} */
const leavesTheSilent = (sick) => (sick.length <= 1 ? undefined : `asked the silent route ×${sick.length}`);

const CUT = /cut|ended|terminat|premature|finish|closed|reset|abort|JSON/i;
const JUNK = /html|JSON|no answer|unusable|empty|choice|Unexpected token/i;
const SILENT = /time|timed|silen|token|abort/i;
const ARGUMENTS = /argument|JSON|schema|valid/i;

/** @type {readonly Scenario[]} */
export const SCENARIOS = [
  {
    name: "healthy",
    title: "nothing goes wrong",
    script: [],
    best: "answer",
    says: /./,
  },
  {
    name: "429-retry-after",
    title: "429 once, Retry-After: 2",
    script: [{ kind: "status", status: 429, headers: { "retry-after": "2" }, ...onPrimary }],
    best: "answer",
    says: /429|rate.?limit|too many/i,
    conduct: keepsRetryAfter(2000),
  },
  {
    name: "429-long",
    title: "429 for ever, Retry-After: 20",
    script: [{ kind: "status", status: 429, headers: { "retry-after": "20" }, ...always }],
    best: "answer",
    says: /429|rate.?limit|too many/i,
    conduct: keepsRetryAfter(20_000),
  },
  {
    name: "429-bare",
    title: "429 once, without Retry-After",
    script: [{ kind: "status", status: 429, ...onPrimary }],
    best: "answer",
    says: /429|rate.?limit|too many/i,
  },
  {
    name: "500-once",
    title: "500 once",
    script: [{ kind: "status", status: 500, ...onPrimary }],
    best: "answer",
    says: /500|internal server/i,
  },
  {
    name: "503-always",
    title: "503 for ever",
    script: [{ kind: "status", status: 503, ...always }],
    best: "answer",
    says: /503|unavailable/i,
  },
  {
    name: "reset",
    title: "TCP reset before headers, once",
    script: [{ kind: "reset", ...onPrimary }],
    best: "answer",
    says: /reset|connect|socket|network|terminat/i,
  },
  {
    name: "hang",
    title: "no response at all, for ever",
    script: [{ kind: "hang", ...always }],
    best: "answer",
    says: SILENT,
    conduct: leavesTheSilent,
  },
  {
    name: "late-first-token",
    title: "first token after 20 s, always",
    script: [{ kind: "late_first_token", delayMs: 20_000, ...always }],
    best: "answer",
    says: SILENT,
  },
  {
    name: "cut",
    title: "stream cut in the middle, clean end, once",
    script: [{ kind: "cut_stream", ...onPrimary }],
    best: "answer",
    says: CUT,
  },
  {
    name: "cut-reset",
    title: "stream cut in the middle by a TCP reset, once",
    script: [{ kind: "reset_stream", ...onPrimary }],
    best: "answer",
    says: CUT,
  },
  {
    name: "stall",
    title: "stream stalls, connection open, once",
    script: [{ kind: "stall", ...onPrimary }],
    best: "answer",
    says: SILENT,
  },
  {
    name: "malformed-extra",
    title: "one malformed event more, stream complete, once",
    script: [{ kind: "malformed_event", ...onPrimary }],
    best: "answer",
    says: JUNK,
  },
  {
    name: "malformed-instead",
    title: "one malformed event in place of text, once",
    script: [{ kind: "malformed_event", instead: true, ...onPrimary }],
    best: "answer",
    says: /damag|JSON|malformed/i,
    modes: ["stream"],
  },
  {
    name: "no-terminator",
    title: "no [DONE], connection stays open, always",
    script: [{ kind: "no_terminator", ...always }],
    best: "answer",
    says: SILENT,
    modes: ["stream"],
  },
  {
    name: "no-terminator-closed",
    title: "no [DONE], connection closed, always",
    script: [{ kind: "no_terminator", connection: "close", ...always }],
    best: "answer",
    says: CUT,
    modes: ["stream"],
  },
  {
    name: "context-length",
    title: "context length exceeded on the primary",
    script: [{ kind: "context_length", ...always }],
    best: "answer",
    says: /context/i,
    conduct: neverRepeats,
  },
  {
    name: "filter-prompt",
    title: "content filter refuses the prompt (400), all models",
    script: [{ kind: "content_filter", reason: "violence", ...everyModel }],
    best: "error",
    says: /violence/i,
    conduct: neverRepeats,
  },
  {
    name: "filter-answer",
    title: "content filter cuts the answer (finish_reason), all models",
    script: [{ kind: "finish", reason: "content_filter", ...everyModel }],
    best: "error",
    says: /content.?filter/i,
    conduct: neverRepeats,
  },
  {
    name: "prefill-restart",
    title: "primary always cut, fallback rejects a prefill",
    script: [
      { kind: "cut_stream", ...always },
      { kind: "rejects_prefill", when: { model: FALLBACK }, times: "always" },
    ],
    best: "answer",
    says: CUT,
  },
  {
    name: "prefill-masked",
    title: "503 for ever, fallback rejects the prefill asked for",
    script: [
      { kind: "status", status: 503, ...always },
      { kind: "rejects_prefill", when: { model: FALLBACK }, times: "always" },
    ],
    best: "error",
    says: /503|unavailable/i,
    prefill: true,
  },
  ...["invalid", "cut", "missing", "not_object"].map(
    (damage) =>
      /** @type {Scenario} */ ({
        name: `arguments-${damage}`,
        title: `arguments of a tool call: ${damage.replace("_", " ")}, once`,
        script: [{ kind: "tool_arguments", damage, ...onPrimary }],
        best: "answer",
        says: ARGUMENTS,
        tools: true,
      }),
  ),
  {
    name: "html",
    title: "200 with an HTML page, always",
    script: [{ kind: "junk_body", ...always }],
    best: "answer",
    says: JUNK,
  },
  {
    name: "junk-json",
    title: "200 with JSON that is no answer, always",
    script: [{ kind: "junk_body", body: '{"ok":true}', contentType: "application/json", ...always }],
    best: "answer",
    says: JUNK,
  },
  {
    name: "empty-choices",
    title: "200 with empty choices, always",
    script: [{ kind: "empty_choices", ...always }],
    best: "answer",
    says: /choice|empty|no answer/i,
  },
  {
    name: "ignores-stream",
    title: "one JSON body although a stream was asked for, always",
    script: [{ kind: "ignores_stream", ...always }],
    best: "answer",
    says: JUNK,
    modes: ["stream"],
  },
];

/**
 * One referee for all: looks at the text that came, at the arguments of the tool call and at what the server saw, never
 * at what a contender says about itself.
 */
import { isDeepStrictEqual } from "node:util";
import { AIMessage, HumanMessage } from "@langchain/core/messages";
import { startFaultyProvider, toolCalls } from "langgraph-resilience/chaos";
import { FALLBACK, PRIMARY } from "./scenarios.mjs";

/** @typedef {import("./contenders.mjs").Contender} Contender */
/** @typedef {import("./contenders.mjs").Received} Received */
/** @typedef {import("./scenarios.mjs").Scenario} Scenario */
/** @typedef {import("langgraph-resilience/chaos").SeenRequest} SeenRequest */
/** @typedef {"stream" | "whole"} Mode */

/** Best first; the place in the list is the rank. */
export const VERDICTS = /** @type {const} */ ([
  "whole",
  "whole, stale text",
  "clear error",
  "flagged",
  "unclear error",
  "gave up",
  "EMPTY",
  "TRUNCATED",
  "WRONG",
]);
/** @typedef {(typeof VERDICTS)[number]} Verdict */

/**
 * @typedef {object} Result
 * @property {string} scenario
 * @property {string} contender
 * @property {Mode} mode
 * @property {Verdict} verdict
 * @property {boolean} good the best that can be had here
 * @property {string | undefined} answeredBy the model whose text it is
 * @property {number} sick requests that met a fault
 * @property {number} requests all
 * @property {number} ms until there was an answer or an error
 * @property {number} cleared characters of text that were shown and cleared because a mark said that they are void
 * @property {string | undefined} conduct what was wrong with how the server was treated
 * @property {string | undefined} accounts what was wrong with the model named, the tokens and the completions counted
 * @property {string} detail the error's words, or what the answer was
 */

/** Seconds after which the referee goes home. */
export const LIMIT_MS = 60_000;

const sentences = (/** @type {string} */ who) =>
  Array.from({ length: 8 }, (_, at) => `Sentence ${at + 1} of 8, written by the ${who} model.`).join(" ");
/** @type {Readonly<Record<string, string>>} */
const TEXTS = { [PRIMARY]: sentences(PRIMARY), [FALLBACK]: sentences(FALLBACK) };
export const QUESTION = "Tell me the eight sentences.";
const BOOKING = { day: "Friday", guests: 4 };

/** @param {import("langgraph-resilience/chaos").ChatRequest} request */
export function rightAnswer({ model, tools, messages }) {
  const booked = messages.some(({ role, text }) => role === "tool" && text === "booked");
  return tools.length > 0 && !booked ? toolCalls([{ name: "book_table", args: BOOKING }]) : (TEXTS[model] ?? "");
}

/**
 * Runs one question of one contender at a server of its own.
 *
 * @param {Scenario} scenario
 * @param {Contender} contender
 * @param {Mode} mode
 * @returns {Promise<Result>}
 */
export async function runOne(scenario, contender, mode) {
  const provider = await startFaultyProvider({ answer: rightAnswer, script: scenario.script });
  const session = contender.open(provider.baseUrl);
  const messages = [new HumanMessage(QUESTION), ...(scenario.prefill === true ? [new AIMessage("Sentence 1")] : [])];
  const ended = await ask(session[mode], messages, scenario.tools === true);
  const requests = [...provider.requests];
  await provider.close();
  const sick = requests.filter(({ fault }) => fault.kind !== "none" && fault.kind !== "rejects_prefill");
  const { verdict, answeredBy, detail } = judge(scenario, ended, requests.length);
  return {
    scenario: scenario.name,
    contender: contender.name,
    mode,
    verdict,
    good: verdict === "whole" || (verdict === "clear error" && scenario.best === "error"),
    answeredBy,
    sick: sick.length,
    requests: requests.length,
    ms: Math.round(ended.ms),
    cleared: ended.received?.cleared ?? 0,
    conduct: scenario.conduct?.(sick, requests),
    accounts:
      answeredBy === undefined || scenario.tools === true ? undefined : wrongAccounts(ended, answeredBy, requests),
    detail,
  };
}

/**
 * @typedef {object} Ended
 * @property {number} ms
 * @property {number} completions that callbacks were told of
 * @property {Received} [received]
 * @property {unknown} [error]
 * @property {boolean} [gaveUp]
 */

/**
 * @param {import("./contenders.mjs").Session[Mode]} asks
 * @param {import("@langchain/core/messages").BaseMessage[]} messages
 * @returns {Promise<Ended>}
 */
export async function ask(asks, messages, tools = false) {
  const giveUp = new AbortController();
  let completions = 0;
  const handleLLMEnd = () => {
    completions += 1;
  };
  const began = performance.now();
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  // Not everybody hears an abort.
  const late = new Promise((resolve) => {
    timer = setTimeout(() => {
      giveUp.abort();
      resolve({ gaveUp: true });
    }, LIMIT_MS);
  });
  const asked = asks({ messages, tools, signal: giveUp.signal, callbacks: [{ handleLLMEnd }] }).then(
    (received) => ({ received }),
    (error) => ({ error }),
  );
  const ended = await Promise.race([asked, late]);
  const ms = performance.now() - began;
  clearTimeout(timer);
  // Callbacks are told in the background.
  await new Promise((resolve) => setTimeout(resolve, 50));
  return { ms, completions, .../** @type {object} */ (ended) };
}

/**
 * @param {Scenario} scenario
 * @param {Ended} ended
 * @param {number} requests
 * @returns {{ verdict: Verdict, answeredBy?: string | undefined, detail: string }}
 */
function judge(scenario, { received, error, gaveUp }, requests) {
  if (gaveUp === true)
    return {
      verdict: "gave up",
      detail: `nothing after ${LIMIT_MS / 1000} s, ${requests > 1 ? "still retrying" : "still waiting for the first request"}`,
    };
  if (received === undefined) {
    const words = wordsOf(error);
    return { verdict: scenario.says.test(words) ? "clear error" : "unclear error", detail: words.slice(0, 300) };
  }
  if (scenario.tools === true) return judgeTools(received);
  return judgeAnswer(received);
}

/**
 * What was shown is one thing, what goes on into the conversation another; the worse of the two counts.
 *
 * @param {Received} received
 * @returns {{ verdict: Verdict, answeredBy?: string | undefined, detail: string }}
 */
function judgeAnswer(received) {
  const shown = judgeText(received);
  if (received.message === undefined) return shown;
  const kept = judgeText({ text: received.message.text, stale: "", message: undefined });
  return VERDICTS.indexOf(kept.verdict) > VERDICTS.indexOf(shown.verdict)
    ? { ...kept, detail: `in the message: ${kept.detail}` }
    : shown;
}

/** @param {Received} received */
export function judgeText({ text, stale }) {
  const answeredBy = Object.keys(TEXTS).find((model) => TEXTS[model] === text);
  if (answeredBy !== undefined)
    return stale === ""
      ? { verdict: /** @type {const} */ ("whole"), answeredBy, detail: "" }
      : { verdict: /** @type {const} */ ("whole, stale text"), answeredBy, detail: `shown and left: ${stale}` };
  if (text.trim() === "") return { verdict: /** @type {const} */ ("EMPTY"), detail: "no text, as a success" };
  const isPart = Object.values(TEXTS).some((whole) => text.length < whole.length && isThinned(text, whole));
  return isPart
    ? { verdict: /** @type {const} */ ("TRUNCATED"), detail: `${text.length} characters as a success` }
    : { verdict: /** @type {const} */ ("WRONG"), detail: text.slice(0, 300) };
}

/** Whether the text is the whole with something left out, at the end or between. */
function isThinned(/** @type {string} */ text, /** @type {string} */ whole) {
  let at = 0;
  for (const character of whole) if (character === text[at]) at += 1;
  return at === text.length;
}

/**
 * @param {Received} received
 * @returns {{ verdict: Verdict, answeredBy?: string | undefined, detail: string }}
 */
function judgeTools(received) {
  const { message, executed } = received;
  const calls = executed ?? (message?.tool_calls ?? []).map(({ args }) => args);
  const detail = JSON.stringify(calls);
  if (calls.length === 1 && isDeepStrictEqual(calls[0], BOOKING)) {
    // Where the tool was really run, the answer that follows counts as well.
    if (executed !== undefined) {
      const answer = judgeAnswer(received);
      return answer.verdict === "whole" ? { ...answer, detail } : answer;
    }
    const { model_name: name } = /** @type {{ model_name?: string }} */ (message?.response_metadata ?? {});
    return { verdict: "whole", answeredBy: name?.includes(FALLBACK) === true ? FALLBACK : PRIMARY, detail };
  }
  if (calls.length > 0) return { verdict: "WRONG", detail };
  const invalid = message?.invalid_tool_calls ?? [];
  return invalid.length > 0
    ? { verdict: "flagged", detail: "a message with invalid_tool_calls" }
    : { verdict: "EMPTY", detail: "no tool call, as a success" };
}

/**
 * @param {Ended} ended
 * @param {string} answeredBy
 * @param {readonly SeenRequest[]} requests
 */
function wrongAccounts({ received, completions }, answeredBy, requests) {
  const message = received?.message;
  const usage = /** @type {import("@langchain/core/messages").UsageMetadata | undefined} */ (message?.usage_metadata);
  const named = /** @type {{ model_name?: unknown } | undefined} */ (message?.response_metadata)?.model_name;
  const request = requests.findLast(({ model }) => model === answeredBy);
  const prompt = (request?.messages ?? []).map(({ text }) => text).join("\n");
  const tokens = (/** @type {string} */ text) => Math.ceil(text.length / 4);
  const wrong = [
    ...(named === `offline-${answeredBy}`
      ? []
      : [named === undefined ? "does not name its model" : `names the model ${String(named)}`]),
    ...(usage?.input_tokens === tokens(prompt) && usage.output_tokens === tokens(TEXTS[answeredBy] ?? "")
      ? []
      : [usage === undefined ? "no usage" : `usage ${usage.input_tokens}+${usage.output_tokens}`]),
    ...(completions === 1 ? [] : [`${completions} completions counted`]),
  ];
  return wrong.length === 0 ? undefined : wrong.join(", ");
}

/** All that an error says of itself, its causes and the server's body included. */
function wordsOf(/** @type {unknown} */ thrown) {
  /** @type {string[]} */
  const words = [];
  for (let at = thrown, depth = 0; at !== undefined && at !== null && depth < 6; depth += 1) {
    const { name, message, status, code, category, cause, error } = /** @type {Record<string, unknown>} */ (at);
    words.push([name, message, status, code, category].filter((one) => one !== undefined && one !== null).join(" "));
    if (typeof error === "object") words.push(JSON.stringify(error));
    at = cause;
  }
  return words.join(" ← ");
}

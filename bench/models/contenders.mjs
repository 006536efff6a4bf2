/**
 * Who is asked: each gets the same two models at the same server, in the configuration its own documentation shows.
 * All answer through one interface, so that one referee can judge them; none is told what will go wrong.
 */
import { isAIMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI } from "@langchain/openai";
import { createAgent, modelFallbackMiddleware, modelRetryMiddleware } from "langchain";
import { resilientModel, restartOf } from "langgraph-resilience";
import { resilienceMiddleware } from "langgraph-resilience/langchain";
import { z } from "zod";
import { FALLBACK, PRIMARY } from "./scenarios.mjs";

/** @typedef {import("@langchain/core/messages").AIMessage} AIMessage */
/** @typedef {import("@langchain/core/messages").AIMessageChunk} AIMessageChunk */
/** @typedef {import("@langchain/core/messages").BaseMessage} BaseMessage */
/** @typedef {import("langchain").AnyAgentMiddleware} AnyAgentMiddleware */

/**
 * @typedef {object} Question
 * @property {BaseMessage[]} messages
 * @property {boolean} tools
 * @property {AbortSignal} signal aborts when the referee gives up
 * @property {import("@langchain/core/callbacks/base").CallbackHandlerMethods[]} callbacks
 */

/**
 * What a user of the contender has in the end.
 *
 * @typedef {object} Received
 * @property {string} text as it was shown
 * @property {string} stale text that was shown, is not in the answer, and was never taken back
 * @property {number} [cleared] characters of text that the reader cleared, because a mark in the stream said so
 * @property {AIMessage | AIMessageChunk | undefined} message
 * @property {readonly unknown[]} [executed] arguments with which tools were really run
 */

/**
 * @typedef {object} Session one client, kept over several questions
 * @property {(question: Question) => Promise<Received>} whole
 * @property {(question: Question) => Promise<Received>} stream
 */

/**
 * @typedef {object} Contender
 * @property {string} name
 * @property {string} title
 * @property {string} setup
 * @property {boolean} [ours]
 * @property {(baseUrl: string) => Session} open
 */

const bookTable = {
  name: "book_table",
  description: "Books a table.",
  schema: z.object({ day: z.string(), guests: z.number() }),
};

/** @param {unknown[]} executed */
const bookingTool = (executed) =>
  tool(async (args) => {
    executed.push(args);
    return "booked";
  }, bookTable);

/**
 * @param {string} baseUrl
 * @param {string} model
 */
const client = (baseUrl, model) => new ChatOpenAI({ model, apiKey: "x", configuration: { baseURL: baseUrl } });

/**
 * @param {(tools: boolean) => import("@langchain/core/runnables").Runnable<any, any, any>} modelFor
 * @returns {Session}
 */
function askedDirectly(modelFor) {
  return {
    async whole({ messages, tools, signal, callbacks }) {
      const message = await modelFor(tools).invoke(messages, { signal, callbacks });
      return { text: message.text, stale: "", message };
    },
    async stream({ messages, tools, signal, callbacks }) {
      let text = "";
      let cleared = 0;
      /** @type {AIMessageChunk | undefined} */
      let message;
      for await (const chunk of await modelFor(tools).stream(messages, { signal, callbacks })) {
        // The documented way to be told that what was shown is void; nobody else has one.
        if (restartOf(chunk) !== undefined) {
          cleared += text.length;
          text = "";
        }
        text += chunk.text;
        message = message === undefined ? chunk : message.concat(chunk);
      }
      return { text, stale: "", cleared, message };
    },
  };
}

/**
 * @param {string} baseUrl
 * @param {(fallback: ChatOpenAI) => AnyAgentMiddleware[]} middlewareWith
 * @returns {Session}
 */
function askedInAnAgent(baseUrl, middlewareWith) {
  const primary = client(baseUrl, PRIMARY);
  const middleware = middlewareWith(client(baseUrl, FALLBACK));
  /** @param {unknown[]} executed */
  const agentWith = (executed, tools = false) =>
    createAgent({ model: primary, tools: tools ? [bookingTool(executed)] : [], middleware });
  /** @param {readonly BaseMessage[]} messages */
  const lastAnswer = (messages) => /** @type {AIMessage | undefined} */ (messages.findLast((one) => isAIMessage(one)));
  return {
    async whole({ messages, tools, signal, callbacks }) {
      /** @type {unknown[]} */
      const executed = [];
      const state = await agentWith(executed, tools).invoke({ messages }, { signal, callbacks });
      const message = lastAnswer(state.messages);
      return { text: message?.text ?? "", stale: "", message, executed };
    },
    async stream({ messages, tools, signal, callbacks }) {
      /** @type {unknown[]} */
      const executed = [];
      /** @type {Map<string, string>} */
      const shown = new Map();
      let cleared = 0;
      /** @type {BaseMessage[]} */
      let state = [];
      const events = await agentWith(executed, tools).stream(
        { messages },
        { streamMode: ["messages", "values"], signal, callbacks },
      );
      for await (const [mode, payload] of events) {
        if (mode === "values") state = /** @type {{ messages: BaseMessage[] }} */ (payload).messages;
        else {
          const [chunk] = /** @type {[BaseMessage, unknown]} */ (payload);
          const id = chunk.id ?? "";
          // The same mark as above; it bears the ID of the message that is void.
          if (restartOf(chunk) !== undefined) {
            cleared += shown.get(id)?.length ?? 0;
            shown.delete(id);
          }
          // A person's message is echoed, and a tool's result is no answer.
          if (chunk.type === "ai") shown.set(id, (shown.get(id) ?? "") + chunk.text);
        }
      }
      const message = lastAnswer(state);
      const kept = new Set(state.map(({ id }) => id ?? ""));
      const stale = [...shown].filter(([id, text]) => !kept.has(id) && text !== "").map(([, text]) => text);
      return { text: shown.get(message?.id ?? "") ?? "", stale: stale.join(""), cleared, message, executed };
    },
  };
}

/** @type {readonly Contender[]} */
export const CONTENDERS = [
  {
    name: "plain",
    title: "ChatOpenAI",
    setup: "one model, its defaults (6 retries of its own)",
    open: (baseUrl) => {
      const model = client(baseUrl, PRIMARY);
      return askedDirectly((tools) => (tools ? model.bindTools([bookingTool([])]) : model));
    },
  },
  {
    name: "withFallbacks",
    title: "withFallbacks",
    setup: "`primary.withFallbacks([fallback])`, both ChatOpenAI with their defaults",
    open: (baseUrl) => {
      const [primary, fallback] = [client(baseUrl, PRIMARY), client(baseUrl, FALLBACK)];
      const bound = [bookingTool([])];
      return askedDirectly((tools) =>
        tools ? primary.bindTools(bound).withFallbacks([fallback.bindTools(bound)]) : primary.withFallbacks([fallback]),
      );
    },
  },
  {
    name: "middleware",
    title: "LangChain middleware",
    setup:
      '`createAgent` with `modelFallbackMiddleware(fallback)` around `modelRetryMiddleware({ onFailure: "error" })`, else defaults; without "error" the first failure would be handed out as an answer and the fallback never asked',
    open: (baseUrl) =>
      askedInAnAgent(
        baseUrl,
        (fallback) =>
          // Its types do not know exactOptionalPropertyTypes.
          /** @type {AnyAgentMiddleware[]} */ (
            /** @type {unknown} */ ([modelFallbackMiddleware(fallback), modelRetryMiddleware({ onFailure: "error" })])
          ),
      ),
  },
  {
    name: "ours",
    title: "resilientModel",
    setup: "`resilientModel([primary, fallback])`, its defaults",
    ours: true,
    open: (baseUrl) => {
      const model = resilientModel([client(baseUrl, PRIMARY), client(baseUrl, FALLBACK)]);
      const bound = model.bindTools([bookingTool([])]);
      return askedDirectly((tools) => (tools ? bound : model));
    },
  },
  {
    name: "ours-agent",
    title: "resilienceMiddleware",
    setup: "`createAgent` with `resilienceMiddleware({ fallbacks: [fallback] })`, else defaults",
    ours: true,
    open: (baseUrl) => askedInAnAgent(baseUrl, (fallback) => [resilienceMiddleware({ fallbacks: [fallback] })]),
  },
];

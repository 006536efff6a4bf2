/** Faults of the connection, and of how fast things come over it. */
import { z } from "zod";
import { systemClock } from "../../core/clock.js";
import { chunkStream } from "../chat-response.js";
import { answerFully, answerHalf, beginBody, beginWhole, sendStream, wholeText } from "../exchange.js";
import type { FaultRows } from "../fault.js";

const delayMs = z.number().min(0);

export const TRANSPORT: FaultRows<
  | "none"
  | "reset"
  | "reset_stream"
  | "hang"
  | "stall"
  | "cut_stream"
  | "no_terminator"
  | "slow"
  | "late_first_token"
  | "drip"
> = {
  none: {
    options: {},
    describe: () => "a proper answer",
    proper: () => true,
    play: (exchange) => answerFully(exchange),
  },
  reset: {
    options: {},
    describe: () => "the connection is reset before any answer",
    play: ({ reset }) => reset(),
  },
  reset_stream: {
    options: {},
    describe: () => "the connection is reset in the middle of the answer",
    play: async (exchange) => {
      await answerHalf(exchange);
      // What was written must leave before the reset, or the client sees the same as with `reset`.
      await new Promise<void>((sent) => exchange.response.write("\n", () => sent()));
      exchange.reset();
    },
  },
  hang: {
    options: {},
    describe: () => "no answer at all, the connection stays open",
    play: () => undefined,
  },
  stall: {
    options: {},
    describe: () => "the answer stops in the middle, the connection stays open",
    play: (exchange) => answerHalf(exchange),
  },
  cut_stream: {
    options: {},
    describe: () => "the stream is cut in the middle (clean end, no finish_reason)",
    play: async (exchange) => {
      await answerHalf(exchange);
      exchange.response.end();
    },
  },
  no_terminator: {
    options: { connection: z.enum(["open", "close"]).optional() },
    describe: ({ connection = "open" }) =>
      `a complete answer without [DONE], the connection ${connection === "open" ? "stays open" : "is closed"}`,
    play: async (exchange, { connection = "open" }) => {
      const { request, response, answer } = exchange;
      if (request.stream) {
        await sendStream(exchange, { chunks: chunkStream(request, answer) });
      } else {
        await beginWhole(exchange);
        response.write(wholeText(exchange));
      }
      if (connection === "close") response.end();
    },
  },
  slow: {
    options: { delayMs },
    describe: (fault) => `a proper answer after ${fault.delayMs} ms`,
    proper: () => true,
    play: async (exchange, fault) => {
      await systemClock.sleep(fault.delayMs, exchange.signal);
      await answerFully(exchange);
    },
  },
  late_first_token: {
    options: { delayMs },
    describe: (fault) => `a proper answer whose first token comes after ${fault.delayMs} ms`,
    proper: () => true,
    play: async (exchange, fault) => {
      const { request, response, pace, signal } = exchange;
      if (request.stream) {
        await answerFully({ ...exchange, pace: { ...pace, firstTokenMs: fault.delayMs } });
        return;
      }
      beginBody(response, "application/json");
      await systemClock.sleep(fault.delayMs, signal);
      response.end(wholeText(exchange));
    },
  },
  drip: {
    options: { delayMs },
    describe: (fault) => `a proper answer with ${fault.delayMs} ms before every event`,
    proper: () => true,
    play: (exchange, fault) => answerFully({ ...exchange, pace: { ...exchange.pace, betweenMs: () => fault.delayMs } }),
  },
};

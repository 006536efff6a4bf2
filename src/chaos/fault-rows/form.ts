/** Faults of the protocol: a complete response that is not, or not wholly, what the protocol asks for. */
import { z } from "zod";
import { chunkStream, completion, OFFLINE_HEADERS } from "../chat-response.js";
import {
  answerFully,
  answerWhole,
  beginWhole,
  endStream,
  halfOf,
  rawEvents,
  sendStream,
  wholeText,
} from "../exchange.js";
import type { FaultRows } from "../fault.js";

const JUNK_PAGE = "<!doctype html><title>502</title><h1>The proxy is having a moment</h1>";

export const FORM: FaultRows<"malformed_event" | "junk_body" | "empty_choices" | "ignores_stream"> = {
  malformed_event: {
    options: { data: z.string().optional(), instead: z.boolean().optional() },
    describe: ({ instead }) =>
      `${instead === true ? "an event of the answer" : "an extra event"} is not JSON, the stream is complete otherwise`,
    play: async (exchange, { data, instead = false }) => {
      const { request, response, answer } = exchange;
      if (!request.stream) {
        await beginWhole(exchange);
        response.end(halfOf(wholeText(exchange)));
        return;
      }
      const chunks = chunkStream(request, answer);
      const content = rawEvents(chunks.content);
      const middle = Math.floor(content.length / 2);
      const damaged = data ?? halfOf(content[middle] ?? JSON.stringify(chunks.opening));
      await sendStream(exchange, { chunks, content: content.toSpliced(middle, instead ? 1 : 0, damaged) });
      endStream(response);
    },
  },
  junk_body: {
    options: { body: z.string().optional(), contentType: z.string().optional() },
    describe: () => "200 with a body that is not the protocol",
    play: ({ response }, { body = JUNK_PAGE, contentType = "text/html" }) => {
      response.writeHead(200, { "content-type": contentType, ...OFFLINE_HEADERS });
      response.end(body);
    },
  },
  empty_choices: {
    options: {},
    describe: () => "200 with no choice in it",
    play: async (exchange) => {
      const { request, response, answer } = exchange;
      if (!request.stream) {
        await beginWhole(exchange);
        response.end(JSON.stringify({ ...completion(request, answer), choices: [] }));
        return;
      }
      const { opening, content, closing } = chunkStream(request, answer);
      const [first = {}, ...rest] = [opening, ...content, ...closing].map((event) => ({ ...event, choices: [] }));
      await sendStream(exchange, { chunks: { opening: first, content: rest, closing: [] } });
      endStream(response);
    },
  },
  ignores_stream: {
    options: {},
    describe: () => "one JSON body although a stream was asked for",
    proper: ({ request }) => !request.stream,
    play: (exchange) => (exchange.request.stream ? answerWhole(exchange) : answerFully(exchange)),
  },
};

import { createParser } from "eventsource-parser";
import type { Clock } from "../../../core/clock.js";
import type { StreamCheck } from "./stream-check.js";

/** How long an answer that is whole waits for what it cost, and for the stream's formal end. */
const ACCOUNTS_GRACE_MS = 1000;

/**
 * The same stream of events, except that it ends as soon as the answer is whole, and fails where it never will be. Bytes
 * are taken from the server only when they are asked for.
 */
export function checkedBody(
  body: ReadableStream<Uint8Array>,
  check: StreamCheck,
  clock: Clock,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  let ready: string[] = [];
  const parser = createParser({
    onEvent: ({ event, data }) => take(event, data),
    // A line that is none of the protocol's might be what is left of an event.
    onError: ({ type, line }) => {
      if (type === "unknown-field" && line !== undefined) take(undefined, line);
    },
  });
  function take(event: string | undefined, data: string): void {
    if (check.state === "done") return;
    const name = event === undefined ? "" : `event: ${event}\n`;
    ready.push(...check.accept(data, event).map((line) => `${name}${dataLines(line)}\n`));
  }
  let graceOver: Promise<"over"> | undefined;
  let callOff: (() => void) | undefined;

  async function next(): Promise<"more" | "end"> {
    if (check.state === "ending")
      graceOver ??= new Promise((resolve) => {
        callOff = clock.after(ACCOUNTS_GRACE_MS, () => resolve("over"));
      });
    const reading = reader.read();
    const read = await (graceOver === undefined ? reading : Promise.race([reading, graceOver]));
    if (read === "over") {
      // The read that is still under way ends with the connection.
      reading.catch(() => undefined);
      check.end();
      return "end";
    }
    if (read.done) {
      // The last event may lack the empty line that closes it.
      parser.feed(`${decoder.decode()}\n\n`);
      check.end();
      return "end";
    }
    parser.feed(decoder.decode(read.value, { stream: true }));
    if (check.state !== "done") return "more";
    check.end();
    return "end";
  }

  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        let went: "more" | "end";
        do went = await next();
        while (went === "more" && ready.length === 0);
        for (const event of ready) controller.enqueue(encoder.encode(event));
        ready = [];
        if (went === "more") return;
        controller.close();
        callOff?.();
        letGo(reader, clock);
      } catch (error) {
        callOff?.();
        controller.error(error);
        reader.cancel().catch(() => undefined);
      }
    },
    cancel(reason) {
      callOff?.();
      return reader.cancel(reason);
    },
  });
}

function dataLines(data: string): string {
  return data
    .split("\n")
    .map((line) => `data: ${line}\n`)
    .join("");
}

/** Reads what is left, so that the connection can be used again; one that does not end is closed. */
function letGo(reader: ReadableStreamDefaultReader<Uint8Array>, clock: Clock): void {
  const callOff = clock.after(ACCOUNTS_GRACE_MS, () => reader.cancel().catch(() => undefined));
  const drained = async () => {
    while (!(await reader.read()).done);
  };
  drained()
    .catch(() => undefined)
    .finally(callOff);
}

/** The worker's side of `isolated`: loads the work, does it, answers once, and ends its thread. */
import { receiveMessageOnPort, workerData } from "node:worker_threads";
import { systemClock } from "../core/clock.js";
import { isControlFlow } from "../errors/control-flow.js";
import { field } from "../errors/reading.js";
import { packThrown, unpackThrown } from "./isolated-errors.js";
import {
  type Answer,
  BUFFERS_INTERVAL_MS,
  type FromWorker,
  type ToWorker,
  type WorkerStart,
} from "./isolated-messages.js";

const { port, module, exported, reportsBuffers } = workerData as WorkerStart;
const aborted = new AbortController();
let answered = false;

process.on("uncaughtException", (error) => answer(failed(error)));
// By itself it would become an uncaught exception, but not under every --unhandled-rejections.
process.on("unhandledRejection", (reason) => answer(failed(reason)));
if (reportsBuffers) reportBuffers();
answer(await answerOf());

async function answerOf(): Promise<Answer> {
  try {
    const input = inputOf();
    port.on("message", (message: ToWorker) => {
      if (message.kind === "abort") aborted.abort(unpackThrown(message.reason));
    });
    const namespace: unknown = await import(module);
    // A CommonJS module compiled from `export default` has its exports one step further in.
    const work = [field(namespace, exported), field(field(namespace, "default"), exported)].find(
      (found) => typeof found === "function",
    ) as ((input: unknown, context: { signal: AbortSignal }) => unknown) | undefined;
    if (work === undefined) return { kind: "no_export", found: Object.keys(namespace as object) };
    say({ kind: "begun" });
    const value = await work(input, { signal: aborted.signal });
    return isCommand(value) ? { kind: "steered", by: "a Command" } : { kind: "returned", value };
  } catch (thrown) {
    return failed(thrown);
  }
}

/** Was sent before the thread was started; taken before anybody listens. */
function inputOf(): unknown {
  const first = receiveMessageOnPort(port)?.message as ToWorker | undefined;
  return first?.kind === "run" ? first.input : undefined;
}

function failed(thrown: unknown): Answer {
  // Here nobody catches it who could act on it, so it is a failure like any other.
  if (isControlFlow(thrown)) return { kind: "steered", by: String(field(thrown, "name")) };
  const outsideOfGraph = /interrupt\(\) outside the context of a graph/.test(String(field(thrown, "message")));
  if (outsideOfGraph) return { kind: "steered", by: "interrupt()", thrown: packThrown(thrown) };
  return { kind: "threw", thrown: packThrown(thrown) };
}

/** LangGraph knows a Command by its class, which a copy has lost. */
function isCommand(value: unknown): boolean {
  return field(value, "lg_name") === "Command";
}

function answer(answer: Answer): void {
  if (answered) return;
  answered = true;
  try {
    say({ kind: "answer", answer });
  } catch (error) {
    say({ kind: "answer", answer: { kind: "not_cloneable", why: String(field(error, "message")) } });
  }
  // Hands over what was printed and runs the work's own exit listeners.
  process.exit();
}

function say(message: FromWorker): void {
  port.postMessage(message);
}

function reportBuffers(): void {
  systemClock.after(BUFFERS_INTERVAL_MS, () => {
    say({ kind: "buffers", bytes: process.memoryUsage().external });
    reportBuffers();
  });
}

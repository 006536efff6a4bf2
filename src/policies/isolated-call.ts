/**
 * One call in one worker thread, from its start to the thread's end.
 *
 * - starting → running: the module is loaded and the work begins
 * - starting → ending: an abort, the start timeout or a module at fault
 * - running → ending: the work answered, the caller aborted or the memory ran out
 *
 * The first outcome counts. After an answer, and after an abort that the work can hear, the thread may end by itself
 * within `graceMs`; in every other case it is ended at once. The call settles when the thread has ended, not before.
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import { AttemptTimeoutError } from "../errors/own-errors.js";
import { packThrown } from "./isolated-errors.js";
import { BUFFERS_INTERVAL_MS, type FromWorker, type ToWorker } from "./isolated-messages.js";
import type { FoundWork, IsolatedPolicy } from "./isolated-options.js";
import {
  exitedEarly,
  failureBy,
  inputNotCloneable,
  type Outcome,
  outcomeOf,
  outOfBuffers,
} from "./isolated-outcome.js";
import { bufferLimitBytes, startThread, type Thread } from "./isolated-thread.js";

type Stage =
  | { readonly kind: "starting" }
  | { readonly kind: "running" }
  | { readonly kind: "ending"; readonly outcome: Outcome };

export async function callInThread(
  work: FoundWork,
  policy: IsolatedPolicy,
  input: unknown,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  signal?.throwIfAborted();
  const { port1: port, port2: portOfWorker } = new MessageChannel();
  let thread: Thread;
  try {
    // Before there is a thread, so that none is started for an input that cannot be copied.
    sendInput(port, work, input);
    thread = startThread(work, policy, portOfWorker);
  } catch (error) {
    port.close();
    throw error;
  }
  const outcome = await lifeOf(thread, port, work, policy, signal);
  if (outcome.kind === "failed") throw outcome.error;
  return outcome.value;
}

function sendInput(port: MessagePort, work: FoundWork, input: unknown): void {
  try {
    port.postMessage({ kind: "run", input } satisfies ToWorker);
  } catch (error) {
    throw inputNotCloneable(work, error);
  }
}

function lifeOf(
  thread: Thread,
  port: MessagePort,
  work: FoundWork,
  policy: IsolatedPolicy,
  signal: AbortSignal | undefined,
): Promise<Outcome> {
  const { clock, graceMs, startTimeoutMs } = policy;
  let stage: Stage = { kind: "starting" };
  let callOffWatch = (): unknown => undefined;
  let callOffAlarm = clock.after(startTimeoutMs, () => {
    const what = `isolated(${work.label}): loading ${work.place} (option "startTimeoutMs")`;
    endWith(new AttemptTimeoutError(what, startTimeoutMs));
  });

  function end(outcome: Outcome, afterMs: number): void {
    if (stage.kind === "ending") return;
    stage = { kind: "ending", outcome };
    callOffAlarm();
    callOffWatch();
    const terminate = () => void thread.terminate();
    if (afterMs > 0) callOffAlarm = clock.after(afterMs, terminate);
    else terminate();
  }

  function endWith(error: unknown, afterMs = 0): void {
    end({ kind: "failed", error }, afterMs);
  }

  function hear(message: FromWorker): void {
    switch (message.kind) {
      case "begun":
        if (stage.kind !== "starting") return;
        stage = { kind: "running" };
        callOffAlarm();
        return;
      case "buffers":
        judgeBuffers(message.bytes);
        return;
      case "answer":
        end(outcomeOf(message.answer, work), graceMs);
        return;
    }
  }

  /** What the thread said before it failed or ended counts before that. */
  function hearTheRest(): void {
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
      hear(next.message as FromWorker);
    }
  }

  function abort(): void {
    hearTheRest();
    const canHear = stage.kind === "running";
    if (canHear) port.postMessage({ kind: "abort", reason: packThrown(signal?.reason) } satisfies ToWorker);
    endWith(signal?.reason, canHear ? graceMs : 0);
  }

  function judgeBuffers(bytes: number): void {
    if (bytes > bufferLimitBytes(policy)) endWith(outOfBuffers(work, policy, bytes));
  }

  function watchBuffers(): void {
    if (stage.kind === "ending" || thread.getHeapStatistics === undefined) return;
    callOffWatch = clock.after(BUFFERS_INTERVAL_MS, () => {
      thread.getHeapStatistics?.().then(
        (statistics) => {
          judgeBuffers(statistics.external_memory);
          watchBuffers();
        },
        // Not running yet, or no longer: it holds nothing, and its end is told by itself.
        watchBuffers,
      );
    });
  }

  return new Promise((resolve) => {
    port.on("message", hear);
    port.on("messageerror", (error) => end(outcomeOf({ kind: "not_cloneable", why: error.message }, work), 0));
    thread.on("error", (error) => {
      hearTheRest();
      endWith(failureBy(error, work, policy));
    });
    thread.on("exit", (exitCode) => {
      hearTheRest();
      endWith(exitedEarly(work, exitCode));
      callOffAlarm();
      signal?.removeEventListener("abort", abort);
      port.close();
      if (stage.kind === "ending") resolve(stage.outcome);
    });
    signal?.addEventListener("abort", abort, { once: true });
    watchBuffers();
  });
}

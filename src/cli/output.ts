/** Where the commands write: lines for people on a terminal, or one JSON object a line for machines. */
import type { ResilienceEvent } from "../core/events.js";
import { redact, redactText } from "../core/redact.js";
import { shellQuote } from "../core/shell-quote.js";
import { errorText } from "../langgraph/threads/inspect-thread.js";
import type { RunResult } from "../langgraph/threads/run.js";
import { consoleReporter, jsonReporter } from "../observability/console-reporter.js";
import { commandName } from "./command-name.js";
import { requestLines } from "./request-text.js";
import { valueLines } from "./value-lines.js";

export interface Output {
  readonly json: boolean;
  /** For people only; nothing with --json. */
  line(text?: string): void;
  /** For machines only; nothing without --json. */
  object(value: object): void;
  readonly onEvent: (event: ResilienceEvent) => void;
}

export function createOutput(json: boolean): Output {
  const write = (text: string): void => {
    process.stdout.write(`${text}\n`);
  };
  const color = !json && process.stdout.isTTY === true && process.env.NO_COLOR === undefined;
  return {
    json,
    line: (text = "") => (json ? undefined : write(text)),
    object: (value) => (json ? write(JSON.stringify(value)) : undefined),
    onEvent: json ? jsonReporter(write) : consoleReporter({ write, color }),
  };
}

/** How a run ended, and what to do next. */
export function printResult(output: Output, result: RunResult): void {
  const { error, waitingFor, ...rest } = result;
  const message = error === undefined ? undefined : redactText(errorText(error));
  output.object({
    type: "result",
    ...rest,
    values: redact(rest.values),
    waitingFor: waitingFor.map((one) => ({
      ...one,
      value: one.request === undefined && one.approval === undefined ? redact(one.value) : undefined,
    })),
    ...(error === undefined ? {} : { error: { name: error.name, message, code: (error as { code?: unknown }).code } }),
  });
  output.line();
  for (const text of resultLines(result, message)) output.line(text);
}

function resultLines(result: RunResult, message: string | undefined): string[] {
  const thread = shellQuote(result.name ?? result.threadId);
  const lgr = commandName();
  switch (result.status) {
    case "succeeded": {
      const head = result.ran ? "Result:" : `Thread ${thread} has finished already; nothing was run. Its result:`;
      return [head, ...valueLines(result.values).map((line) => `  ${line}`)];
    }
    case "waiting_human":
      return [
        ...(message === undefined ? [] : [message, ""]),
        ...result.waitingFor.flatMap((one) =>
          requestLines(one, result.name ?? result.threadId, result.waitingFor.length > 1),
        ),
        ...inboxHint(result.waitingFor),
      ];
    case "paused":
      return [`Paused before ${result.next.join(", ")}, as the graph says. Go on with:  ${lgr} resume ${thread}`];
    case "failed":
      if (result.unreadable)
        return [
          `The run failed, and the database could not be read afterwards: ${message}`,
          `What it had stored is safe. Once the database is back:  ${lgr} resume ${thread}`,
        ];
      if (result.checkpointId === undefined)
        return [
          `The run failed before anything was stored: ${message}`,
          "Start it again once that is mended; the thread's name is still free.",
        ];
      return [
        `The run failed: ${message}`,
        `Once the cause is mended:  ${lgr} resume ${thread}`,
        `With other input:          ${lgr} run <graph> --thread ${thread} --if-exists newTurn --input '{…}'`,
        `Where it stands:           ${lgr} history ${thread}`,
      ];
    case "aborted":
      return [message ?? "The run was aborted.", `Its checkpoints:  ${lgr} history ${thread}`];
    case "drained":
      return [`Stopped; nothing is lost. Go on with:  ${lgr} resume ${thread}`];
  }
}

/** Questions of older versions, and those of a graph's own interrupts, are not in the inbox. */
function inboxHint(waitingFor: RunResult["waitingFor"]): string[] {
  const isKept = waitingFor.some(({ request, approval }) => (request ?? approval)?.id !== undefined);
  return isKept ? [`With the open questions of all threads:  ${commandName()} inbox`] : [];
}

/** Where the commands write: lines for people on a terminal, or one JSON object a line for machines. */
import type { ResilienceEvent } from "../core/events.js";
import { redact } from "../core/redact.js";
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
  output.object({
    type: "result",
    ...rest,
    values: redact(rest.values),
    waitingFor: waitingFor.map((one) => ({ ...one, value: one.request === undefined ? redact(one.value) : undefined })),
    ...(error === undefined
      ? {}
      : { error: { name: error.name, message: error.message, code: (error as { code?: unknown }).code } }),
  });
  const thread = result.name ?? result.threadId;
  output.line();
  switch (result.status) {
    case "succeeded":
      output.line(result.ran ? "Result:" : `Thread ${thread} has finished already; nothing was run. Its result:`);
      for (const text of valueLines(result.values)) output.line(`  ${text}`);
      return;
    case "waiting_human":
      for (const one of waitingFor)
        for (const text of requestLines(one, thread, waitingFor.length > 1)) output.line(text);
      return;
    case "failed":
      output.line(`The run failed: ${error?.message ?? "for an unknown reason"}`);
      output.line(
        `Once the cause is mended:  ${commandName()} resume ${thread}   (with the same input; other input needs a new thread)`,
      );
      output.line(`Where it stands:           ${commandName()} history ${thread}`);
      return;
    case "aborted":
      output.line(error?.message ?? "The run was aborted.");
      output.line(`Its checkpoints:  ${commandName()} history ${thread}`);
      return;
    case "drained":
      output.line(`Stopped; nothing is lost. Go on with:  ${commandName()} resume ${thread}`);
      return;
  }
}

import { styleText } from "node:util";
import type { ResilienceEvent } from "../core/events.js";
import { type RedactLimits, redact, redactText } from "../core/redact.js";
import type { ErrorReport } from "../errors/report.js";

export interface ConsoleReporterOptions {
  /** Receives one line at a time, without its line end. */
  readonly write: (line: string) => void;
  /** Default false. */
  readonly color?: boolean;
}

type Paint = (style: "green" | "red" | "yellow" | "cyan" | "dim" | "bold", text: string) => string;

/**
 * Events as lines for people: elapsed seconds, a mark, the node, and what happened.
 *
 * @returns a listener for {@link EventBus.subscribe} or `onEvent`
 */
export function consoleReporter({ write, color = false }: ConsoleReporterOptions): (event: ResilienceEvent) => void {
  const paint: Paint = color ? (style, text) => styleText(style, text) : (_, text) => text;
  let startedAt: number | undefined;
  return function report(event) {
    startedAt ??= event.at;
    const line = lineOf(event, paint);
    if (line === undefined) return;
    const elapsed = `${((event.at - startedAt) / 1000).toFixed(1).padStart(6)} s`;
    write(`${paint("dim", elapsed)}  ${line}`);
  };
}

/** Machines get everything; only what no reader could want is cut. */
const FOR_MACHINES: RedactLimits = { maxText: 100_000, maxItems: 10_000, maxDepth: 20 };

/** One event as one line of JSON, its secrets redacted. */
export function jsonReporter(write: (line: string) => void): (event: ResilienceEvent) => void {
  return (event) => write(JSON.stringify(redact(event, FOR_MACHINES)));
}

function lineOf(event: ResilienceEvent, paint: Paint): string | undefined {
  const node = paint("bold", event.node ?? "");
  switch (event.type) {
    case "run.started":
      return paint(
        "cyan",
        `${event.resumed ? "resumed" : "started"}${event.graph === undefined ? "" : ` ${event.graph}`}`,
      );
    case "run.finished":
      return outcomeLine(event.outcome, event.message, paint);
    case "node.started":
      return `${paint("cyan", "●")} ${node}${event.directive === undefined ? "" : ` (a person said: ${event.directive})`}`;
    case "node.succeeded":
      return `${paint("green", "✓")} ${node} in ${duration(event.durationMs)}${answered(event.answeredBy)}`;
    case "attempt.failed": {
      const way = event.step === undefined ? "" : ` of fallback ${event.step}`;
      const wait =
        event.delayMs === undefined
          ? `no further attempt${event.gaveUp === undefined ? "" : `: ${event.gaveUp}`}`
          : event.delayMs === 0
            ? "trying again at once"
            : `trying again in ${duration(event.delayMs)}`;
      const what = event.call === undefined ? node : `${node}: ${event.call}`;
      return `${paint("yellow", "✗")} ${what} attempt ${event.attempt ?? 1}${way} failed: ${reason(event.report)}; ${wait}`;
    }
    case "breaker.changed":
      return `${paint(event.to === "closed" ? "green" : "yellow", "⌁")} circuit ${paint("bold", event.service)} went from ${event.from.replace("_", "-")} to ${event.to.replace("_", "-")}`;
    case "answer.restarted":
      return `${paint("yellow", "↺")} ${node}: the answer of ${event.model} broke off after ${event.droppedCharacters} characters (${event.category}); it begins anew`;
    case "fallback.started":
      return `${paint("yellow", "↷")} ${node} falls back to ${event.step} because of ${event.because.category}`;
    case "fallback.succeeded":
      return `${paint("green", "↷")} ${node} was answered by ${event.step}`;
    case "node.failed":
      return `${paint("red", "✗")} ${node} failed for good: ${reason(event.report)}; ${{ human: "a person is asked", rollback: "what it declares is rolled back", fail: "the run is refused", stop: "the run stops" }[event.next]}`;
    case "checkpoint.written":
      return paint("dim", `■ checkpoint ${event.checkpointId} (step ${event.step}, ${event.source})`);
    case "checkpoint.corrupt":
      return `${paint("red", "■")} ${redactText(event.message)}`;
    case "run.wentBack":
      return `${paint("yellow", "↶")} goes back to checkpoint ${event.checkpointId} (step ${event.step}, ${duration(event.ageMs)} old), the last sound one; the steps after it run again`;
    case "retention.pruned":
      return paint("dim", `deleted ${event.checkpoints} old checkpoints of ${event.threads} threads`);
    case "retention.failed":
      return `${paint("yellow", "✗")} old checkpoints could not be deleted: ${redactText(event.message)}`;
    case "effect.dispatched":
      return event.calls === 1 ? undefined : `${paint("yellow", "⇢")} ${node} calls ${event.effect} again`;
    case "effect.confirmed":
      return `${paint("green", "⇢")} ${node} did ${event.effect}`;
    case "effect.failed":
      return undefined;
    case "effect.unknown":
      return `${paint("yellow", "⇢")} ${node}: it is not known whether ${event.effect} happened`;
    case "effect.reused":
      return `${paint("green", "⇢")} ${node}: ${event.effect} was done on the branch that this one left; its receipt is taken over`;
    case "rollback.started":
      return event.effects === 0 && event.scope === "step"
        ? undefined
        : `${paint("yellow", "↶")} rolls back (${event.scope}): ${event.effects} ${event.effects === 1 ? "effect" : "effects"} to undo`;
    case "rollback.finished":
      return `${paint(event.outcome === "done" ? "green" : "red", "↶")} rolled back (${event.scope}): ${event.undone} undone${event.outcome === "done" ? "" : `, ${event.failed} could not be`}`;
    case "inbox.swept": {
      const done = SWEPT[event.what];
      return done && `${paint(done.style, "?")} question ${event.item.slice(0, 8)} ${done.text}`;
    }
    case "inbox.notified":
      return paint(
        "dim",
        `people were told of question ${event.item.slice(0, 8)} by ${event.channel} (${event.event})`,
      );
    case "inbox.notify_failed":
      return `${paint("yellow", "✗")} people could not be told of question ${event.item.slice(0, 8)} by ${event.channel} (${event.event}); it is ${event.gaveUp ? "not tried again" : "tried again later"}: ${redactText(event.message)}`;
    case "human.requested":
      return `${paint("yellow", "?")} a person is asked about ${paint("bold", event.failedNode)}`;
    case "human.decided":
      return `${paint("cyan", "!")} ${event.by} decided for ${paint("bold", event.failedNode)}: ${event.action}`;
  }
}

/** What a sweep did about a question, by its name in the audit log; the rest is of no interest. */
const SWEPT: Readonly<Record<string, { readonly text: string; readonly style: "yellow" | "red" | "cyan" }>> = {
  "inbox.reminded": { text: "still waits: its people were reminded", style: "yellow" },
  "inbox.escalated": { text: "was handed to the next level", style: "yellow" },
  "inbox.overdue": { text: "is overdue", style: "red" },
  "inbox.withdrawn": { text: "is not asked any more", style: "cyan" },
  "inbox.expiring": { text: "was not answered in time: its default action is being done", style: "yellow" },
  "inbox.expired": { text: "was answered by its default action", style: "cyan" },
  "inbox.failed": { text: "has a default action that could not be done: a person has to answer", style: "red" },
  "inbox.put_off": { text: "has a default action that could not be done now: it is tried again", style: "yellow" },
};

function outcomeLine(outcome: string, message: string | undefined, paint: Paint): string {
  const style = outcome === "succeeded" ? "green" : outcome === "failed" || outcome === "aborted" ? "red" : "yellow";
  return paint(style, outcome.replace("_", " for a ")) + (message === undefined ? "" : `: ${redactText(message)}`);
}

function answered(by: string): string {
  return by === "node" ? "" : ` (answered by ${by})`;
}

function reason(report: ErrorReport): string {
  const facts = [
    report.status,
    report.retryAfterMs === undefined ? undefined : `asked to wait ${duration(report.retryAfterMs)}`,
  ].filter((fact) => fact !== undefined);
  const text = redactText(report.message).replace(/\s+/g, " ").trim();
  return `${report.category}${facts.length === 0 ? "" : ` (${facts.join(", ")})`}: ${text.length > 160 ? `${text.slice(0, 160)}…` : text}`;
}

function duration(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

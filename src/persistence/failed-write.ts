/**
 * The end of a run something of which could not be stored. LangGraph tells it only at the next superstep with durability
 * "sync", and otherwise at the end of the run, when all the steps after it have been made in vain.
 */
import type { RunnableConfig } from "@langchain/core/runnables";
import { redactText } from "../core/redact.js";
import { runHoldOf } from "../core/run-hold.js";
import { asError } from "../errors/own-errors.js";

/** What of LangGraph's `RunControl` is used. Assumption: the config of each write has that of its run. */
interface Control {
  requestDrain(reason: string): void;
}

/** Which thread a control was seen with; `undefined` when with more than one, so that it is not that of a single run. */
const threads = new WeakMap<Control, string | undefined>();

/** The write as it was, and when it is rejected, the end of its run. */
export async function endingRun<T>(config: RunnableConfig, write: Promise<T>): Promise<T> {
  noteRun(config);
  try {
    return await write;
  } catch (error) {
    endRunOf(config, error);
    throw error;
  }
}

/** Looked at with each write, since a control that several runs share must not end the others. */
export function noteRun(config: RunnableConfig): void {
  const control = controlOf(config);
  if (control === undefined) return;
  const threadId = threadOf(config);
  if (!threads.has(control)) threads.set(control, threadId);
  else if (threads.get(control) !== threadId) threads.set(control, undefined);
}

/**
 * Ends the run that this write belongs to: at once where it carries a hold (`runThread`, `resumeThread`), otherwise, by
 * a drain, at its next superstep.
 */
export function endRunOf(config: RunnableConfig, thrown: unknown): void {
  const error = asError(thrown);
  const hold = runHoldOf(config);
  if (hold !== undefined) {
    hold.abort(error);
    return;
  }
  const control = controlOf(config);
  if (control === undefined || threads.get(control) === undefined) return;
  control.requestDrain(`a checkpoint could not be stored: ${redactText(error.message)}`);
}

function controlOf(config: RunnableConfig): Control | undefined {
  const { control } = config as { readonly control?: Partial<Control> };
  return typeof control?.requestDrain === "function" ? (control as Control) : undefined;
}

function threadOf({ configurable }: RunnableConfig): string {
  return String(configurable?.thread_id);
}

/**
 * The effects of one task, side by side. One that has to be approved is asked about when nothing else of the task is
 * under way: the question ends the run, and what was being called would go on without it. From then on nothing more is
 * begun.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { unlessAborted } from "../../core/abort.js";
import { taskHome } from "../attempt-internals.js";

interface Circle {
  /** Settles when the approved ones before have ended; never rejects. */
  last: Promise<unknown>;
  /** Being performed without a question. */
  readonly calls: Set<Promise<unknown>>;
}

const circles = new WeakMap<object, Circle>();
/** By task: what it was ended with to ask. */
const asking = new WeakMap<object, unknown>();
/** The call that is being made: effects within it are a circle of their own, or they would wait for it. */
const calling = new AsyncLocalStorage<object>();

function circleOf(config: LangGraphRunnableConfig): Circle {
  const home = calling.getStore() ?? taskHome(config) ?? {};
  const known = circles.get(home) ?? { last: Promise.resolve(), calls: new Set() };
  circles.set(home, known);
  return known;
}

/** Makes the call to the outside world. */
export function asCall<T>(work: () => T): T {
  return calling.run({}, work);
}

/** @param isAsked whether it has to be approved: one after the other are */
export function besideOthers<T>(
  config: LangGraphRunnableConfig,
  isAsked: boolean,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  const circle = circleOf(config);
  if (isAsked) {
    const turn = circle.last.then(() => {
      signal.throwIfAborted();
      return work();
    });
    circle.last = turn.catch(() => {});
    return turn;
  }
  const call = work();
  const noted = call.then(
    () => {},
    () => {},
  );
  circle.calls.add(noted);
  noted.then(() => circle.calls.delete(noted));
  return call;
}

/** Waits until nothing of the task is under way but what has to be approved. */
export async function quiet(config: LangGraphRunnableConfig, signal: AbortSignal): Promise<void> {
  const { calls } = circleOf(config);
  while (calls.size > 0) await unlessAborted(Promise.all(calls), signal);
}

/** The task is ended with this question. */
export function noteAsking(config: LangGraphRunnableConfig, question: unknown): void {
  const home = taskHome(config);
  if (home !== undefined) asking.set(home, question);
}

/** @throws the question that the task is ended with */
export function throwIfAsking(config: LangGraphRunnableConfig): void {
  const home = taskHome(config);
  if (home !== undefined && asking.has(home)) throw asking.get(home);
}

/**
 * The part of LangGraph's internals that one attempt within a task needs: writes that end with it, questions of its own,
 * and the ambient config. See internals.ts.
 */
import { AsyncLocalStorageProviderSingleton } from "@langchain/core/singletons";
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { CancelledError } from "../errors/own-errors.js";

const SCRATCHPAD = "__pregel_scratchpad";
const SEND = "__pregel_send";
const CALL = "__pregel_call";

interface Scratchpad {
  interruptCounter: number;
}

function scratchpadOf(config: LangGraphRunnableConfig): Scratchpad | undefined {
  return (config.configurable as Record<string, unknown> | undefined)?.[SCRATCHPAD] as Scratchpad | undefined;
}

/** How many interrupts the task has asked so far, minus one. */
export function interruptCounter(config: LangGraphRunnableConfig): number {
  return scratchpadOf(config)?.interruptCounter ?? -1;
}

/** Makes the next `interrupt()` of this task the one after number `counter`. */
export function setInterruptCounter(config: LangGraphRunnableConfig, counter: number): void {
  const scratchpad = scratchpadOf(config);
  if (scratchpad !== undefined) scratchpad.interruptCounter = counter;
}

/** What an attempt may still do once it was given up on: nothing. */
export interface AttemptGate {
  /** Whether the attempt is still the one that counts. */
  open(): boolean;
  /** Told of each thing the attempt does that shows it is alive. */
  passed(): unknown;
}

/** How the questions of one attempt are numbered; LangGraph finds a person's answers by these numbers. */
export interface Questions {
  /** The number of the latest question, or the one before the first. */
  readonly latest: number;
  /** Moves on to number `next`, or to what takes its place. */
  moveTo(next: number): void;
}

/** Questions that are this attempt's alone, from `before` + 1 on. */
export function questionsAfter(before: number): Questions {
  const questions = {
    latest: before,
    moveTo(next: number) {
      questions.latest = next;
    },
  };
  return questions;
}

/**
 * Questions of one of several calls that share a task, as tools do: numbered as the task numbers them, and an attempt
 * that takes the place of another asks under the numbers that one had.
 *
 * @param numbers those of the attempts before; new ones are added
 */
export function questionsOfCall(config: LangGraphRunnableConfig, numbers: number[]): Questions {
  const shared = scratchpadOf(config);
  let asked = 0;
  const questions = {
    latest: -1,
    moveTo() {
      asked += 1;
      if (asked > numbers.length && shared !== undefined) {
        shared.interruptCounter += 1;
        numbers.push(shared.interruptCounter);
      }
      questions.latest = numbers[asked - 1] ?? -1;
    },
  };
  return questions;
}

/**
 * The configurable of an attempt whose questions are numbered apart from those of others, and whose writes and calls end
 * with it. An attempt must ask under the numbers of the one before it, as in LangGraph's own retry, or it would be asked
 * again what a person has answered already; and one that was given up on must neither write, nor take the answer that
 * is meant for the one in its place.
 *
 * Assumptions: a task writes through the functions of its configurable; of what its scratchpad holds only the counters
 * are written to, and a question adds 1 to `interruptCounter`.
 */
export function ownConfigurable(
  config: LangGraphRunnableConfig,
  questions: Questions,
  gate: AttemptGate,
): Record<string, unknown> {
  const given = config.configurable as Record<string, unknown> | undefined;
  const own: Record<string, unknown> = { ...given };
  const shared = scratchpadOf(config);
  if (shared !== undefined) own[SCRATCHPAD] = numberedApart(shared, questions, gate);
  const send = given?.[SEND];
  if (typeof send === "function")
    own[SEND] = (writes: unknown) => {
      if (!gate.open()) return undefined;
      gate.passed();
      return send(writes);
    };
  const call = given?.[CALL];
  if (typeof call === "function")
    own[CALL] = (...parameters: unknown[]) => {
      refuseLate(gate);
      gate.passed();
      return call(...parameters);
    };
  return own;
}

function numberedApart(shared: Scratchpad, questions: Questions, gate: AttemptGate): Scratchpad {
  return new Proxy(shared, {
    get(target, key) {
      refuseLate(gate);
      return key === "interruptCounter" ? questions.latest : Reflect.get(target, key);
    },
    set(target, key, value) {
      refuseLate(gate);
      if (key !== "interruptCounter") return Reflect.set(target, key, value);
      questions.moveTo(value as number);
      return true;
    },
  });
}

function refuseLate(gate: AttemptGate): void {
  if (!gate.open())
    throw new CancelledError(
      "This attempt was given up on; what it does now no longer counts. Listen to config.signal",
    );
}

const CHILD_CONFIG = Symbol.for("lc:child_config");

/**
 * Runs `work` with `config` as the ambient one, so that `interrupt()` and models called without a config see it. Beneath
 * a running task its trace is kept, and nothing is made that `runWithConfig` of LangChain would make anew: that costs
 * more than all the rest of an attempt.
 *
 * Assumption: the ambient config is read from `extra` of what the async-local storage holds, by a registered symbol.
 */
export function runInConfig<T>(config: LangGraphRunnableConfig, work: () => T): T {
  const storage = AsyncLocalStorageProviderSingleton.getInstance();
  const around = storage.getStore() as { readonly extra?: object } | undefined;
  const own = around === undefined ? {} : Object.create(around);
  own.extra = { ...around?.extra, [CHILD_CONFIG]: config };
  return storage.run(own, work) as T;
}

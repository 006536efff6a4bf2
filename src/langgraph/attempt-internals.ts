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
const RESUME = "__resume__";

interface Scratchpad {
  interruptCounter: number;
  /** The answers so far, by the numbers of their questions. */
  readonly resume?: readonly unknown[];
  /** An answer that names no question. */
  readonly nullResume?: unknown;
  consumeNullResume?(): unknown;
}

function scratchpadOf(config: LangGraphRunnableConfig): Scratchpad | undefined {
  return (config.configurable as Record<string, unknown> | undefined)?.[SCRATCHPAD] as Scratchpad | undefined;
}

/** How many interrupts the task has asked so far, minus one. */
export function interruptCounter(config: LangGraphRunnableConfig): number {
  return scratchpadOf(config)?.interruptCounter ?? -1;
}

/** Whether the task has asked before, and is given an answer. */
export function wasAnswered(config: LangGraphRunnableConfig): boolean {
  const { resume = [], nullResume } = scratchpadOf(config) ?? {};
  return resume.length > 0 || nullResume !== undefined;
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
  /** Moves on past the number, if that is still to come; @returns whether it was */
  pass(number: number): boolean;
}

/**
 * The questions of one attempt. Several calls may share a task (tools, decorated functions within a node), so the task
 * hands out the numbers; an attempt that takes the place of another asks under the numbers that one had.
 *
 * @param numbers those of the attempts before; new ones are added
 * @param notBefore new ones come after this: a step that is not run again asks nothing again either
 */
export function questionsOf(config: LangGraphRunnableConfig, numbers: number[], notBefore: number): Questions {
  const shared = scratchpadOf(config);
  let asked = 0;
  const questions = {
    latest: shared?.interruptCounter ?? -1,
    moveTo(next: number) {
      asked += 1;
      if (asked > numbers.length && shared !== undefined) {
        shared.interruptCounter = Math.max(shared.interruptCounter + 1, next, notBefore + 1);
        numbers.push(shared.interruptCounter);
      }
      questions.latest = numbers[asked - 1] ?? next;
    },
    pass(number: number): boolean {
      const before = asked;
      while (asked < numbers.length && (numbers[asked] as number) <= number) asked += 1;
      if (asked === numbers.length && shared !== undefined && passIn(shared, number)) {
        numbers.push(number);
        asked += 1;
      }
      if (asked > before) questions.latest = numbers[asked - 1] as number;
      return asked > before;
    },
  };
  return questions;
}

/** Of the scratchpads that attempts have: the one of the task, and how a question's number is passed. */
const attempts = new WeakMap<object, { readonly task: object; pass(number: number): boolean }>();

function passIn(scratchpad: Scratchpad, number: number): boolean {
  const attempt = attempts.get(scratchpad);
  if (attempt !== undefined) return attempt.pass(number);
  if (scratchpad.interruptCounter >= number) return false;
  scratchpad.interruptCounter = number;
  return true;
}

/** The same object for all that runs in one execution of a task. */
export function taskHome(config: LangGraphRunnableConfig): object | undefined {
  const own = scratchpadOf(config);
  return own === undefined ? undefined : (attempts.get(own)?.task ?? own);
}

/** What a task has been answered, for questions that know their answers by more than the order they are asked in. */
export interface TaskAnswers {
  /** By the numbers of the questions. */
  readonly given: readonly unknown[];
  /** An answer that names no question, and counts as the next once it is taken in. */
  readonly pending: unknown;
  /** Keeps what was given with the task, as a question does that is answered. */
  keep(): void;
  /** Takes in what is pending, and keeps it. */
  takeIn(): void;
  /** Forgets what is pending. */
  drop(): void;
  /** The questions up to this number are asked and answered: the next one has a later number. */
  pass(number: number): void;
}

/**
 * Assumptions: those of `interrupt()` itself, which finds an answer by the number of the question, takes in the one that
 * names none as the next, and writes all of them to the channel `__resume__`.
 */
export function answersOfTask(config: LangGraphRunnableConfig): TaskAnswers {
  const shared = scratchpadOf(config);
  const send = (config.configurable as Record<string, unknown> | undefined)?.[SEND];
  const keep = () => {
    if (typeof send === "function" && shared !== undefined) send([[RESUME, [...(shared.resume ?? [])]]]);
  };
  return {
    get given() {
      return shared?.resume ?? [];
    },
    get pending() {
      return shared?.nullResume ?? undefined;
    },
    keep,
    takeIn() {
      if (shared?.nullResume != null) (shared.resume as unknown[]).push(shared.consumeNullResume?.());
      keep();
    },
    drop: () => void shared?.consumeNullResume?.(),
    pass: (number) => void (shared !== undefined && passIn(shared, number)),
  };
}

/** The same object within one attempt, and another in each. */
export function attemptHome(config: LangGraphRunnableConfig): object | undefined {
  return scratchpadOf(config);
}

const ordinals = new WeakMap<object, Map<string, number>>();

/** How many entries of this name the task, or the attempt of it, has seen before this one. */
export function ordinalInTask(config: LangGraphRunnableConfig, name: string): number {
  const shared = scratchpadOf(config);
  if (shared === undefined) return 0;
  const counts = ordinals.get(shared) ?? new Map<string, number>();
  ordinals.set(shared, counts);
  const ordinal = counts.get(name) ?? 0;
  counts.set(name, ordinal + 1);
  return ordinal;
}

/** Names whose counts an attempt goes on with where the decorated call before it in the task left off. */
const COUNTED_ON = "effect ";

/** @returns keeps the counts of the attempt for what comes after it in the task: to be called if it answers */
function countingOn(task: object, attempt: object): () => void {
  const before = [...(ordinals.get(task) ?? [])].filter(([name]) => name.startsWith(COUNTED_ON));
  const counted = new Map(before);
  ordinals.set(attempt, counted);
  return () => {
    const kept = ordinals.get(task) ?? new Map<string, number>();
    ordinals.set(task, kept);
    for (const [name, count] of counted)
      if (name.startsWith(COUNTED_ON)) kept.set(name, Math.max(count, kept.get(name) ?? 0));
  };
}

/**
 * The configurable of an attempt whose questions are numbered apart from those of others, and whose writes and calls end
 * with it and reach the state only if it answers. An attempt must ask under the numbers of the one before it, as in LangGraph's own retry, or it would be asked
 * again what a person has answered already; and one that was given up on must neither write, nor take the answer that
 * is meant for the one in its place.
 *
 * @param graphs filled with the numbers of the graphs that the attempt calls
 * @param goesOnCounting whether what it counts comes after what the decorated calls before it in the task have counted
 *
 * Assumptions: a task writes through the functions of its configurable; of what its scratchpad holds only the counters
 * are written to, and a question adds 1 to `interruptCounter`; answers are written to the channel `__resume__`.
 */
export function ownConfigurable(
  config: LangGraphRunnableConfig,
  questions: Questions,
  gate: AttemptGate,
  graphs: number[] = [],
  goesOnCounting = false,
): OwnConfigurable {
  const given = config.configurable as Record<string, unknown> | undefined;
  const own: Record<string, unknown> = { ...given };
  const shared = scratchpadOf(config);
  if (shared !== undefined) own[SCRATCHPAD] = numberedApart(shared, questions, gate, graphs);
  const keepCount = goesOnCounting && shared !== undefined ? countingOn(shared, own[SCRATCHPAD] as object) : undefined;
  const call = given?.[CALL];
  if (typeof call === "function")
    own[CALL] = (...parameters: unknown[]) => {
      refuseLate(gate);
      gate.passed();
      return call(...parameters);
    };
  const send = given?.[SEND];
  if (typeof send !== "function") return { configurable: own, flush: keepCount };
  const held: Write[] = [];
  own[SEND] = (writes: readonly Write[]) => {
    if (!gate.open()) return undefined;
    gate.passed();
    const answers = writes.filter(([channel]) => channel === RESUME);
    held.push(...writes.filter(([channel]) => channel !== RESUME));
    if (answers.length > 0) send(answers.map(([channel, list]) => [channel, allAnswers(shared, list)]));
    return undefined;
  };
  const flush = () => {
    keepCount?.();
    if (held.length > 0 && gate.open()) send(held.splice(0));
  };
  return { configurable: own, flush };
}

type Write = readonly [channel: string, value: unknown];

interface OwnConfigurable {
  readonly configurable: Record<string, unknown>;
  /** Writes what the attempt has written, once it has answered; undefined where there is nowhere to write to. */
  readonly flush: (() => void) | undefined;
}

/**
 * A question writes down the answers up to its own, and the last of such writes counts: an attempt that asks less than
 * the one before it would take answers away that people have given.
 */
function allAnswers(shared: Scratchpad | undefined, list: unknown): unknown {
  const known = shared?.resume ?? [];
  return Array.isArray(list) && list.length < known.length ? [...known] : list;
}

function numberedApart(shared: Scratchpad, questions: Questions, gate: AttemptGate, graphs: number[]): Scratchpad {
  const own = new Proxy(shared, {
    get(target, key) {
      refuseLate(gate);
      return key === "interruptCounter" ? questions.latest : Reflect.get(target, key);
    },
    set(target, key, value) {
      refuseLate(gate);
      // Each graph that a task calls gets the next number as part of its namespace.
      if (key === "subgraphCounter") graphs.push((value as number) - 1);
      if (key !== "interruptCounter") return Reflect.set(target, key, value);
      questions.moveTo(value as number);
      return true;
    },
  });
  const pass = (number: number) => {
    refuseLate(gate);
    return questions.pass(number);
  };
  attempts.set(own, { task: attempts.get(shared)?.task ?? shared, pass });
  return own;
}

function refuseLate(gate: AttemptGate): void {
  if (!gate.open())
    throw new CancelledError(
      "This attempt was given up on; what it does now no longer counts. Listen to config.signal",
    );
}

/** The config of the task that is running, for a function that was called without one. */
export function ambientConfig(): LangGraphRunnableConfig {
  return (AsyncLocalStorageProviderSingleton.getRunnableConfig() ?? {}) as LangGraphRunnableConfig;
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

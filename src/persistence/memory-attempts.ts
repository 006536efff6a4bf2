import type { AttemptRecord } from "../core/records.js";
import type { AttemptScope, AttemptStore, AttemptsState, StoredAttempts } from "../core/store-ports.js";
import { jsonText } from "./json-text.js";

interface Step {
  /** JSON by number. */
  readonly attempts: Map<number, string>;
  state: AttemptsState;
}

/** The failed attempts of a process that keeps nothing. */
export class MemoryAttempts implements AttemptStore {
  readonly #threads = new Map<string, Map<string, Step>>();

  async append(scope: AttemptScope, attempt: AttemptRecord): Promise<void> {
    const json = jsonText(`Attempt ${attempt.number} of step "${scope.step}"`, attempt);
    const steps = this.#threads.get(scope.threadId) ?? new Map<string, Step>();
    const step = steps.get(scope.step) ?? { attempts: new Map(), state: "open" };
    if (step.attempts.has(attempt.number)) return;
    step.attempts.set(attempt.number, json);
    step.state = "open";
    this.#threads.set(scope.threadId, steps.set(scope.step, step));
  }

  async mark(scope: AttemptScope, state: AttemptsState): Promise<void> {
    const step = this.#threads.get(scope.threadId)?.get(scope.step);
    if (step !== undefined) step.state = state;
  }

  async load(scope: AttemptScope): Promise<StoredAttempts | undefined> {
    const step = this.#threads.get(scope.threadId)?.get(scope.step);
    if (step === undefined) return undefined;
    const ascending = [...step.attempts].sort(([a], [b]) => a - b);
    return { attempts: ascending.map(([, json]) => JSON.parse(json) as AttemptRecord), state: step.state };
  }

  async clear(scope: AttemptScope): Promise<void> {
    const steps = this.#threads.get(scope.threadId);
    steps?.delete(scope.step);
    if (steps?.size === 0) this.#threads.delete(scope.threadId);
  }

  /** The thread was deleted. */
  forget(threadId: string): void {
    this.#threads.delete(threadId);
  }
}

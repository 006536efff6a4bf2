/** The config of an attempt that somebody watches: what its models use, and whether it is alive. */
import { BaseCallbackHandler } from "@langchain/core/callbacks/base";
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import type { Clock } from "../core/clock.js";
import { isControlFlow } from "../errors/control-flow.js";
import { ConfigError } from "../errors/own-errors.js";
import type { AttemptOutcome, BudgetPolicy } from "../policies/budget.js";
import type { RunningAttempt } from "../policies/running-attempt.js";
import { markerOf } from "./attempt-scope.js";
import { type CountedAs, countAttempt } from "./metered-attempt.js";
import type { RunContext } from "./run-context.js";
import { meterOf } from "./thread-usage.js";
import { withHandlers } from "./usage-handler.js";

export interface Watch {
  readonly context: RunContext;
  readonly clock: Clock;
  /** What the thread may spend; checked before the attempt begins. */
  readonly budget: BudgetPolicy | undefined;
  /** Whether someone wants to know the tokens used even where no thread is charged for them. */
  readonly countsTokens: boolean;
  readonly counts: CountedAs;
}

/**
 * Resolves when the thread may spend on one more attempt.
 *
 * @throws BudgetExceededError; ConfigError where there is no thread to hold the budget against
 */
export function allowedBy(
  budget: BudgetPolicy | undefined,
  { saver, threadId, node }: RunContext,
  clock: Clock,
): Promise<void> | undefined {
  if (budget === undefined || Object.values(budget).every((limit) => limit === undefined)) return undefined;
  if (saver === undefined || threadId === undefined)
    return Promise.reject(
      new ConfigError(
        `Node "${node}" has a budget, which is a thread's, and runs without one; compile the graph with a checkpointer and run it with a thread_id`,
      ),
    );
  return meterOf(saver, threadId, clock).then((meter) => meter.check(budget, `thread "${threadId}"`));
}

/**
 * Runs an attempt in a config whose callbacks report what it uses and that it is alive. The thread is charged for it,
 * as useful or as wasted.
 *
 * @throws BudgetExceededError when the thread has nothing left to spend
 */
export function watched<T>(
  config: LangGraphRunnableConfig,
  running: RunningAttempt,
  watch: Watch,
  work: (config: LangGraphRunnableConfig) => T,
): T | Promise<Awaited<T>> {
  const isCharged = watch.context.saver !== undefined && watch.context.threadId !== undefined;
  return isCharged || watch.countsTokens ? counted(config, running, watch, work) : alive(config, running, work);
}

async function counted<T>(
  config: LangGraphRunnableConfig,
  running: RunningAttempt,
  { context, clock, budget, counts }: Watch,
  work: (config: LangGraphRunnableConfig) => T,
): Promise<Awaited<T>> {
  const { saver, threadId } = context;
  const meter = saver === undefined || threadId === undefined ? undefined : await meterOf(saver, threadId, clock);
  if (budget !== undefined) meter?.check(budget, `thread "${threadId}"`);
  // Where the thread is charged here, the calls are hidden from whoever counts further out, and told instead.
  const around = meter === undefined ? undefined : markerOf(config)?.running;
  const counting = countAttempt(config, meter, counts, ({ totalTokens }) => {
    running.usedTokens = (running.usedTokens ?? 0) + totalTokens;
    if (around !== undefined) around.usedTokens = (around.usedTokens ?? 0) + totalTokens;
  });
  let outcome: AttemptOutcome = "wasted";
  try {
    const result = await alive(counting.config, running, work);
    outcome = "useful";
    return result;
  } catch (error) {
    // A question to a person is no failure: what led up to it is part of the answer.
    if (isControlFlow(error)) outcome = "useful";
    throw error;
  } finally {
    counting.end(outcome);
  }
}

function alive<T>(
  config: LangGraphRunnableConfig,
  { liveness }: RunningAttempt,
  work: (config: LangGraphRunnableConfig) => T,
): T {
  return work(liveness === undefined ? config : withHandlers(config, [new LivenessHandler(() => liveness.beat())]));
}

/** Hears every token of a model, and every start and end of a tool or a retriever. */
class LivenessHandler extends BaseCallbackHandler {
  readonly name = "lgr_liveness";
  override awaitHandlers = true;
  override ignoreChain = true;
  override readonly handleLLMNewToken: () => void;
  override readonly handleLLMEnd: () => void;
  override readonly handleToolStart: () => void;
  override readonly handleToolEnd: () => void;
  override readonly handleRetrieverEnd: () => void;
  override readonly handleCustomEvent: () => void;

  constructor(beat: () => void) {
    super();
    this.handleLLMNewToken = beat;
    this.handleLLMEnd = beat;
    this.handleToolStart = beat;
    this.handleToolEnd = beat;
    this.handleRetrieverEnd = beat;
    this.handleCustomEvent = beat;
  }

  override copy(): BaseCallbackHandler {
    return this;
  }
}

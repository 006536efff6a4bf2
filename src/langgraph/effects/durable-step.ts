/** Waits until everything that a step stands on is stored, before it changes the outside world. */
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import type { Clock } from "../../core/clock.js";
import type { EffectScope } from "../../core/effect-ports.js";
import { EffectNotRecordedError } from "../../errors/effect-errors.js";

interface DurableSaver {
  whenDurable(
    config: LangGraphRunnableConfig,
    options: { readonly signal?: AbortSignal; readonly runsHere: true },
  ): Promise<void>;
}

/** For a saver that cannot tell. Milliseconds. */
const looks = { every: 20, atMost: 30_000 };

/** @throws EffectNotRecordedError where it never is: with durability "exit" */
export async function stepIsDurable(
  effect: string,
  saver: BaseCheckpointSaver & Partial<DurableSaver>,
  config: LangGraphRunnableConfig,
  frames: EffectScope,
  clock: Clock,
): Promise<void> {
  const { signal } = config;
  if (saver.whenDurable === undefined) return isFound(effect, saver, config, frames, clock);
  try {
    await saver.whenDurable(config, { runsHere: true, ...(signal === undefined ? {} : { signal }) });
  } catch (error) {
    if ((error as { code?: unknown }).code !== "NOT_DURABLE") throw error;
    throw neverDurable(effect, { cause: error });
  }
}

async function isFound(
  effect: string,
  saver: BaseCheckpointSaver,
  { configurable, signal }: LangGraphRunnableConfig,
  frames: EffectScope,
  clock: Clock,
): Promise<void> {
  const until = clock.now() + looks.atMost;
  for (const { namespace, checkpointId } of frames) {
    const place = { thread_id: configurable?.thread_id, checkpoint_ns: namespace, checkpoint_id: checkpointId };
    while ((await saver.getTuple({ configurable: place })) === undefined) {
      if (clock.now() >= until) throw neverDurable(effect);
      await clock.sleep(looks.every, signal);
    }
  }
}

function neverDurable(effect: string, options?: { readonly cause: unknown }): EffectNotRecordedError {
  return new EffectNotRecordedError(
    effect,
    'the checkpoint of its step is not stored. Durability "exit" stores none before the end of the run: run with "sync" (runThread does) or "async"',
    options,
  );
}

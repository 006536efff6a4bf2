import type { RunnableConfig } from "@langchain/core/runnables";
import type { BaseCheckpointSaver, CheckpointListOptions, CheckpointTuple } from "@langchain/langgraph-checkpoint";
import type { CheckpointCorruptError } from "../errors/persistence-errors.js";

type Listed = AsyncGenerator<CheckpointTuple | CheckpointCorruptError>;

/** Checkpoints newest first, a damaged one as its error; as the saver lists them where it cannot tell. */
export function listSound(saver: BaseCheckpointSaver, config: RunnableConfig, options?: CheckpointListOptions): Listed {
  const able = saver as { listSound?: (config: RunnableConfig, options?: CheckpointListOptions) => Listed };
  return able.listSound?.(config, options) ?? saver.list(config, options);
}

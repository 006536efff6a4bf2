/**
 * A new head for a thread whose head is damaged. LangGraph reads the head whenever it goes on from an older checkpoint,
 * so as long as that is damaged there is no other way on.
 */
import { type CheckpointTuple, copyCheckpoint, uuid6 } from "@langchain/langgraph-checkpoint";
import { systemClock } from "../../core/clock.js";
import { RUN_HOLD, type RunHold } from "../../core/run-hold.js";
import { CheckpointCorruptError } from "../../errors/persistence-errors.js";
import type { RunnableGraph } from "./graph.js";

/**
 * Stores a copy of a sound checkpoint beside it, as LangGraph's own copy does, and in full: it stands on nothing but what
 * that one stands on.
 *
 * @returns its ID
 * @throws CheckpointCorruptError where the damaged head is still the newest: its ID itself is damaged
 */
export async function putStandIn(
  { checkpointer }: RunnableGraph,
  sound: CheckpointTuple,
  { place }: CheckpointCorruptError,
  hold: RunHold,
): Promise<string> {
  const step = (sound.metadata?.step ?? -1) + 1;
  const id = uuid6(step);
  if (place.namespace === "" && id < place.checkpointId)
    throw new CheckpointCorruptError(
      place,
      "its ID is later than any of now, so no other can take its place; delete its row from the table checkpoints",
    );
  const ts = new Date(systemClock.now()).toISOString();
  const { thread_id } = sound.config.configurable ?? {};
  const parentId = sound.parentConfig?.configurable?.checkpoint_id as string | undefined;
  await checkpointer.put(
    {
      configurable: {
        thread_id,
        checkpoint_ns: "",
        ...(parentId === undefined ? {} : { checkpoint_id: parentId }),
        [RUN_HOLD]: hold,
      },
    },
    { ...copyCheckpoint(sound.checkpoint), id, ts },
    { ...sound.metadata, source: "fork", step, parents: sound.metadata?.parents ?? {} },
    sound.checkpoint.channel_versions,
  );
  return id;
}

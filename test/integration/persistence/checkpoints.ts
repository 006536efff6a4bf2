/** Checkpoints of one channel, put and listed. */
import { type BaseCheckpointSaver, emptyCheckpoint, uuid6 } from "@langchain/langgraph-checkpoint";

const metadata = { source: "loop" as const, step: 0, parents: {} };
export const at = (threadId: string) => ({ configurable: { thread_id: threadId, checkpoint_ns: "" } });
export const put = (saver: BaseCheckpointSaver, thread: string, value: unknown = thread) =>
  saver.put(
    at(thread),
    { ...emptyCheckpoint(), id: uuid6(0), channel_values: { a: value }, channel_versions: { a: 1 } },
    metadata,
    { a: 1 },
  );

export async function listed(saver: BaseCheckpointSaver, thread: string) {
  const tuples = [];
  for await (const tuple of saver.list(at(thread))) tuples.push(tuple);
  return tuples;
}

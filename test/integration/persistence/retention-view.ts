/** All that can be read of threads, checkpoint by checkpoint, as texts. */
import type { BaseCheckpointSaver, CheckpointTuple } from "@langchain/langgraph-checkpoint";
import { historyParts, type Parts, snapshotParts, tupleParts } from "./model-based/exact.js";
import { buildGraph, DELTA_CHANNELS } from "./model-based/graph.js";

export interface ThreadView {
  /** By namespace and ID. */
  readonly checkpoints: ReadonlyMap<string, Parts>;
  readonly head: { readonly state: Parts /** Of each namespace. */; readonly newest: Parts };
}

export async function tuplesOf(saver: BaseCheckpointSaver, thread_id: string): Promise<CheckpointTuple[]> {
  const tuples: CheckpointTuple[] = [];
  for await (const tuple of saver.list({ configurable: { thread_id } })) tuples.push(tuple);
  return tuples;
}

export const keyOf = ({ config }: CheckpointTuple): string =>
  `${config.configurable?.checkpoint_ns ?? ""} ${config.configurable?.checkpoint_id}`;

export async function viewOf(saver: BaseCheckpointSaver, thread_id: string): Promise<ThreadView> {
  const graph = buildGraph({ failures: 0 }).compile({ checkpointer: saver });
  const tuples = await tuplesOf(saver, thread_id);
  const histories = new Set(tuples.map(namespaceOf).filter((ns) => ns !== "" && !ns.includes(":")));
  const views = await Promise.all(
    tuples.map(async (listed) => {
      const ns = namespaceOf(listed);
      const config = { configurable: { thread_id, checkpoint_ns: ns, checkpoint_id: listed.checkpoint.id } };
      const tuple = await saver.getTuple(config);
      const channels = openChannels(listed);
      const parts: Parts = {
        ...tupleParts(tuple, false),
        ...historyParts(await saver.getDeltaChannelHistory({ config, channels }), false),
        ...(ns === "" ? snapshotParts(await graph.getState(config, { subgraphs: true })) : {}),
      };
      if (ns === "") for (const history of histories) parts[`${history} before`] = await before(saver, listed, history);
      return [keyOf(listed), parts] as const;
    }),
  );
  const newest: Parts = {};
  for (const ns of new Set(tuples.map(namespaceOf))) {
    const tuple = await saver.getTuple({ configurable: { thread_id, checkpoint_ns: ns } });
    newest[ns] = tuple === undefined ? "none" : keyOf(tuple);
  }
  const state = snapshotParts(await graph.getState({ configurable: { thread_id } }, { subgraphs: true }));
  return { checkpoints: new Map(views), head: { newest, state } };
}

function namespaceOf({ config }: CheckpointTuple): string {
  return config.configurable?.checkpoint_ns ?? "";
}

/** The delta channels that LangGraph asks the history of. */
function openChannels({ checkpoint, metadata }: CheckpointTuple): string[] {
  const flagged = (metadata as { delta_writes_versioned?: boolean } | undefined)?.delta_writes_versioned === true;
  return DELTA_CHANNELS.slice(0, 3).filter(
    (channel) =>
      !Object.hasOwn(checkpoint.channel_values, channel) &&
      (checkpoint.channel_versions[channel] !== undefined || (!flagged && channel !== "notes")),
  );
}

/** What a subgraph with a history of its own begins with when the run goes on from this checkpoint. */
async function before(saver: BaseCheckpointSaver, tuple: CheckpointTuple, ns: string): Promise<string> {
  const { thread_id } = tuple.config.configurable ?? {};
  const update = tuple.metadata?.source === "update" || tuple.metadata?.source === "fork";
  const bounds = [tuple.checkpoint.id, ...(update ? [tuple.parentConfig?.configurable?.checkpoint_id] : [])];
  const found: string[] = [];
  for (const checkpoint_id of bounds) {
    if (checkpoint_id === undefined) continue;
    const options = { before: { configurable: { checkpoint_id } }, limit: 1 };
    for await (const one of saver.list({ configurable: { thread_id, checkpoint_ns: ns } }, options))
      found.push(keyOf(one));
  }
  return found.join();
}

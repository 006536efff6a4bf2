import type { StateSnapshot } from "@langchain/langgraph";
import type { BaseCheckpointSaver, CheckpointTuple } from "@langchain/langgraph-checkpoint";
import { ThreadError } from "../../errors/own-errors.js";
import type { CheckpointCorruptError } from "../../errors/persistence-errors.js";
import { ifDamage, isDamage } from "../../langgraph/threads/damage.js";
import { inspectThread } from "../../langgraph/threads/inspect-thread.js";
import { listSound } from "../../persistence/list-sound.js";
import { commandName } from "../command-name.js";
import { type GlobalOptions, withScope } from "../command-scope.js";
import { positiveInteger } from "../option-values.js";
import { table } from "../table.js";

export interface HistoryFlags {
  readonly limit: string;
  readonly graph?: string;
}

interface GraphWithHistory {
  readonly checkpointer: BaseCheckpointSaver;
  getState(config: object): Promise<StateSnapshot>;
  getStateHistory(config: object, options: { limit: number }): AsyncIterable<StateSnapshot>;
}

export async function history(thread: string, flags: HistoryFlags, global: GlobalOptions): Promise<void> {
  await withScope(global, async ({ graphOfThread, output, persistence }) => {
    const { name, graph } = await graphOfThread(thread, flags.graph);
    const inspection = await inspectThread(graph, thread);
    if (!inspection.stored) {
      throw new ThreadError(
        "THREAD_NOT_FOUND",
        `Thread "${thread}" has no checkpoint in ${persistence.description}; start it with: ${commandName()} run ${name} --thread ${thread} --input '{…}'`,
      );
    }
    output.line(
      `Thread ${thread} (${inspection.threadId}), graph ${name}: ${inspection.status}${inspection.why === undefined ? "" : `, ${inspection.why}`}`,
    );
    output.line();
    const rows: string[][] = [];
    const limit = positiveInteger("--limit", flags.limit);
    const found = await historyOf(graph as unknown as GraphWithHistory, inspection.threadId, limit);
    for (const one of found) {
      const row = "damage" in one ? damagedRow(one, inspection.checkpointId) : rowOf(one, inspection.checkpointId);
      output.object({ type: "checkpoint", ...row });
      rows.push([
        row.head ? "→" : "",
        row.id,
        row.parent ?? "",
        "step" in row ? String(row.step) : "",
        row.source,
        row.createdAt ?? "",
        "next" in row ? row.next.join(", ") || "end" : "",
        row.note,
      ]);
    }
    for (const line of table(["", "CHECKPOINT", "PARENT", "STEP", "SOURCE", "TIME", "NEXT", ""], rows))
      output.line(line);
    output.line();
    output.line(
      `Go on from one of them, as a branch of its own:  ${commandName()} resume ${thread} --from <checkpoint>`,
    );
  });
}

/** A checkpoint that cannot be shown. The damage may be in another one that it stands on. */
interface Damaged {
  readonly id: string;
  readonly parent: string | undefined;
  readonly damage: CheckpointCorruptError;
}
type Found = StateSnapshot | Damaged;

/** Newest first. The usual way ends at the first damage, so where there is one each checkpoint is read by itself. */
async function historyOf(graph: GraphWithHistory, threadId: string, limit: number): Promise<Found[]> {
  const config = { configurable: { thread_id: threadId, checkpoint_ns: "" } };
  try {
    const found: Found[] = [];
    for await (const snapshot of graph.getStateHistory(config, { limit })) found.push(snapshot);
    return found;
  } catch (error) {
    if (!isDamage(error)) throw error;
  }
  const found: Found[] = [];
  for await (const one of listSound(graph.checkpointer, config, { limit }))
    found.push(isDamage(one) ? damagedItself(one) : await shown(graph, one));
  return found;
}

function damagedItself(damage: CheckpointCorruptError): Damaged {
  const { checkpointId, parentId } = damage.place;
  return { id: checkpointId, parent: parentId, damage };
}

async function shown(graph: GraphWithHistory, { config, parentConfig }: CheckpointTuple): Promise<Found> {
  const found = await graph.getState(config).catch(ifDamage);
  if (!isDamage(found)) return found;
  const parent = parentConfig?.configurable?.checkpoint_id as string | undefined;
  return { id: String(config.configurable?.checkpoint_id), parent, damage: found };
}

function damagedRow({ id, parent, damage }: Damaged, head: string | undefined) {
  const { part, checkpointId } = damage.place;
  const damaged = checkpointId === id ? part : `${part} of ${checkpointId}`;
  return {
    id,
    ...(parent === undefined ? {} : { parent }),
    head: id === head,
    source: "?",
    createdAt: undefined,
    damaged,
    note: `damaged: ${damaged}`,
  };
}

function rowOf(snapshot: StateSnapshot, head: string | undefined) {
  const id = String(snapshot.config.configurable?.checkpoint_id ?? "");
  const parent = snapshot.parentConfig?.configurable?.checkpoint_id as string | undefined;
  const interrupted = snapshot.tasks.some((task) => task.interrupts.length > 0);
  const failed = snapshot.tasks.some((task) => "error" in task && task.error !== undefined);
  return {
    id,
    ...(parent === undefined ? {} : { parent }),
    head: id === head,
    step: snapshot.metadata?.step ?? -1,
    source: snapshot.metadata?.source ?? "?",
    createdAt: snapshot.createdAt ?? "",
    next: snapshot.next,
    note: interrupted ? "asked a person" : failed ? "failed" : "",
  };
}

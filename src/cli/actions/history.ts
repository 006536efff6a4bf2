import type { StateSnapshot } from "@langchain/langgraph";
import { ThreadError } from "../../errors/own-errors.js";
import { inspectThread } from "../../langgraph/threads/inspect-thread.js";
import { commandName } from "../command-name.js";
import { type GlobalOptions, withScope } from "../command-scope.js";
import { positiveInteger } from "../option-values.js";
import { table } from "../table.js";

export interface HistoryFlags {
  readonly limit: string;
  readonly graph?: string;
}

interface GraphWithHistory {
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
    const config = { configurable: { thread_id: inspection.threadId } };
    for await (const snapshot of (graph as unknown as GraphWithHistory).getStateHistory(config, {
      limit: positiveInteger("--limit", flags.limit),
    })) {
      const row = rowOf(snapshot, inspection.checkpointId);
      output.object({ type: "checkpoint", ...row });
      rows.push([
        row.head ? "→" : "",
        row.id,
        row.parent ?? "",
        String(row.step),
        row.source,
        row.createdAt,
        row.next.join(", ") || "end",
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

import type { ThreadRecord, ThreadStatus } from "../../core/ports.js";
import { redactText } from "../../core/redact.js";
import { inspectThread } from "../../langgraph/threads/inspect-thread.js";
import { knownStatus } from "../../persistence/thread-rules.js";
import { commandName } from "../command-name.js";
import { type CommandScope, type GlobalOptions, withScope } from "../command-scope.js";
import { positiveInteger } from "../option-values.js";
import { table } from "../table.js";

export interface ThreadsFlags {
  readonly graph?: string;
  readonly status?: ThreadStatus;
  readonly limit: string;
}

export async function threads(flags: ThreadsFlags, global: GlobalOptions): Promise<void> {
  await withScope(global, async (scope) => {
    const { output, persistence } = scope;
    const records = await persistence.threads.list({
      limit: positiveInteger("--limit", flags.limit),
      ...(flags.graph === undefined ? {} : { graph: flags.graph }),
      ...(flags.status === undefined ? {} : { status: flags.status }),
    });
    const rows: string[][] = [];
    for (const record of records) {
      const status = await standing(scope, record);
      output.object({ type: "thread", ...record, status });
      rows.push([
        record.name ?? record.threadId,
        record.graph ?? "?",
        status,
        String(record.checkpoints),
        record.updatedAt.toISOString(),
        oneLine(record.error),
      ]);
    }
    if (rows.length === 0)
      output.line(
        `No threads in ${persistence.description}. Start one with: ${commandName()} run <graph> --thread <name>`,
      );
    else
      for (const line of table(["THREAD", "GRAPH", "STATUS", "CHECKPOINTS", "LAST ACTIVITY", "ERROR"], rows))
        output.line(line);
  });
}

/** A record of a run that did not come to its end, or of a thread run by other means, says less than the checkpoint. */
async function standing({ graph, project }: CommandScope, record: ThreadRecord): Promise<string> {
  const settled = record.status !== undefined && record.status !== "running";
  if (settled || record.graph === undefined || !Object.hasOwn(project.graphs, record.graph)) {
    return knownStatus(record) ?? "unknown";
  }
  try {
    const { status, damage } = await inspectThread(await graph(record.graph), record.threadId);
    if (damage !== undefined) return "damaged";
    return status === "interrupted" && record.status === "running" ? "running or interrupted" : status;
  } catch (error) {
    // One graph that cannot be loaded must not hide the other threads.
    process.stderr.write(`lgr: thread ${record.name ?? record.threadId}: ${redactText((error as Error).message)}\n`);
    return knownStatus(record) ?? "unknown";
  }
}

function oneLine(text: string | undefined): string {
  const line = (text ?? "").split("\n")[0] ?? "";
  return line.length > 80 ? `${line.slice(0, 79)}…` : line;
}

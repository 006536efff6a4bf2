import type { AuditFilter, AuditLog, StoredAuditEntry } from "../../core/audit-ports.js";
import { systemClock } from "../../core/clock.js";
import type { Persistence } from "../../core/ports.js";
import { redact } from "../../core/redact.js";
import { threadIdOf } from "../../core/thread-id.js";
import { ConfigError } from "../../errors/own-errors.js";
import { auditHead, auditTail } from "../audit-rows.js";
import { type CommandScope, type GlobalOptions, withScope } from "../command-scope.js";
import { positiveInteger, timeMs } from "../option-values.js";
import { table } from "../table.js";

export interface AuditFlags {
  readonly by?: string;
  readonly what?: string;
  readonly since?: string;
  readonly limit: string;
}

export async function audit(thread: string | undefined, flags: AuditFlags, global: GlobalOptions): Promise<void> {
  const filter: AuditFilter = {
    limit: positiveInteger("--limit", flags.limit),
    ...(flags.by === undefined ? {} : { by: flags.by }),
    ...(flags.what === undefined ? {} : { what: flags.what }),
    ...(flags.since === undefined ? {} : { since: timeMs("--since", flags.since, systemClock.now()) }),
  };
  await withScope(global, async (scope) => {
    const log = scope.persistence.audit;
    if (log === undefined) throw new ConfigError(`The ${scope.persistence.description} keeps no audit log`);
    const found =
      thread === undefined ? await log.list(filter) : await ofThread(scope.persistence, log, thread, filter);
    await print(scope, thread, found.toReversed(), Object.keys(filter).length > 1);
  });
}

/** A thread that was deleted is known by its ID alone, which a name leads to as well. */
async function ofThread({ threads }: Persistence, log: AuditLog, thread: string, filter: AuditFilter) {
  const known = await threads.findByName(thread);
  for (const threadId of new Set([known?.threadId ?? thread, threadIdOf(thread)])) {
    const found = await log.list({ ...filter, threadId });
    if (found.length > 0) return found;
  }
  return [];
}

async function print(
  { output, persistence }: CommandScope,
  thread: string | undefined,
  entries: readonly StoredAuditEntry[],
  isFiltered: boolean,
): Promise<void> {
  for (const entry of entries) output.object({ type: "audit", ...(redact(entry) as object) });
  if (output.json) return;
  if (entries.length === 0) {
    const which = thread === undefined ? "The audit log has" : `Thread ${thread} has`;
    const none = isFiltered ? "no entries like that" : "no entries";
    output.line(`${which} ${none} in ${thread === undefined ? "" : "the audit log of "}${persistence.description}.`);
    return;
  }
  if (thread !== undefined) {
    const rows = entries.map((entry) => [...auditHead(entry), ...auditTail(entry)]);
    for (const line of table(["WHEN", "WHO", "WHAT", "WHY", "DETAILS"], rows)) output.line(line);
    return;
  }
  const names = await namesOf(persistence, entries);
  const rows = entries.map((entry) => [
    ...auditHead(entry),
    names.get(entry.threadId ?? "") ?? "",
    ...auditTail(entry),
  ]);
  for (const line of table(["WHEN", "WHO", "WHAT", "THREAD", "WHY", "DETAILS"], rows)) output.line(line);
}

/** What people call the threads: their names, and their IDs where they have none or are deleted. */
async function namesOf({ threads }: Persistence, entries: readonly StoredAuditEntry[]) {
  const names = new Map<string, string>();
  for (const { threadId } of entries) {
    if (threadId === undefined || names.has(threadId)) continue;
    names.set(threadId, (await threads.get(threadId))?.name ?? threadId);
  }
  return names;
}

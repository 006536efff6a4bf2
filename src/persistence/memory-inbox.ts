import type { AuditEntry } from "../core/audit-ports.js";
import type { InboxFilter, InboxItem, InboxStore, StoredInboxItem } from "../core/inbox-ports.js";
import { type InboxConditions, inboxMoment, inboxQuery } from "./inbox-rules.js";
import type { MemoryAudit } from "./memory-audit.js";

interface Entry {
  /** As text, so that nobody who holds an item can change it here. */
  readonly json: string;
  readonly version: number;
}

/** The inbox of a process that keeps nothing. */
export class MemoryInbox implements InboxStore {
  /** By ID, in the order in which they came. */
  readonly #items = new Map<string, Entry>();
  readonly #audit: Pick<MemoryAudit, "add">;

  constructor(audit: Pick<MemoryAudit, "add">) {
    this.#audit = audit;
  }

  async open(item: InboxItem, note?: AuditEntry): Promise<StoredInboxItem> {
    return this.#found(item.id) ?? this.#put(item, 1, note);
  }

  async get(id: string): Promise<StoredInboxItem | undefined> {
    return this.#found(id);
  }

  async change(item: InboxItem, version: number, note?: AuditEntry): Promise<StoredInboxItem | undefined> {
    return this.#items.get(item.id)?.version === version ? this.#put(item, version + 1, note) : undefined;
  }

  async list(filter?: InboxFilter): Promise<readonly StoredInboxItem[]> {
    const { conditions, limit } = inboxQuery(filter);
    return this.#all()
      .filter((item) => matches(item, conditions))
      .sort((a, b) => a.openedAt - b.openedAt)
      .slice(0, limit);
  }

  async due(nowMs: number, limit: number): Promise<readonly StoredInboxItem[]> {
    const asked = inboxMoment("due", nowMs, limit);
    return this.#until(asked, ({ state, sweepAt }) => (state === "pending" ? sweepAt : undefined));
  }

  async unsent(nowMs: number, limit: number): Promise<readonly StoredInboxItem[]> {
    return this.#until(inboxMoment("unsent", nowMs, limit), ({ notifyAt }) => notifyAt);
  }

  /** The thread was deleted. */
  forget(threadId: string): void {
    for (const item of this.#all()) if (item.threadId === threadId) this.#items.delete(item.id);
  }

  #found(id: string): StoredInboxItem | undefined {
    const found = this.#items.get(id);
    return found && toStored(found);
  }

  #put(item: InboxItem, version: number, note: AuditEntry | undefined): StoredInboxItem {
    const json = JSON.stringify(item);
    if (note !== undefined) this.#audit.add(note);
    this.#items.set(item.id, { json, version });
    return { ...item, version };
  }

  /** Those whose time has come, the longest overdue first. */
  #until(
    { nowMs, limit }: { readonly nowMs: number; readonly limit: number },
    timeOf: (item: InboxItem) => number | undefined,
  ): StoredInboxItem[] {
    const at = (item: InboxItem) => timeOf(item) ?? Number.POSITIVE_INFINITY;
    return this.#all()
      .filter((item) => at(item) <= nowMs)
      .sort((a, b) => at(a) - at(b))
      .slice(0, limit);
  }

  #all(): StoredInboxItem[] {
    return [...this.#items.values()].map(toStored);
  }
}

function toStored({ json, version }: Entry): StoredInboxItem {
  return { ...(JSON.parse(json) as InboxItem), version };
}

function matches(item: InboxItem, asked: InboxConditions): boolean {
  const { claim, dueAt } = item;
  const same = (["state", "graph", "threadId", "node", "kind", "assignee"] as const).every(
    (name) => asked[name] === undefined || item[name] === asked[name],
  );
  return (
    same &&
    (asked.claimedBy === undefined || claim?.by === asked.claimedBy) &&
    (asked.claimedAfter === undefined || (claim !== undefined && claim.until > asked.claimedAfter)) &&
    (asked.dueBefore === undefined || (dueAt !== undefined && dueAt < asked.dueBefore))
  );
}

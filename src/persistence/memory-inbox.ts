import type { InboxFilter, InboxItem, InboxStore, StoredInboxItem } from "../core/inbox-ports.js";
import { type InboxConditions, inboxDue, inboxQuery } from "./inbox-rules.js";

interface Entry {
  /** As text, so that nobody who holds an item can change it here. */
  readonly json: string;
  readonly version: number;
}

/** The inbox of a process that keeps nothing. */
export class MemoryInbox implements InboxStore {
  /** By ID, in the order in which they came. */
  readonly #items = new Map<string, Entry>();

  async open(item: InboxItem): Promise<StoredInboxItem> {
    return this.#found(item.id) ?? this.#put(item, 1);
  }

  async get(id: string): Promise<StoredInboxItem | undefined> {
    return this.#found(id);
  }

  async change(item: InboxItem, version: number): Promise<StoredInboxItem | undefined> {
    return this.#items.get(item.id)?.version === version ? this.#put(item, version + 1) : undefined;
  }

  async list(filter?: InboxFilter): Promise<readonly StoredInboxItem[]> {
    const { conditions, limit } = inboxQuery(filter);
    return this.#all()
      .filter((item) => matches(item, conditions))
      .sort((a, b) => a.openedAt - b.openedAt)
      .slice(0, limit);
  }

  async due(nowMs: number, limit: number): Promise<readonly StoredInboxItem[]> {
    const asked = inboxDue(nowMs, limit);
    const sweepAt = (item: InboxItem) => item.sweepAt ?? Number.POSITIVE_INFINITY;
    return this.#all()
      .filter((item) => item.state === "pending" && sweepAt(item) <= asked.nowMs)
      .sort((a, b) => sweepAt(a) - sweepAt(b))
      .slice(0, asked.limit);
  }

  /** The thread was deleted. */
  forget(threadId: string): void {
    for (const item of this.#all()) if (item.threadId === threadId) this.#items.delete(item.id);
  }

  #found(id: string): StoredInboxItem | undefined {
    const found = this.#items.get(id);
    return found && toStored(found);
  }

  #put(item: InboxItem, version: number): StoredInboxItem {
    this.#items.set(item.id, { json: JSON.stringify(item), version });
    return { ...item, version };
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

import { unlessAborted } from "../../core/abort.js";
import type { StoredInboxItem } from "../../core/inbox-ports.js";

export interface Paging {
  /** How many are read at first. */
  readonly first: number;
  /** How many are read at most; what lies behind as many that stay is not seen. Default: no end. */
  readonly most?: number;
}

/**
 * Goes through what a query finds that gives the longest overdue first and knows no "from", page by page, though some of
 * it stays as it is and is found again. Each item comes once in each version.
 *
 * @param work resolves with how many of the page stay as they are
 * @param signal ends it at once, also where a database is away that the query waits for
 */
export async function eachPage(
  read: (limit: number) => Promise<readonly StoredInboxItem[]>,
  { first, most = Number.POSITIVE_INFINITY }: Paging,
  signal: AbortSignal,
  work: (page: readonly StoredInboxItem[]) => Promise<number>,
): Promise<void> {
  const seen = new Map<string, number>();
  for (let limit = first; !signal.aborted; ) {
    const page = await unlessAborted(read(limit), signal).catch((error: unknown) => {
      if (signal.aborted) return [];
      throw error;
    });
    const fresh = page.filter(({ id, version }) => seen.get(id) !== version);
    for (const { id, version } of fresh) seen.set(id, version);
    const staying = page.length - fresh.length + (await work(fresh));
    if (page.length < limit) return;
    if (staying > limit / 2 && limit < most) limit = Math.min(most, limit * 4);
    else if (staying === page.length) return;
  }
}

/** Which effects of a thread a rollback is about. */
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import type { EffectLedger, StoredEffect, WayPoint } from "../../core/effect-ports.js";
import { type Affected, affectedBy, isLinked, type Reach } from "../../recovery/rollback-plan.js";
import { wholeCheckpoint } from "../effects/branches.js";
import { isRollback, wayOf } from "./open-rollback.js";

/** Where a thread's checkpoints and its ledger are. */
export interface ThreadStores {
  readonly saver: Pick<BaseCheckpointSaver, "getTuple">;
  readonly ledger: EffectLedger;
  readonly threadId: string;
}

export async function affectedIn(stores: ThreadStores, reach: Reach): Promise<Affected> {
  const all = await stores.ledger.list(stores.threadId);
  const entries = all.filter((entry) => !isRollback(entry));
  const left = isLinked(entries, reach) ? await leftByRollbacks(stores, all) : new Set<string>();
  return affectedBy(entries, reach, left);
}

/**
 * IDs of the checkpoints that rollbacks have left behind: what goes on after one goes on where they stood.
 *
 * @param all entries of the thread, those of its rollbacks among them
 */
export async function leftByRollbacks(
  stores: ThreadStores,
  all: readonly StoredEffect[],
): Promise<ReadonlySet<string>> {
  const left = new Set<string>();
  const ways = all.filter((entry) => isRollback(entry) && entry.state === "confirmed").map(wayOf);
  for (const { head, target, stays } of ways) {
    if (stays === true) continue;
    for (const { checkpointId } of await wayPoints(stores, head, target)) left.add(checkpointId);
  }
  return left;
}

/** A checkpoint of the root graph and those it came from, nearest first, down to `until` or to the first of all. */
export async function wayPoints(
  { saver, ledger, threadId }: ThreadStores,
  checkpointId: string,
  until: string,
): Promise<readonly WayPoint[]> {
  const from = { threadId, namespace: "" };
  if (ledger.way !== undefined) return ledger.way({ ...from, checkpointId }, until);
  const points: WayPoint[] = [];
  for (let next: string | undefined = checkpointId; next !== undefined; ) {
    const [point] = await wholeCheckpoint(saver, { ...from, checkpointId: next });
    if (point === undefined) break;
    points.push(point);
    next = point.checkpointId === until ? undefined : point.parentId;
  }
  return points;
}

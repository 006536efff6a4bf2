import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { systemClock } from "../../core/clock.js";
import type { EffectScope, StoredEffect } from "../../core/effect-ports.js";
import { persistenceOf } from "../../core/persistence-of.js";
import { runHoldOf } from "../../core/run-hold.js";
import { mayStand } from "../../effects/effect.js";
import { LedgerBook } from "../../effects/ledger-book.js";
import { rethrowControlFlow } from "../../errors/control-flow.js";
import { EffectNotRecordedError, TransactionFailedError } from "../../errors/effect-errors.js";
import { ConfigError } from "../../errors/own-errors.js";
import { planned, whyItStays } from "../../recovery/rollback-plan.js";
import { ambientConfig, runInConfig } from "../attempt-internals.js";
import { markerOf } from "../attempt-scope.js";
import { checkpointerOf, mayHaveRunBefore } from "../internals.js";
import { lookedUp, undoAll } from "../rollback/undo-all.js";
import { ordinalOf, ownFrames, placeOf, scopeOf } from "./effect-scope.js";

/** Configurable key: the transaction that a call is part of. */
const TRANSACTION = "__lgr_transaction";

/** The transaction that an effect called with this config is part of. */
export function transactionOf(config: LangGraphRunnableConfig): string | undefined {
  return (config.configurable as Record<string, unknown> | undefined)?.[TRANSACTION] as string | undefined;
}

/**
 * Effects that belong together, within one node: if the work fails, those that were done are undone, the newest first,
 * and the failure goes on as it came, so that another attempt of the node begins the group anew. A crash, in the work or
 * in the undoing, is made good by whoever resumes the step.
 *
 *     await transaction("order", async (config) => {
 *       await charge({ cents }, config);
 *       await reserve({ sku }, config);
 *     }, config);
 *
 * @param work is to hand on the config that it is given; its control flow (an interrupt, a drain) is no failure
 * @param config of the node; default that of the one that is running
 * @throws what the work throws, once all is undone; TransactionFailedError, for a person, when something of it could not be
 */
export async function transaction<T>(
  name: string,
  work: (config: LangGraphRunnableConfig) => Promise<T>,
  config: LangGraphRunnableConfig = ambientConfig(),
): Promise<T> {
  if (typeof name !== "string" || name === "") throw new ConfigError("transaction(): give it a name");
  if (transactionOf(config) !== undefined)
    throw new ConfigError(
      `transaction("${name}"): it is called within transaction "${transactionOf(config)}"; they cannot be nested`,
    );
  const group = groupOf(name, config);
  if (group.mayBeHalfUndone) await finishUndoing(group);
  const own = { ...config, configurable: { ...config.configurable, [TRANSACTION]: group.id } };
  Object.defineProperty(own, "signal", { get: () => config.signal, enumerable: true, configurable: true });
  try {
    return await runInConfig(own, () => work(own));
  } catch (error) {
    rethrowControlFlow(error);
    // Who was told to stop leaves what is done to whoever resumes.
    if (config.signal?.aborted === true) throw error;
    await undo(group, error);
    throw error;
  }
}

interface Group {
  readonly name: string;
  readonly id: string;
  readonly mayBeHalfUndone: boolean;
  readonly book: LedgerBook;
  /** Of this group, in the order of intent. */
  entries(): Promise<readonly StoredEffect[]>;
}

function groupOf(name: string, config: LangGraphRunnableConfig): Group {
  const threadId = config.configurable?.thread_id;
  const ledger = persistenceOf(checkpointerOf(config))?.ledger;
  if (ledger === undefined || typeof threadId !== "string")
    throw new EffectNotRecordedError(
      name,
      "a transaction needs a graph that is compiled with the checkpointer of openPersistence(), and the config that the node is given",
    );
  const scope = scopeOf(config);
  const id = `${name}#${ordinalOf(config, `transaction ${name}`, placeOf(config, ownFrames(config)), "").ordinal}`;
  const marker = markerOf(config);
  const { nodeAttempt = 1 } = config.executionInfo ?? {};
  const isFirst = (marker?.running.number ?? 1) === 1 && marker?.directive === undefined && nodeAttempt === 1;
  return {
    name,
    id,
    mayBeHalfUndone: !isFirst || mayHaveRunBefore(config),
    book: new LedgerBook(ledger, runHoldOf(config)?.lease, systemClock),
    entries: async () =>
      (await ledger.list(threadId)).filter((entry) => entry.transaction === id && isSame(entry.scope, scope)),
  };
}

function isSame(one: EffectScope, other: EffectScope): boolean {
  return (
    one.length === other.length &&
    one.every(({ checkpointId, taskId }, depth) => {
      const frame = other[depth];
      return frame?.checkpointId === checkpointId && frame.taskId === taskId;
    })
  );
}

/** An undoing that died with its process, or failed, is brought to its end before the group is begun anew. */
async function finishUndoing(group: Group): Promise<void> {
  const entries = await group.entries();
  if (entries.some(({ state }) => state === "compensating" || state === "compensation_failed") || diedBetween(entries))
    await undo(group);
}

/** Undone from the newest on: one that was undone after one that stands says that the undoing had begun. */
function diedBetween(entries: readonly StoredEffect[]): boolean {
  const oldestStanding = entries.findIndex(mayStand);
  return oldestStanding >= 0 && entries.slice(oldestStanding).some(({ state }) => state === "compensated");
}

/** @param because what the group failed of; absent where an undoing that was begun is finished */
async function undo(group: Group, because?: unknown): Promise<void> {
  const { book, name } = group;
  const doubts = (await group.entries()).filter(({ state }) => state === "unknown" || state === "dispatched");
  await lookedUp(book, doubts, undefined);
  const standing = (await group.entries()).filter(mayStand).toReversed();
  const isOpen = ({ state }: StoredEffect) => state === "unknown" || state === "dispatched";
  const undoable = standing.filter((entry) => whyItStays(entry) === undefined && !isOpen(entry));
  const { failed } = await undoAll(book, undoable, {});
  // Whoever retries after that has been told what stays.
  const stays = because === undefined ? [] : standing.filter((entry) => whyItStays(entry) !== undefined);
  const left = [...failed, ...stays.map((entry) => planned(entry, whyItStays(entry)))];
  if (left.length > 0) throw new TransactionFailedError(name, left, { cause: because });
}

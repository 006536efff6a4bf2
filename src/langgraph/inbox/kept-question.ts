/** The questions of a run, as the inbox of its persistence keeps them. */
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { systemClock } from "../../core/clock.js";
import type { InboxItem, InboxResolution, StoredInboxItem } from "../../core/inbox-ports.js";
import { asError } from "../../errors/own-errors.js";
import { changeItem } from "../../recovery/inbox-change.js";
import { answering, type NewItem, opened, reopened, settled } from "../../recovery/inbox-life.js";
import { ownFrames } from "../effects/effect-scope.js";
import { type RunContext, THREAD_NAME_KEY } from "../run-context.js";

type Given = Omit<NewItem, "threadId" | "thread" | "graph" | "askedAt">;

/**
 * Puts a question into the inbox before it is asked. One that is there already stays as it is.
 *
 * @param options `tellAfterMs`: for how long people are not told of it, in milliseconds; default 0
 * @returns undefined where there is no inbox
 */
export async function keptQuestion(
  { persistence, threadId }: RunContext,
  config: LangGraphRunnableConfig,
  given: Given,
  { tellAfterMs = 0 }: { readonly tellAfterMs?: number } = {},
): Promise<StoredInboxItem | undefined> {
  const { inbox } = persistence ?? {};
  if (inbox === undefined || threadId === undefined) return undefined;
  const found = await inbox.get(given.id);
  if (found !== undefined) return found;
  const { item, note } = opened(
    {
      ...given,
      threadId,
      thread: text(config.configurable?.[THREAD_NAME_KEY]),
      graph: text(config.configurable?.graph_id),
      askedAt: text(ownFrames(config)[0]?.checkpointId),
    },
    systemClock.now(),
    tellAfterMs,
  );
  return inbox.open(item, note);
}

/** A question that was taken for answered is asked again: the answer was lost with its process, or was not for it. */
export async function askedAgain({ persistence }: RunContext, item: StoredInboxItem | undefined): Promise<void> {
  if (item === undefined || (item.state === "pending" && item.answer === undefined)) return;
  const { item: again, note } = reopened(item, systemClock.now());
  await persistence?.inbox?.change(again, item.version, note);
}

/** An answer to a question of this run is taken in; noted once, however often the node is run again with it. */
export async function noteAnswer(
  { persistence }: RunContext,
  id: string,
  { action, by, reason }: { readonly action: string; readonly by: string; readonly reason?: string | undefined },
): Promise<void> {
  const { inbox } = persistence ?? {};
  if (inbox === undefined) return;
  const answer = { action, by, at: systemClock.now(), ...(reason === undefined ? {} : { reason }) };
  const change = (item: StoredInboxItem) =>
    item.answer?.action === action && item.answer.by === by ? undefined : answering(item, answer);
  await changeItem(inbox, id, change, ["pending", "withdrawn"]);
}

/**
 * The thread has stored the answer to a question. Never rejects: what is not noted now is noted by the end of the run, or
 * by a sweep.
 *
 * @param given default: the answer that was noted
 */
export async function settleQuestion(
  { persistence }: RunContext,
  id: string | undefined,
  given?: Omit<InboxResolution, "at">,
): Promise<void> {
  const { inbox } = persistence ?? {};
  if (inbox === undefined || id === undefined) return;
  try {
    await changeItem(inbox, id, (item) => {
      const answer = item.answer ?? (given && { ...given, at: systemClock.now() });
      return answer === undefined ? undefined : settled(item, answer);
    });
  } catch (error) {
    process.emitWarning(`Question ${id} could not be noted as answered: ${asError(error).message}`, "InboxWarning");
  }
}

/** Until when the people of the item's level have time, and what happens then; for the request that they are shown. */
export function deadlineOf(item: InboxItem | undefined): { deadline?: string; atDeadline?: string } {
  if (item?.dueAt === undefined) return {};
  const { level, plan, dueAt } = item;
  const next = plan?.levels[level + 1];
  const people = next === undefined || next.to.length === 0 ? "the next level" : next.to.join(", ");
  const then = next === undefined ? (plan?.onExpiry?.action ?? "it stays open") : `${people} will be asked`;
  return { deadline: new Date(dueAt).toISOString(), atDeadline: then };
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

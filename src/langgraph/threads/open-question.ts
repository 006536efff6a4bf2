/** Which question of a thread an answer is for, and whether it can be answered by whoever does. */
import { AUTOMATIC } from "../../core/audit-ports.js";
import { systemClock } from "../../core/clock.js";
import type { InboxStore } from "../../core/inbox-ports.js";
import { DecisionRefusedError } from "../../errors/own-errors.js";
import { endOf, throwUnlessFree } from "../../recovery/inbox-change.js";
import type { PendingInterrupt, ThreadInspection } from "./inspect-thread.js";

/**
 * @param answerTo ID of the interrupt or of the question in the inbox, or name of the node
 * @throws DecisionRefusedError where there is none, or are several; naming who was faster, if somebody was
 */
export async function openQuestion(
  stored: ThreadInspection,
  answerTo: string | undefined,
  label: string,
  inbox: InboxStore | undefined,
): Promise<PendingInterrupt> {
  const { waitingFor, threadId } = stored;
  const names = waitingFor.map((one) => `${askingNode(one)} (${one.id})`).join(", ");
  const matching = answerTo === undefined ? waitingFor : waitingFor.filter((one) => isMeant(one, answerTo));
  const [only, ...others] = matching;
  if (only === undefined) {
    const why =
      waitingFor.length === 0
        ? `waits for no answer (${stored.status})`
        : `has no open question "${answerTo}"; open are: ${names}`;
    const before = await answeredBefore(inbox, threadId, answerTo);
    throw new DecisionRefusedError(`Thread "${label}" ${why}${before}`, { details: { isAsked: false } });
  }
  if (others.length > 0)
    throw new DecisionRefusedError(
      `Thread "${label}" has ${matching.length} open questions; say which one is answered: ${names}`,
    );
  return only;
}

/**
 * @param isAutomatic whether nobody answers, but its time is over
 * @throws DecisionRefusedError where somebody else has the question, or its default action is being done
 */
export async function checkAnswerable(
  { request, approval }: PendingInterrupt,
  answer: unknown,
  inbox: InboxStore | undefined,
  isAutomatic: boolean,
): Promise<void> {
  const { by = "unnamed" } = answer as { by?: string };
  if (by === AUTOMATIC && !isAutomatic)
    throw new DecisionRefusedError(`"${AUTOMATIC}" stands for answers that nobody gives; say who answers with "by"`);
  const id = (request ?? approval)?.id;
  const item = id === undefined ? undefined : await inbox?.get(id);
  if (item?.state !== "pending") return;
  throwUnlessFree(item, by, systemClock.now());
}

function isMeant(one: PendingInterrupt, answerTo: string): boolean {
  const ours = one.request ?? one.approval;
  return one.id === answerTo || (ours !== undefined && (ours.id === answerTo || ours.node === answerTo));
}

/** Within a subgraph not the node of the root that stands for it. */
function askingNode({ request, approval, node }: PendingInterrupt): string {
  return request?.node ?? approval?.node ?? node;
}

async function answeredBefore(
  inbox: InboxStore | undefined,
  threadId: string,
  answerTo: string | undefined,
): Promise<string> {
  if (inbox === undefined) return "";
  const items = await inbox.list({ threadId, state: "all", limit: 1000 });
  const meant = answerTo === undefined ? items : items.filter(({ id, node }) => id === answerTo || node === answerTo);
  const last = meant.findLast(({ state }) => state !== "pending");
  return last === undefined ? "" : `; the last question, of "${last.node}": ${endOf(last)}`;
}

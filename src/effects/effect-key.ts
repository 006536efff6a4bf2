/** How an effect is named in the ledger and towards the outside world. */
import { createHash } from "node:crypto";
import type { EffectScope } from "../core/effect-ports.js";

/** What an effect is, in its thread. */
export interface EffectIdentity {
  readonly threadId: string;
  readonly effect: string;
  readonly scope: EffectScope;
  readonly place: string;
  readonly name: string;
}

/**
 * The same for the same call of the same step, however often that is run. Of the tasks around, their checkpoint and task
 * alone count: a namespace names tasks that a retry gives other IDs.
 */
export function effectKey({ threadId, effect, scope, place, name }: EffectIdentity): string {
  const tasks = scope.map(({ checkpointId, taskId, call = 0, part }) => [
    checkpointId,
    taskId,
    call,
    ...(part === undefined ? [] : [part]),
  ]);
  return digest([threadId, tasks, place, effect, name]).slice(0, 32);
}

/** Within what services take for one (Stripe: 255 characters, RFC draft idempotency-key: any string). */
export function idempotencyKey(effect: string, key: string, epoch: number): string {
  return `lgr-${effect.replaceAll(/[^\w-]+/g, "-").slice(0, 40)}-${key}-${epoch}`;
}

function digest(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex");
}

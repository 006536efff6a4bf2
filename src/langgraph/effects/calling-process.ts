/** Which process makes a call, and whether it may still be making it. */
import type { EffectEntry } from "../../core/effect-ports.js";
import { isRunning, processIdentity, processIdentitySchema } from "../../core/process-identity.js";

let own: string | undefined;

export function ownProcess(): string {
  own ??= JSON.stringify(processIdentity());
  return own;
}

/** A process of another host, or one that cannot be looked at, counts as running. */
export function isOtherAlive(process: string): boolean {
  if (process === ownProcess()) return false;
  const parsed = processIdentitySchema.safeParse(JSON.parse(process));
  return !parsed.success || isRunning(parsed.data);
}

/** @param nowMs milliseconds since the Unix epoch */
export function callMayBeUnderWay(caller: EffectEntry["caller"], nowMs: number): boolean {
  return (
    caller !== undefined && nowMs < caller.until && (caller.process === ownProcess() || isOtherAlive(caller.process))
  );
}

/** Who holds a lease: one run, and the process that it runs in. */
import { randomUUID } from "node:crypto";
import { z } from "zod";
import { isRunning, isVisible, processIdentity, processIdentitySchema } from "../core/process-identity.js";

const holderSchema = processIdentitySchema.extend({ run: z.string() });
type Holder = z.output<typeof holderSchema>;

let here: ReturnType<typeof processIdentity> | undefined;

/** A text for one run of this process, unlike that of any other run anywhere. */
export function newHolder(): string {
  // Of some systems it has to be asked by starting a program.
  here ??= processIdentity();
  return JSON.stringify({ ...here, run: randomUUID() } satisfies Holder);
}

/** Whether the process is known to have ended: one that cannot be seen from here counts as running. */
export function isGone(holder: string): boolean {
  const known = parseHolder(holder);
  return known !== undefined && !isRunning(known);
}

/** For people. Another program's text is its own description. */
export function describeHolder(holder: string): string {
  const known = parseHolder(holder);
  if (known === undefined) return holder;
  if (known.pid === process.pid && isVisible(known)) return `another run of this process (${known.pid})`;
  return `process ${known.pid} on host "${known.host}"`;
}

function parseHolder(holder: string): Holder | undefined {
  try {
    return holderSchema.parse(JSON.parse(holder));
  } catch {
    // Written by something else than this package.
    return undefined;
  }
}

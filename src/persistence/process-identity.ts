/** Which process wrote something, so that a later one can tell whether it still runs, even if its number was reused. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { z } from "zod";

export const processIdentitySchema = z.object({
  pid: z.int().positive(),
  host: z.string(),
  /** When the process started, in whatever form the system gives; absent where it gives none. */
  startedAt: z.string().optional(),
});

export type ProcessIdentity = z.output<typeof processIdentitySchema>;

export function processIdentity(): ProcessIdentity {
  const startedAt = startOf(process.pid);
  return { pid: process.pid, host: hostname(), ...(startedAt === undefined ? {} : { startedAt }) };
}

/** A process of another host cannot be looked at and counts as running. */
export function isRunning(identity: ProcessIdentity): boolean {
  if (identity.host !== hostname()) return true;
  if (!hasPid(identity.pid)) return false;
  return startOf(identity.pid) === identity.startedAt;
}

function hasPid(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it runs, as another user.
    return (error as { code?: unknown }).code === "EPERM";
  }
}

function startOf(pid: number): string | undefined {
  switch (process.platform) {
    case "linux":
      return startOnLinux(pid);
    case "win32":
      return undefined;
    default:
      return startByPs(pid);
  }
}

/** Clock ticks since boot, field 22 of /proc/<pid>/stat (proc(5)), and which boot. A zombie has ended already. */
function startOnLinux(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (fields[0] === "Z") return "ended";
    return `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()} ${fields[19]}`;
  } catch {
    // No /proc here.
    return undefined;
  }
}

function startByPs(pid: number): string | undefined {
  try {
    return execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], {
      encoding: "utf8",
      env: { LC_ALL: "C", PATH: process.env.PATH },
    }).trim();
  } catch {
    // No ps here, or no such process.
    return undefined;
  }
}

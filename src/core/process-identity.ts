/** Which process wrote something, so that a later one can tell whether it still runs, even if its number was reused. */
import { execFileSync } from "node:child_process";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { z } from "zod";

export const processIdentitySchema = z.object({
  pid: z.int().positive(),
  host: z.string(),
  /** Where numbers of processes are counted apart (containers on Linux): which count; absent where the system has none. */
  pidNamespace: z.string().optional(),
  /** When the process started, in whatever form the system gives; absent where it gives none. */
  startedAt: z.string().optional(),
});

export type ProcessIdentity = z.output<typeof processIdentitySchema>;

export function processIdentity(): ProcessIdentity {
  const pidNamespace = ownPidNamespace();
  const startedAt = startOf(process.pid);
  return {
    pid: process.pid,
    host: hostname(),
    ...(pidNamespace === undefined ? {} : { pidNamespace }),
    ...(startedAt === undefined ? {} : { startedAt }),
  };
}

/** Whether its number means anything here: containers may have the same host name and count their processes apart. */
export function isVisible(identity: ProcessIdentity): boolean {
  return identity.host === hostname() && identity.pidNamespace === ownPidNamespace();
}

/** A process that cannot be looked at (of another host or namespace, or with no readable start) counts as running. */
export function isRunning(identity: ProcessIdentity): boolean {
  if (!isVisible(identity)) return true;
  if (!hasPid(identity.pid)) return false;
  const startedAt = startOf(identity.pid);
  if (startedAt === undefined || identity.startedAt === undefined) return startedAt !== ended;
  return startedAt === identity.startedAt;
}

/** pid_namespaces(7). */
function ownPidNamespace(): string | undefined {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    // No Linux, or no /proc.
    return undefined;
  }
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

const ended = "ended";

/** Clock ticks since boot, field 22 of /proc/<pid>/stat (proc(5)), and which boot. A zombie has ended already. */
function startOnLinux(pid: number): string | undefined {
  try {
    // A namespace may see the /proc of another one, where the numbers stand for other processes.
    if (readlinkSync("/proc/self") !== String(process.pid)) return undefined;
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (fields[0] === "Z") return ended;
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

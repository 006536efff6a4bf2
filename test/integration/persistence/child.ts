/** A TypeScript file run in a process of its own, to be killed or watched. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { toRun } from "../../support/start-script.js";

export interface Child {
  readonly process: ChildProcess;
  /** The next line it prints; rejects when it ends before. */
  line(): Promise<string>;
  /** Everything it printed to stderr and its exit code, once it has ended. */
  ended(): Promise<{ readonly code: number | null; readonly stderr: string }>;
  kill(): Promise<void>;
}

export function runChild(file: string, args: readonly string[]): Child {
  const script = toRun(new URL(file, import.meta.url));
  const child = spawn(process.execPath, [...script, ...args], { stdio: ["pipe", "pipe", "pipe"] });
  const exited = once(child, "close");
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  child.stdin.on("error", () => {});
  return {
    process: child,
    async line() {
      const next = await lines.next();
      if (next.done === true) throw new Error(`The child ended without another line:\n${stderr}`);
      return next.value;
    },
    async ended() {
      await exited;
      return { code: child.exitCode, stderr };
    },
    async kill() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}

/** Starts a payment server in a process of its own. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { PaymentFaults, PaymentServer, PaymentServerOptions } from "./payment-server.js";
import { toRun } from "./start-script.js";

export interface PaymentProcess extends PaymentServer {
  /** Ends it at once, as when its machine dies; what it has acknowledged is in its log. */
  kill(): Promise<void>;
}

export async function startPaymentProcess({
  honoursKeys,
  logFile,
}: Required<PaymentServerOptions>): Promise<PaymentProcess> {
  const child = toRun(new URL("payment-server.child.ts", import.meta.url));
  const process_ = spawn(process.execPath, [...child, honoursKeys ? "honours-keys" : "does-them-again", logFile], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = once(process_, "exit");
  const [url] = (await Promise.race([
    once(createInterface(process_.stdout), "line"),
    ended.then(([code]) => Promise.reject(new Error(`The payment server ended with exit code ${code}`))),
  ])) as [string];
  return {
    url,
    async entries() {
      const log = await fetch(`${url}/log`);
      return (await log.json()) as Awaited<ReturnType<PaymentServer["entries"]>>;
    },
    async setFaults(faults: PaymentFaults) {
      await fetch(`${url}/faults`, { method: "POST", body: JSON.stringify(faults) });
    },
    async close() {
      process_.stdin.end();
      await ended;
    },
    async kill() {
      process_.kill("SIGKILL");
      await ended;
    },
  };
}

/** Keeps a connection that the server ends from ending this process. */
import type { SqlPool } from "./sql-pool.js";

const guardedPools = new WeakSet<object>();
const guardedClients = new WeakSet<object>();

/**
 * Listens for errors on the pool and on each client. Without a listener Node ends the process when the server
 * terminates a connection. There is nothing to do on the event itself: the pool drops an idle client by itself, and
 * whoever uses a client sees its query fail.
 */
export function guardPool(pool: SqlPool): void {
  if (guardedPools.has(pool)) return;
  guardedPools.add(pool);
  pool.on("error", () => {});
  pool.on("connect", guardClient);
}

/** A client that was connected before its pool was guarded. */
export function guardClient(client: object): void {
  if (guardedClients.has(client) || !("on" in client) || typeof client.on !== "function") return;
  guardedClients.add(client);
  client.on("error", () => {});
}

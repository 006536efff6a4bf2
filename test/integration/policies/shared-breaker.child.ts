/**
 * One worker of a fleet that shares a breaker. Each line "call" makes one guarded call, each line "sync" asks the store;
 * what happens is printed as JSON, one event a line. Ends with its input. Arguments: database, service, name.
 */
import { createInterface } from "node:readline";
import { systemClock } from "../../../src/core/clock.js";
import { CircuitOpenError } from "../../../src/errors/policy-errors.js";
import { openPersistence } from "../../../src/persistence/open.js";
import type { Admission } from "../../../src/policies/breaker/breaker.js";
import { breakerSchema } from "../../../src/policies/breaker/breaker-options.js";
import { createSharedBreaker } from "../../../src/policies/breaker/shared-breaker.js";

const [database = "", service = "", holder = ""] = process.argv.slice(2);
const persistence = openPersistence(database);
const store = persistence.breakers;
if (store === undefined) throw new Error("This persistence keeps no breakers");
const breaker = createSharedBreaker("api", breakerSchema.parse({}), { clock: systemClock, store, holder });
const tell = (event: Readonly<Record<string, unknown>>) => console.log(JSON.stringify(event));

async function call(): Promise<void> {
  let admission: Admission;
  try {
    admission = await breaker.admit();
  } catch (error) {
    if (!(error instanceof CircuitOpenError)) throw error;
    return tell({ event: "refused", nextProbeInMs: error.nextProbeInMs });
  }
  tell({ event: "admitted", kind: admission.kind });
  const response = await fetch(service);
  const outcome = response.ok ? "success" : "failure";
  await breaker.settle(admission, outcome, 1);
  tell({ event: "settled", outcome });
}

await breaker.sync();
tell({ event: "ready" });
for await (const line of createInterface({ input: process.stdin })) {
  if (line === "call") await call();
  else {
    await breaker.sync();
    tell({ event: "synced", kind: breaker.state.kind });
  }
}
await persistence.close();

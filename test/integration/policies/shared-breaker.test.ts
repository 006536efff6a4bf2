import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Persistence } from "../../../src/core/ports.js";
import type { VersionedStore } from "../../../src/core/store-ports.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { listBreakers, overrideBreaker } from "../../../src/policies/breaker/stored-breaker.js";
import { createDatabase, describeOnPostgres, type TestDatabase } from "../../support/databases.js";
import { type Child, runChild } from "../persistence/child.js";

const MINUTE = 60_000;

/** A service whose answers the test gives; it counts what it is asked. */
class Service {
  asked = 0;
  status: number | "held" = 200;
  readonly #held: ServerResponse[] = [];
  readonly #server: Server = createServer((_, response) => {
    this.asked += 1;
    if (this.status !== "held") return void response.writeHead(this.status).end();
    this.#held.push(response);
    this.#server.emit("held");
  });

  async listen(): Promise<string> {
    await once(this.#server.listen(0, "127.0.0.1"), "listening");
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  /** Resolves when a request waits for its answer. */
  async holds(): Promise<void> {
    while (this.#held.length === 0) await once(this.#server, "held");
  }

  /** Answers the request that waits, which may come from a process that is dead by now. */
  answer(status: number): void {
    this.#held.shift()?.writeHead(status).end();
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}

class Worker {
  readonly child: Child;

  constructor(database: string, service: string, name: string) {
    this.child = runChild("../policies/shared-breaker.child.ts", [database, service, name]);
  }

  async hears(): Promise<Record<string, unknown>> {
    return JSON.parse(await this.child.line());
  }

  tell(line: "call" | "sync"): void {
    this.child.process.stdin?.write(`${line}\n`);
  }

  /** The first that happens: it is admitted or refused, or has synced. */
  async asks(line: "call" | "sync"): Promise<Record<string, unknown>> {
    this.tell(line);
    return this.hears();
  }

  /** A whole call that is admitted. */
  async calls(): Promise<readonly unknown[]> {
    const admitted = await this.asks("call");
    expect(admitted).toMatchObject({ event: "admitted" });
    return [admitted.kind, (await this.hears()).outcome];
  }
}

describeOnPostgres("three processes that share a breaker through PostgreSQL", { timeout: 120_000 }, () => {
  let database: TestDatabase;
  let persistence: Persistence;
  let store: VersionedStore;
  let service: Service;
  let url: string;
  const workers: Worker[] = [];

  const start = async (name: string) => {
    const worker = new Worker(database.url, url, name);
    workers.push(worker);
    expect(await worker.hears()).toEqual({ event: "ready" });
    return worker;
  };

  beforeEach(async () => {
    database = await createDatabase();
    persistence = openPersistence(database.url);
    await persistence.ready();
    if (persistence.breakers === undefined) throw new Error("This persistence keeps no breakers");
    store = persistence.breakers;
    service = new Service();
    url = await service.listen();
  });
  afterEach(async () => {
    for (const worker of workers.splice(0)) await worker.child.kill();
    await service.close();
    await persistence.close();
    await database.drop();
  });

  /** Moves all times that are stored into the past, which is what waiting comes to. */
  const timePasses = async (ms: number) => {
    const { value, version } = await store.read("api");
    const moved = JSON.parse(JSON.stringify(value), (key, inner) =>
      key.endsWith("AtMs") && typeof inner === "number" ? inner - ms : inner,
    );
    expect(await store.write("api", moved, version)).toBe(version + 1);
  };
  const sync = (all: readonly Worker[]) => Promise.all(all.map(async (worker) => (await worker.asks("sync")).kind));
  const askAtOnce = (all: readonly Worker[]) => Promise.all(all.map((worker) => worker.asks("call")));

  it("open it by failures of all, send one probe for the fleet, outlive a dead prober and close it for all", async () => {
    const fleet = await Promise.all([start("one"), start("two"), start("three")]);
    const [one, two, three] = fleet as [Worker, Worker, Worker];

    service.status = 503;
    for (const worker of [one, two, three, one, two]) expect(await worker.calls()).toEqual(["call", "failure"]);
    await sync(fleet);
    expect(await sync(fleet)).toEqual(["open", "open", "open"]);
    for (const refused of await askAtOnce(fleet)) {
      expect(refused).toMatchObject({ event: "refused" });
      expect(refused.nextProbeInMs).toBeGreaterThan(0);
    }
    expect(service.asked).toBe(5);

    service.status = "held";
    await timePasses(MINUTE);
    await sync(fleet);
    const first = await askAtOnce(fleet);
    await service.holds();
    const prober = fleet[first.findIndex(({ event }) => event === "admitted")]!;
    const others = fleet.filter((worker) => worker !== prober);
    expect(first.filter(({ event }) => event === "admitted")).toEqual([{ event: "admitted", kind: "probe" }]);
    expect(first.filter(({ event }) => event === "refused")).toEqual(
      new Array(2).fill({ event: "refused", nextProbeInMs: 0 }),
    );
    expect(service.asked).toBe(6);

    await prober.child.kill();
    for (const refused of await askAtOnce(others)) expect(refused).toEqual({ event: "refused", nextProbeInMs: 0 });
    await timePasses(MINUTE / 2);
    await sync(others);
    for (const refused of await askAtOnce(others)) expect(refused).toEqual({ event: "refused", nextProbeInMs: 0 });
    expect(service.asked).toBe(6);
    service.answer(200);

    await timePasses(MINUTE / 2);
    await sync(others);
    const second = await askAtOnce(others);
    await service.holds();
    expect(second.map(({ event }) => event).sort()).toEqual(["admitted", "refused"]);
    expect(service.asked).toBe(7);
    service.status = 200;
    service.answer(200);
    const next = others[second.findIndex(({ event }) => event === "admitted")]!;
    expect(await next.hears()).toEqual({ event: "settled", outcome: "success" });

    await sync(others);
    for (const worker of others) expect(await worker.calls()).toEqual(["probe", "success"]);
    const newcomer = await start("four");
    expect(await sync([...others, newcomer])).toEqual(["closed", "closed", "closed"]);
    for (const worker of [...others, newcomer]) expect(await worker.calls()).toEqual(["call", "success"]);
    expect(service.asked).toBe(12);

    for (const worker of [...others, newcomer]) {
      worker.child.process.stdin?.end();
      const { code, stderr } = await worker.child.ended();
      expect(stderr).not.toContain("Warning");
      expect(code).toBe(0);
    }
  });

  it("obey an operator who has neither the policy nor a worker", async () => {
    const fleet = await Promise.all([start("one"), start("two")]);
    await overrideBreaker(store, "api", "isolate");
    expect(await sync(fleet)).toEqual(["isolated", "isolated"]);
    for (const refused of await askAtOnce(fleet)) expect(refused).toEqual({ event: "refused" });
    expect(await listBreakers(store)).toMatchObject([
      { kind: "readable", service: "api", state: { kind: "isolated" } },
    ]);
    await overrideBreaker(store, "api", "close");
    expect(await sync(fleet)).toEqual(["closed", "closed"]);
    for (const worker of fleet) expect(await worker.calls()).toEqual(["call", "success"]);
    expect(service.asked).toBe(2);
  });
});

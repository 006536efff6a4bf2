/** What a total outage of a service costs it, with a retry budget and without. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { START, StateGraph } from "@langchain/langgraph";
import { describe, expect, it, onTestFinished } from "vitest";
import { resilient } from "../../../src/langgraph/resilient.js";
import { defineService, type Service, type ServiceOptions } from "../../../src/policies/service.js";
import { httpError, type Log, LogState, quick } from "../../support/graphs.js";

const NODES = 100;

/** A server that is down, and counts who knocks. */
async function outage(): Promise<{ readonly url: string; readonly seen: () => number }> {
  let requests = 0;
  const server = createServer((_, response) => {
    requests += 1;
    response.writeHead(503).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen: () => requests };
}

/** One run for each node, all at once. */
async function runAll(url: string, service: Service): Promise<readonly unknown[]> {
  const node = resilient(
    async (_: Log, config): Promise<Partial<Log>> => {
      const response = await fetch(url, { signal: config.signal ?? null });
      await response.text();
      throw httpError(response.status);
    },
    { service, retry: quick },
  );
  const graph = new StateGraph(LogState).addNode("node", node).addEdge(START, "node").compile();
  const runs = Array.from({ length: NODES }, (_, value) => graph.invoke({ value }).catch((error: unknown) => error));
  return await Promise.all(runs);
}

/** Without a breaker, which would end the matter sooner; over a window that no run outlasts. */
const down = (name: string, options: ServiceOptions) => defineService(name, { circuitBreaker: false, ...options });
const LONG_MS = 3_600_000;

describe("a hundred nodes of one service that is down", () => {
  it("send four times as many requests without a retry budget", async () => {
    const { url, seen } = await outage();
    const failed = await runAll(url, down("without a budget", {}));
    expect(failed).toHaveLength(NODES);
    expect(failed.every((error) => (error as { status?: number }).status === 503)).toBe(true);
    expect(seen()).toBe(4 * NODES);
  });

  it("send a fifth more with a budget of a fifth, and no one waits for more", async () => {
    const { url, seen } = await outage();
    const service = down("with a budget", { retryBudget: { ratio: 0.2, windowMs: LONG_MS } });
    const failed = await runAll(url, service);
    expect(failed.every((error) => (error as { status?: number }).status === 503)).toBe(true);
    expect(seen()).toBeGreaterThanOrEqual(NODES);
    expect(seen()).toBeLessThanOrEqual(1.2 * NODES);
    expect(service.guards().retryBudget?.state).toMatchObject({ calls: NODES, retries: seen() - NODES });
  });

  it("share the budget with whatever else calls the service, in whichever graph", async () => {
    const { url, seen } = await outage();
    const service = down("with a shared budget", { retryBudget: { ratio: 0.2, minRetries: 0, windowMs: LONG_MS } });
    await Promise.all([runAll(url, service), runAll(url, service)]);
    expect(seen()).toBeGreaterThanOrEqual(2 * NODES);
    expect(seen()).toBeLessThanOrEqual(2.4 * NODES);
  });
});

/** Who meets which fault and when: by hand, by the clock, by chance; and what is told of it afterwards. */
import { describe, expect, it } from "vitest";
import { startFaultyProvider } from "../../../src/chaos/faulty-provider.js";
import type { SeenRequest } from "../../../src/chaos/request-log.js";
import { ANSWER, ask, outcomesOf, providerFor, QUESTION, readToTheEnd } from "./provider.js";

const STREAMED = { ...QUESTION, stream: true };
const DOWN = { kind: "status", status: 503 } as const;
const LIMITED = { kind: "status", status: 429 } as const;

const statusOf = async (baseUrl: string, model = "m-1") => (await ask(baseUrl, { ...QUESTION, model })).status;

describe("a fault set by hand", () => {
  it("holds for every request until it is taken away, and uses nothing of the script up", async () => {
    const provider = await providerFor({ script: [LIMITED] });
    provider.setFault(DOWN);
    expect([await statusOf(provider.baseUrl), await statusOf(provider.baseUrl, "m-2")]).toEqual([503, 503]);
    provider.setFault(undefined);
    expect([await statusOf(provider.baseUrl), await statusOf(provider.baseUrl)]).toEqual([429, 200]);
  });

  it("may hold for one model, also as an exception from that for all", async () => {
    const provider = await providerFor();
    provider.setFault(DOWN, { model: "m-1" });
    expect([await statusOf(provider.baseUrl), await statusOf(provider.baseUrl, "m-2")]).toEqual([503, 200]);
    provider.setFault(LIMITED);
    provider.setFault({ kind: "none" }, { model: "m-1" });
    expect([await statusOf(provider.baseUrl), await statusOf(provider.baseUrl, "m-2")]).toEqual([200, 429]);
    provider.setFault(undefined, { model: "m-1" });
    expect(await statusOf(provider.baseUrl)).toBe(429);
  });

  it("leaves a request under way as it is", async () => {
    const provider = await providerFor();
    provider.setFault({ kind: "hang" });
    const hanging = ask(provider.baseUrl).catch((error: Error) => error.message);
    await provider.waitForRequest(1);
    provider.setFault(undefined);
    expect(await statusOf(provider.baseUrl)).toBe(200);
    await provider.close();
    expect(await hanging).toBe("fetch failed");
  });

  it("is refused where there is no such fault", async () => {
    const provider = await providerFor();
    expect(() => provider.setFault({ kind: "boom" } as never)).toThrow(
      /option "fault\.kind" is "boom": there is no such fault; choose one of none, /,
    );
    expect(await statusOf(provider.baseUrl)).toBe(200);
  });
});

describe("a window", () => {
  it("gives every request of its time and model the fault, before the script", async () => {
    const provider = await providerFor({
      script: [LIMITED],
      windows: [
        { fromMs: 0, toMs: 60_000, fault: DOWN, model: "m-1" },
        { fromMs: 60_000, toMs: 120_000, fault: { kind: "reset" } },
      ],
    });
    expect([await statusOf(provider.baseUrl), await statusOf(provider.baseUrl)]).toEqual([503, 503]);
    expect([await statusOf(provider.baseUrl, "m-2"), await statusOf(provider.baseUrl, "m-2")]).toEqual([429, 200]);
  });

  it("is over when its time is", async () => {
    const provider = await providerFor({ windows: [{ fromMs: 0, toMs: 1, fault: DOWN }] });
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await statusOf(provider.baseUrl)).toBe(200);
  });
});

describe("chance", () => {
  const kindsOf = async (seed: number, byModel = {}) => {
    const provider = await providerFor({ seed, faultRate: { rate: 0.5, mix: [{ weight: 1, fault: DOWN }] }, byModel });
    const statuses: number[] = [];
    for (let index = 0; index < 24; index += 1) statuses.push(await statusOf(provider.baseUrl));
    return statuses.join(" ");
  };

  it("strikes the same requests with the same seed, and others with another", async () => {
    const first = await kindsOf(7);
    expect(first).toContain("200");
    expect(first).toContain("503");
    expect(await kindsOf(7)).toBe(first);
    expect(await kindsOf(8)).not.toBe(first);
  });

  it("may be another for one model, and leaves to the script what is the script's", async () => {
    const provider = await providerFor({
      faultRate: { rate: 1 },
      byModel: {
        "m-2": { faultRate: { rate: 0 } },
        "m-3": { faultRate: { rate: 1, mix: [{ weight: 1, fault: DOWN }] } },
      },
      script: [{ kind: "none", when: { model: "m-3" } }],
    });
    const statuses = ["m-2", "m-3", "m-3"].map((model) => statusOf(provider.baseUrl, model));
    expect(await Promise.all(statuses)).toEqual([200, 200, 503]);
    await statusOf(provider.baseUrl).catch(() => undefined);
    expect(provider.requests.at(-1)?.fault.kind).not.toBe("none");
  });
});

describe("latency", () => {
  const timeOf = async (answer: Promise<Response>) => {
    const startedAt = performance.now();
    await (await answer).text();
    return performance.now() - startedAt;
  };

  it("holds before the first token and between events, for one model or all, and refusals come at once", async () => {
    const { baseUrl } = await providerFor({
      latency: { firstTokenMs: 30, betweenMs: { kind: "uniform", minMs: 10, maxMs: 12 } },
      byModel: { quick: { latency: {} }, refused: { latency: { firstTokenMs: 60_000 } } },
      script: [{ ...DOWN, when: { model: "refused" } }],
    });
    // a timer may fire a little early
    expect(await timeOf(ask(baseUrl))).toBeGreaterThan(28);
    expect(await timeOf(ask(baseUrl, STREAMED))).toBeGreaterThan(30 + 5 * 10 - 10);
    expect(await timeOf(ask(baseUrl, { ...STREAMED, model: "quick" }))).toBeLessThan(10_000);
    expect(await timeOf(ask(baseUrl, { ...QUESTION, model: "refused" }))).toBeLessThan(10_000);
  });

  it("ends with the client that waits", async () => {
    const provider = await providerFor({ latency: { firstTokenMs: 60_000 } });
    const abort = new AbortController();
    const reading = readToTheEnd(await ask(provider.baseUrl, STREAMED, abort.signal));
    abort.abort();
    expect((await reading).error?.name).toBe("AbortError");
    expect(await outcomesOf(provider)).toEqual(["client_gone"]);
  });
});

describe("a request that is waited for", () => {
  it("is there by its number as soon as it has come, before or after it is waited for", async () => {
    const provider = await providerFor({ script: [{ kind: "hang", times: "always" }] });
    const second = provider.waitForRequest(2);
    for (const model of ["a", "b"]) ask(provider.baseUrl, { ...QUESTION, model }).catch(() => undefined);
    const { model } = await second;
    expect((await provider.waitForRequest(2)).model).toBe(model);
    expect((await provider.waitForRequest(1)).model).not.toBe(model);
  });

  it("may be found by how it ended", async () => {
    const provider = await providerFor({ script: [{ kind: "hang" }] });
    const gone = provider.waitForRequest(({ outcome }) => outcome === "client_gone");
    const abort = new AbortController();
    const asked = ask(provider.baseUrl, QUESTION, abort.signal).catch((error: Error) => error.name);
    await provider.waitForRequest(1);
    abort.abort();
    expect(await asked).toBe("AbortError");
    const seen = await gone;
    expect(seen).toBe(provider.requests[0]);
    expect(seen.endedAtMs).toBeGreaterThanOrEqual(seen.atMs);
  });

  it("is given up when the provider closes", async () => {
    const provider = await startFaultyProvider({ answer: () => ANSWER });
    await statusOf(provider.baseUrl);
    const outcome = provider.waitForRequest(2).catch((error: Error) => error);
    const other = provider.waitForRequest(({ model }) => model === "m-9").catch((error: Error) => error);
    await provider.close();
    expect(await outcome).toMatchObject({
      code: "CANCELLED",
      message: "The provider was closed before it saw request 2; it saw 1",
    });
    expect(await other).toMatchObject({ message: expect.stringContaining("the request waited for") });
    await expect(provider.waitForRequest(2)).rejects.toMatchObject({ code: "CANCELLED" });
  });
});

describe("how a request ended", () => {
  it("is told once, with its time and the id its answer carried", async () => {
    const ended: SeenRequest[] = [];
    const provider = await providerFor({
      script: [{ kind: "none" }, DOWN, { kind: "reset" }, { kind: "reset_stream" }, { kind: "cut_stream" }],
      onEnded: (request) => ended.push(request),
    });
    const ids: unknown[] = [];
    for (let index = 0; index < 5; index += 1) {
      const response = await ask(provider.baseUrl, STREAMED).catch(() => undefined);
      ids.push(response?.headers.get("x-request-id"));
      if (response !== undefined) await readToTheEnd(response);
    }
    expect(await outcomesOf(provider)).toEqual(["answered", "faulted", "faulted", "faulted", "faulted"]);
    expect(ids).toEqual(["offline-1", "offline-2", undefined, "offline-4", "offline-5"]);
    expect(ended.map(({ id }) => id)).toEqual(["offline-1", "offline-2", "offline-3", "offline-4", "offline-5"]);
    for (const { atMs, endedAtMs } of ended) expect(endedAtMs).toBeGreaterThanOrEqual(atMs);
  });

  it("is the provider's doing where the provider closes or its answerer fails", async () => {
    const provider = await startFaultyProvider({
      answer: ({ model }) => {
        if (model === "broken") throw new Error("no figures");
        return ANSWER;
      },
      script: [{ kind: "hang", when: { model: "m-1" } }],
    });
    expect(await statusOf(provider.baseUrl, "broken")).toBe(500);
    const hanging = ask(provider.baseUrl).catch((error: Error) => error.message);
    await provider.waitForRequest(2);
    await provider.close();
    expect(provider.requests.map(({ outcome }) => outcome)).toEqual(["faulted", "faulted"]);
    await hanging;
  });
});

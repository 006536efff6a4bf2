/** Faults that a review has found, each kept as the law it broke. */
import { AIMessage } from "@langchain/core/messages";
import {
  Annotation,
  type Command,
  interrupt,
  type LangGraphRunnableConfig,
  MessagesAnnotation,
  pushMessage,
  START,
  StateGraph,
} from "@langchain/langgraph";
import {
  attempt,
  beginEffect,
  defineService,
  explain,
  installRecovery,
  openPersistence,
  protect,
  requireUndegraded,
  resilient,
  resumeThread,
  runThread,
  withCache,
} from "langgraph-resilience";
import { describe, expect, it } from "vitest";
import { FakeClock } from "../../support/fake-clock.js";
import { httpError } from "../../support/graphs.js";

const quick = { initialDelayMs: 1, jitter: "none" } as const;
const State = Annotation.Root({ log: Annotation<string[]>({ reducer: (a, b) => a.concat(b), default: () => [] }) });
type S = typeof State.State;
type Update = Partial<S>;
type AnyNode = (state: S, config: LangGraphRunnableConfig) => Promise<Update>;

const e503 = () => httpError(503);
const one = (node: AnyNode, name = "one") =>
  new StateGraph(State)
    .addNode("n", node)
    .addEdge(START, "n")
    .compile({ checkpointer: openPersistence("memory:").checkpointer, name });
const sub = (node: AnyNode) => new StateGraph(State).addNode("inner", node).addEdge(START, "inner").compile();
const asked = (result: { waitingFor: readonly { value: unknown }[] }) => result.waitingFor.map(({ value }) => value);

describe("the answers of people", () => {
  it("are kept where a later attempt asks less than the one before it", async () => {
    const graph = one(
      resilient(
        async (_: S, config): Promise<Update> => {
          interrupt("Q0?");
          if (attempt(config).number === 2) throw e503();
          interrupt("Q1?");
          throw e503();
        },
        {
          retry: { ...quick, maxAttempts: 2 },
          fallback: [{ name: "fb", run: () => ({ log: [`fb: ${interrupt("Qfb?")}`] }) }],
        },
      ),
    );
    expect(asked(await runThread(graph, {}, { threadId: "t" }))).toEqual(["Q0?"]);
    expect(asked(await resumeThread(graph, "t", "a0"))).toEqual(["Q1?"]);
    expect(asked(await resumeThread(graph, "t", "a1"))).toEqual(["Qfb?"]);
    expect((await resumeThread(graph, "t", "afb")).values.log).toEqual(["fb: afb"]);
  });

  it("to a node of one attempt are not given to its fallback when the node is not asked again", async () => {
    let calls = 0;
    const graph = one(
      resilient(
        async (): Promise<Update> => {
          calls += 1;
          if (calls >= 3) throw e503();
          interrupt("delete the account?");
          throw e503();
        },
        { retry: false, fallback: [{ name: "fb", run: () => ({ log: [String(interrupt("refund?"))] }) }] },
      ),
    );
    await runThread(graph, {}, { threadId: "t" });
    expect(asked(await resumeThread(graph, "t", "yes, delete"))).toEqual(["refund?"]);
    expect((await resumeThread(graph, "t", "yes, refund")).values.log).toEqual(["yes, refund"]);
  });

  it("go to the function that asked, where two ask at once in one task", async () => {
    const approve = (what: string) =>
      resilient(async () => `${what}: ${interrupt(`approve ${what}?`)}`, { name: what, retry: quick });
    const [small, large] = [approve("small"), approve("large")];
    const graph = one(async (_, config) => ({ log: await Promise.all([small({}, config), large({}, config)]) }));
    expect(asked(await runThread(graph, {}, { threadId: "t" }))).toEqual(["approve small?"]);
    expect(asked(await resumeThread(graph, "t", "small yes"))).toEqual(["approve large?"]);
    const done = await resumeThread(graph, "t", "large yes");
    expect(done.values.log).toEqual(["small: small yes", "large: large yes"]);
  });

  it("reach a decorated function that is called several times in one task", async () => {
    const fetchItem = resilient(
      async (item: string) => {
        if (item === "two") throw e503();
        return item;
      },
      {
        name: "fetchItem",
        retry: { ...quick, maxAttempts: 3 },
        fallback: [{ name: "ask", run: (item) => `${item}: ${interrupt(`value of ${item}?`)}` }],
      },
    );
    const graph = one(async (_, config) => {
      const log: string[] = [];
      for (const item of ["one", "two"]) log.push(await fetchItem(item, config));
      return { log };
    });
    expect(asked(await runThread(graph, {}, { threadId: "t" }))).toEqual(["value of two?"]);
    expect((await resumeThread(graph, "t", "2")).values.log).toEqual(["one", "two: 2"]);
  });

  it("are asked for by a decorated function that was given no config", async () => {
    const inner = resilient(async (_: S) => String(interrupt("go on?")), { name: "inner" });
    const graph = one(async (state) => ({ log: [await inner(state)] }));
    expect(asked(await runThread(graph, {}, { threadId: "t" }))).toEqual(["go on?"]);
    expect((await resumeThread(graph, "t", "yes")).values.log).toEqual(["yes"]);
  });

  it("are not served to another thread from a cache", async () => {
    const graph = one(withCache(async () => ({ log: [`by ${interrupt("approve?")}`] }), { ttlMs: 60_000 }));
    await runThread(graph, {}, { threadId: "a" });
    expect((await resumeThread(graph, "a", "Ann")).values.log).toEqual(["by Ann"]);
    expect(asked(await runThread(graph, {}, { threadId: "b" }))).toEqual(["approve?"]);
  });
});

describe("an attempt that failed", () => {
  it("leaves nothing of what it has written in the state", async () => {
    let calls = 0;
    const graph = new StateGraph(MessagesAnnotation)
      .addNode(
        "n",
        resilient(
          async (_: unknown, config) => {
            calls += 1;
            pushMessage(new AIMessage({ id: `m${calls}`, content: `draft ${calls}` }), config);
            if (calls === 1) throw e503();
            return {};
          },
          { retry: quick },
        ),
      )
      .addEdge(START, "n")
      .compile({ checkpointer: openPersistence("memory:").checkpointer });
    const { messages } = await graph.invoke({ messages: [] }, { configurable: { thread_id: "t" } });
    expect(messages.map((message) => message.content)).toEqual(["draft 2"]);
  });
});

describe("what has been begun and must not happen twice", () => {
  const charging = (did: string[]) =>
    resilient(
      async (_: S, config): Promise<Update> => {
        beginEffect(config, "charge");
        did.push("charge");
        throw e503();
      },
      { retry: quick },
    );
  const elsewhere = (did: string[]) => ({
    retry: quick,
    fallback: [
      {
        name: "elsewhere",
        run: () => {
          did.push("elsewhere");
          return {};
        },
      },
    ],
  });

  it("in a subgraph is neither repeated nor replaced by the node around it", async () => {
    const did: string[] = [];
    const inner = sub(charging(did));
    const graph = one(resilient(async (state: S, config) => inner.invoke(state, config), elsewhere(did)));
    expect((await runThread(graph, {}, { threadId: "t" })).status).toBe("failed");
    expect(did).toEqual(["charge"]);
  });

  it.each(["call.beginEffect", "beginEffect(config)"])("in a protected call by %s holds for the node", async (by) => {
    const did: string[] = [];
    const node = async (_: S, config: LangGraphRunnableConfig): Promise<Update> => {
      const charge = protect(
        async (_input: string, call) => {
          if (by === "call.beginEffect") call.beginEffect("charge");
          else beginEffect(config, "charge");
          did.push("charge");
          throw e503();
        },
        { retry: quick },
      );
      await charge("order-17", config.signal === undefined ? {} : { signal: config.signal });
      return {};
    };
    expect((await runThread(one(resilient(node, elsewhere(did))), {}, { threadId: "t" })).status).toBe("failed");
    expect(did).toEqual(["charge"]);
  });

  it("is not begun again by whoever resumes a run that was stopped in the middle of it", async () => {
    const did: string[] = [];
    const stop = new AbortController();
    const graph = one(
      resilient(async (_: S, config): Promise<Update> => {
        beginEffect(config, "charge");
        did.push("charge");
        stop.abort();
        await new Promise((_, reject) => config.signal?.addEventListener("abort", () => reject(config.signal?.reason)));
        return {};
      }),
    );
    expect((await runThread(graph, {}, { threadId: "t", signal: stop.signal })).status).toBe("drained");
    const resumed = await resumeThread(graph, "t");
    expect(did).toEqual(["charge"]);
    expect(resumed.error).toMatchObject({ code: "ATTEMPTS_USED_UP" });
  });
});

describe("policies within policies", () => {
  it("do not multiply their attempts through a subgraph, nor after a deadline further in", async () => {
    let calls = 0;
    const failing = async (): Promise<Update> => {
      calls += 1;
      throw e503();
    };
    const inner = sub(resilient(failing, { retry: quick }));
    await runThread(
      one(resilient(async (state: S, config) => inner.invoke(state, config), { retry: quick })),
      {},
      { threadId: "t" },
    );
    expect(calls).toBe(4);
    const clock = new FakeClock();
    let hung = 0;
    const hangs = protect(
      async () => {
        hung += 1;
        await new Promise(() => undefined);
      },
      { timeout: { deadlineMs: 30 }, clock },
    );
    const around = protect((_: undefined, { signal }) => hangs(undefined, { signal }), { retry: quick, clock });
    const settled = expect(around(undefined)).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });
    await clock.advance(60_000);
    await settled;
    expect(hung).toBe(1);
  });

  it("of one service take one slot and one admission: a call within a call neither waits for itself nor counts twice", async () => {
    const service = defineService("nested in review", {
      circuitBreaker: { trip: { kind: "consecutive", failures: 3 }, recoveryMs: 0, halfOpenSuccesses: 1 },
      bulkhead: { maxConcurrent: 1, maxQueue: 0 },
    });
    let down = true;
    const inner = protect(
      async () => {
        if (down) throw e503();
        return "answered";
      },
      { service, retry: false },
    );
    const outer = protect((_: undefined, { signal }) => inner(undefined, { signal }), { service, retry: false });
    for (let call = 1; call <= 2; call += 1) await expect(outer(undefined)).rejects.toMatchObject({ status: 503 });
    expect(service.guards().breaker?.state.kind).toBe("closed");
    await expect(outer(undefined)).rejects.toMatchObject({ status: 503 });
    expect(service.guards().breaker?.state.kind).toBe("open");
    down = false;
    expect(await outer(undefined)).toBe("answered");
    expect(service.guards().breaker?.state.kind).toBe("closed");
  });

  it("count an attempt once against the thread's budget", async () => {
    let calls = 0;
    const inner = resilient(
      async (): Promise<Update> => {
        calls += 1;
        throw e503();
      },
      { retry: false },
    );
    const node = resilient(inner, { retry: { ...quick, maxAttempts: 4 }, budget: { maxAttempts: 3 } });
    const result = await runThread(one(node), {}, { threadId: "t" });
    expect(calls).toBe(3);
    expect(result.error).toMatchObject({ code: "BUDGET_EXCEEDED" });
  });

  it("keep to a deadline of the graph around a subgraph", async () => {
    const inner = sub(
      resilient(
        async (): Promise<Update> => {
          throw e503();
        },
        { retry: { initialDelayMs: 60_000 }, fallback: [{ name: "cheap", run: () => ({ log: ["cheap"] }) }] },
      ),
    );
    const graph = one(
      resilient(async (state: S, config) => inner.invoke(state, config), { timeout: { deadlineMs: 20_000 } }),
    );
    expect((await runThread(graph, {}, { threadId: "t" })).values.log).toEqual(["cheap"]);
  });
});

describe("degraded answers", () => {
  it("from a subgraph or a protected call are not kept by the cache of the node around", async () => {
    let down = true;
    const guess = protect(
      async () => {
        if (down) throw e503();
        return "answer";
      },
      { retry: false, fallback: [{ name: "guess", run: () => "guess" }] },
    );
    const inner = sub(
      resilient(async (_: S, config) => ({
        log: [await guess(undefined, config.signal === undefined ? {} : { signal: config.signal })],
      })),
    );
    const graph = one(resilient(async (state: S, config) => inner.invoke(state, config), { cache: { ttlMs: 60_000 } }));
    expect((await runThread(graph, {}, { threadId: "a" })).values.log).toEqual(["guess"]);
    down = false;
    expect((await runThread(graph, {}, { threadId: "b" })).values.log).toEqual(["answer"]);
  });

  it("are refused out loud where the graph does not note them", async () => {
    const result = await runThread(
      one(resilient(requireUndegraded(async (_: S): Promise<Update> => ({ log: ["paid"] })))),
      {},
      { threadId: "t" },
    );
    expect(result.error?.message).toMatch(/installRecovery declares it/);
  });
});

describe("a person's own result", () => {
  it.each([
    ["is not offered where only the node's command says what comes next: the run would end there", false],
    ["is offered where an edge says it", true],
  ])("%s", async (_, hasEdge) => {
    const builder = new StateGraph(State)
      .addNode(
        "route",
        resilient(
          async (): Promise<Command> => {
            throw httpError(401);
          },
          { retry: false },
        ),
        { ends: ["pay"] },
      )
      .addNode("pay", async () => ({ log: ["paid"] }))
      .addEdge(START, "route");
    if (hasEdge) builder.addEdge("route", "pay");
    installRecovery(builder);
    const graph = builder.compile({ checkpointer: openPersistence("memory:").checkpointer });
    const stopped = await runThread(graph, {}, { threadId: "t" });
    const offered = stopped.waitingFor[0]?.request?.actions.map(({ action }) => action);
    expect(offered).toEqual(expect.arrayContaining(["retry", "adjust", "abort"]));
    expect(offered?.includes("provide")).toBe(hasEdge);
  });
});

describe("a decision for a node of a subgraph", () => {
  it("is held against the subgraph's state and not against that of a node of the same name outside", async () => {
    const Inner = Annotation.Root({ draft: Annotation<string> });
    let down = true;
    const inner = new StateGraph(Inner)
      .addNode(
        "write",
        resilient(
          async () => {
            if (down) throw e503();
            return { draft: "written" };
          },
          { retry: false },
        ),
      )
      .addEdge(START, "write");
    const compiled = installRecovery(inner).compile();
    const builder = new StateGraph(State)
      .addNode("sub", async () => ({ log: [(await compiled.invoke({ draft: "" })).draft] }))
      .addNode("write", async () => ({ log: ["root"] }))
      .addEdge(START, "sub")
      .addEdge("sub", "write");
    const graph = builder.compile({ checkpointer: openPersistence("memory:").checkpointer });
    const stopped = await runThread(graph, {}, { threadId: "t" });
    expect(stopped.waitingFor[0]?.request).toMatchObject({ node: "write", within: ["sub"] });
    down = false;
    const done = await resumeThread(graph, "t", { action: "provide", result: { draft: "by hand" } });
    expect(done.values.log).toEqual(["by hand", "root"]);
  });
});

describe("explain", () => {
  it("defines no service", () => {
    expect(explain({ service: "explained in review" })).toContain('"explained in review"');
    expect(() => defineService("explained in review", { bulkhead: { maxConcurrent: 3 } })).not.toThrow();
  });
});

describe("a budget", () => {
  it("without a thread to hold it against is refused out loud", async () => {
    const node = resilient(async (_: S): Promise<Update> => ({}), { budget: { maxAttempts: 1 } });
    await expect(node({ log: [] }, {})).rejects.toMatchObject({ code: "CONFIG" });
  });
});

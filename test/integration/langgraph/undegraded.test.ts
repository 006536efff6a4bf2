/** Who answered in place of what, as the state says it; and the steps that refuse to work on it. */
import { Annotation, Command, END, MemorySaver, Send, START, StateGraph } from "@langchain/langgraph";
import { describe, expect, it } from "vitest";
import type { Degradation } from "../../../src/core/records.js";
import { attempt } from "../../../src/langgraph/attempt-scope.js";
import { installRecovery } from "../../../src/langgraph/install-recovery.js";
import { type RequireUndegradedOptions, requireUndegraded } from "../../../src/langgraph/require-undegraded.js";
import { type Node, resilient } from "../../../src/langgraph/resilient.js";
import type { ResilientOptions } from "../../../src/langgraph/resilient-options.js";
import { withFallback, withRetry, withTimeout } from "../../../src/langgraph/single-rungs.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { FakeClock } from "../../support/fake-clock.js";
import { failures, type Log, LogState, once, quick, recorder, unavailable } from "../../support/graphs.js";

type Update = Partial<Log>;
type Options = ResilientOptions<Log, Update>;
type Plain = Node<Log, Update>;

const guess: NonNullable<Options["fallback"]>[number] = { name: "guess", run: () => ({ log: ["guessed"] }) };

/** A step that fails as often as told, for which something simpler answers then. */
const guessing = (name: string, counted: ReturnType<typeof failures>, options: Options = {}): Plain =>
  resilient(
    async (_: Log): Promise<Update> => {
      counted.pass(name);
      return { log: [name] };
    },
    { ...once, fallback: [guess], ...options },
  );

const pay: Plain = async (_) => ({ log: ["paid"] });

/** Nodes one after the other. */
function chain(nodes: Readonly<Record<string, Plain>>) {
  const builder = new StateGraph(LogState) as StateGraph<typeof LogState.spec, Log, Update, string>;
  let before: string = START;
  for (const [name, node] of Object.entries(nodes)) {
    builder.addNode(name, node).addEdge(before as typeof START, name);
    before = name;
  }
  return installRecovery(builder).compile({ checkpointer: new MemorySaver() });
}

/** "look" is guessed; "pay" wants to know. */
function paying(
  wanted: RequireUndegradedOptions = {},
  options: Options = once,
  nodes: Record<string, Plain> = { look: guessing("look", failures({ look: 99 })) },
) {
  return chain({ ...nodes, pay: resilient(requireUndegraded(pay, wanted), options) });
}

const begin = (graph: ReturnType<typeof chain>) => runThread(graph, { value: 1 }, { threadId: "t" });
const degradationsOf = (values: unknown) => (values as { degradations?: readonly Degradation[] }).degradations ?? [];
const answerers = (values: unknown) => degradationsOf(values).map((one) => `${one.node}: ${one.answeredBy}`);

describe("a step that requires undegraded input", () => {
  it("works on what the steps before it have answered themselves", async () => {
    const graph = paying({}, once, { look: guessing("look", failures()) });
    expect(await begin(graph)).toMatchObject({ status: "succeeded", values: { log: ["look", "paid"] } });
  });

  it("refuses what something simpler answered, at once, and says who did and why", async () => {
    const told = recorder();
    const graph = paying({}, { retry: quick });
    const stopped = await runThread(graph, { value: 1 }, { threadId: "t", onEvent: told.onEvent });
    expect(stopped.waitingFor[0]?.request).toMatchObject({
      node: "pay",
      failure: {
        category: "environment",
        code: "DEGRADED_INPUT",
        message: expect.stringContaining(
          'Node "pay" refuses degraded input: "look" was answered by "guess" (server_error: answered 503)',
        ),
      },
    });
    expect(told.types("attempt.failed"), "one of look, one of pay").toHaveLength(2);
    expect(stopped.values.log).toEqual(["guessed"]);
  });

  it("has a fallback of its own answer for it", async () => {
    const { values } = await begin(
      paying({}, { ...once, fallback: [{ name: "put off", run: () => ({ log: ["put off"] }) }] }),
    );
    expect(values.log).toEqual(["guessed", "put off"]);
    expect(degradationsOf(values)).toMatchObject([
      { node: "look", answeredBy: "guess", category: "server_error" },
      { node: "pay", answeredBy: "put off", category: "environment" },
    ]);
  });

  it("works on it once a person sends it back with retry", async () => {
    const graph = paying();
    await begin(graph);
    expect(await resumeThread(graph, "t", { action: "retry" })).toMatchObject({
      status: "succeeded",
      values: { log: ["guessed", "paid"] },
    });
  });

  it("may have its result provided", async () => {
    const graph = paying();
    await begin(graph);
    expect(await resumeThread(graph, "t", { action: "provide", result: { log: ["by hand"] } })).toMatchObject({
      status: "succeeded",
      values: { log: ["guessed", "by hand"] },
    });
  });

  it("works on it once a person sends it back also through decorators of its own further in", async () => {
    const counted = failures({ look: 99 });
    const seen: unknown[] = [];
    const node: Plain = async (state, config) => {
      const { directive, number, failures: before } = attempt(config);
      seen.push([directive, number, before.map((one) => one.report.code)]);
      return await pay(state, config);
    };
    const graph = chain({
      look: guessing("look", counted),
      pay: resilient(withTimeout(withRetry(requireUndegraded(node), quick)), once),
    });
    expect((await begin(graph)).waitingFor[0]?.request?.failure.code).toBe("DEGRADED_INPUT");
    expect(await resumeThread(graph, "t", { action: "retry" })).toMatchObject({ status: "succeeded" });
    expect(seen).toEqual([["retry", 1, ["DEGRADED_INPUT"]]]);
  });

  it("puts up with so many", async () => {
    const counted = failures({ one: 99, two: 99, three: 99 });
    const nodes = { one: guessing("one", counted), two: guessing("two", counted) };
    expect((await begin(paying({ max: 2 }, once, nodes))).status).toBe("succeeded");
    const more = paying({ max: 2 }, once, { ...nodes, three: guessing("three", counted) });
    expect((await begin(more)).waitingFor[0]?.request?.failure.message).toMatch(
      /"one" was .*; "two" was .*; "three" was /,
    );
  });

  it("may ask after certain steps only", async () => {
    expect((await begin(paying({ from: ["elsewhere"] }))).status).toBe("succeeded");
    expect((await begin(paying({ from: ["elsewhere", "look"] }))).status).toBe("waiting_human");
  });

  it("looks at what came before it, not at what answers beside it", async () => {
    const builder = new StateGraph(LogState)
      .addNode("look", guessing("look", failures({ look: 99 })))
      .addNode("pay", resilient(requireUndegraded(pay), once))
      .addEdge(START, "look")
      .addEdge(START, "pay");
    const graph = installRecovery(builder).compile({ checkpointer: new MemorySaver() });
    const done = await runThread(graph, { value: 1 }, { threadId: "t" });
    expect(done.status).toBe("succeeded");
    expect(answerers(done.values)).toEqual(["look: guess"]);
  });

  it("goes, outside of a graph, by what its input says", async () => {
    const demanding = requireUndegraded(async (_: { degradations?: Degradation[] }) => "paid");
    const note = { v: 1, node: "look", answeredBy: "guess", category: "network", reason: "gone", at: "" } as const;
    expect(demanding.name).toBe("node");
    expect(await demanding({}, {})).toBe("paid");
    expect(await demanding({ degradations: [] }, {})).toBe("paid");
    await expect(demanding({ degradations: [note] }, {})).rejects.toMatchObject({ code: "DEGRADED_INPUT" });
  });

  it.each([
    [{ from: [] }, 'option "from" is []'],
    [{ max: -1 }, 'option "max" is -1'],
    [{ most: 1 }, "most"],
  ])("refuses %j as options: %s", (options, message) => {
    expect(() => requireUndegraded(pay, options as object)).toThrowError(
      expect.objectContaining({ code: "CONFIG", message: expect.stringContaining(message) }),
    );
    expect(() => requireUndegraded(pay, options as object)).toThrowError(/^requireUndegraded\(pay\): /);
  });
});

describe("a limit on how much of a run may be degraded", () => {
  const three = (maxDegradations: number) => {
    const counted = failures({ one: 99, two: 99, three: 1 });
    const options: Options = { maxDegradations };
    return chain({
      one: guessing("one", counted, options),
      two: guessing("two", counted, options),
      three: guessing("three", counted, options),
    });
  };

  it("leaves the fallbacks of the steps beyond it to a person, who may still choose one", async () => {
    const graph = three(2);
    const stopped = await begin(graph);
    expect(stopped.waitingFor[0]?.request).toMatchObject({
      node: "three",
      fallbacks: ["guess"],
      fallbacksTried: [],
      failure: { category: "server_error" },
    });
    const done = await resumeThread(graph, "t", { action: "fallback", step: "guess" });
    expect(answerers(done.values)).toEqual(["one: guess", "two: guess", "three: guess"]);
  });

  it("of none leaves the very first to a person", async () => {
    const stopped = await begin(three(0));
    expect(stopped.waitingFor[0]?.request).toMatchObject({ node: "one", fallbacksTried: [] });
  });

  it("says nothing of a step that answers itself", async () => {
    const graph = three(2);
    await begin(graph);
    const done = await resumeThread(graph, "t", { action: "retry" });
    expect(done).toMatchObject({ status: "succeeded", values: { log: ["guessed", "guessed", "three"] } });
  });
});

describe("what the state says of who answered", () => {
  it("is one note for one answer, through however many decorators", async () => {
    const inner = withFallback(
      async (_: Log): Promise<Update> => {
        throw unavailable();
      },
      [guess as { name: string; run: () => Update }],
    );
    const { values } = await begin(chain({ look: resilient(withRetry(withTimeout(inner), quick), once) }));
    expect(answerers(values)).toEqual(["look: guess"]);
  });

  it("is a note each, in order, where decorators within one another both have something simpler answer", async () => {
    const inside: Plain = withFallback(async (): Promise<Update> => {
      throw unavailable();
    }, [guess as { name: string; run: () => Update }]);
    const refusing = resilient(
      async (state: Log, config): Promise<Update> => {
        await inside(state, config);
        return { log: ["", "not good enough"] };
      },
      {
        ...once,
        validate: (made) => (made.log?.[0] === "" ? "nothing in it" : undefined),
        fallback: [{ name: "outer", run: (state, config) => inside(state, config) }],
      },
    );
    const { values } = await begin(chain({ look: refusing }));
    expect(values.log).toEqual(["guessed"]);
    expect(degradationsOf(values), "what the refused attempt stood on is gone with it").toMatchObject([
      { answeredBy: "guess", category: "server_error" },
      { answeredBy: "outer", category: "malformed_output" },
    ]);
  });

  it("names for the outer fallback the failure of the node, not that of a fallback further in", async () => {
    const inside: Plain = withFallback(async (): Promise<Update> => {
      throw unavailable();
    }, [
      {
        name: "broken",
        run: (): Update => {
          throw Object.assign(new Error("no right"), { status: 403 });
        },
      },
    ]);
    const { values } = await begin(chain({ look: resilient(inside, { ...once, fallback: [guess] }) }));
    expect(degradationsOf(values)).toMatchObject([{ answeredBy: "guess", category: "server_error" }]);
  });

  it("holds the notes of parallel branches, and of each of several workers", async () => {
    const counted = failures({ a: 99, worker: 99 });
    const builder = new StateGraph(LogState)
      .addNode("a", guessing("a", counted))
      .addNode("b", guessing("b", counted))
      .addNode("worker", guessing("worker", counted))
      .addEdge(START, "a")
      .addEdge(START, "b")
      .addConditionalEdges(START, (state) => [1, 2].map((value) => new Send("worker", { ...state, value })), [
        "worker",
      ]);
    const graph = installRecovery(builder).compile({ checkpointer: new MemorySaver() });
    const { values } = await runThread(graph, { value: 1 }, { threadId: "t" });
    expect(answerers(values).sort()).toEqual(["a: guess", "worker: guess", "worker: guess"]);
  });

  it.each<[string, () => Command | (Command | Update)[]]>([
    ["a command", () => new Command({ update: { log: ["steered"] }, goto: "end" })],
    ["a command whose update is a list", () => new Command({ update: [["log", ["steered"]]], goto: "end" })],
    ["a command without an update, in a list", () => [{ log: ["steered"] }, new Command({ goto: "end" })]],
  ])("is in the update of %s, which steers as it did", async (_, made) => {
    const node = resilient(
      async (_: Log): Promise<Command | (Command | Update)[]> => {
        throw unavailable();
      },
      { ...once, fallback: [{ name: "guess", run: made }] },
    );
    const builder = new StateGraph(LogState)
      .addNode("look", node as never, { ends: ["end", END] })
      .addNode("end", (_: Log): Update => ({ log: ["end"] }))
      .addEdge(START, "look");
    const graph = installRecovery(builder).compile({ checkpointer: new MemorySaver() });
    const { values } = await runThread(graph, { value: 1 }, { threadId: "t" });
    expect((values as Log).log).toEqual(["steered", "end"]);
    expect(answerers(values)).toEqual(["look: guess"]);
  });

  it("is added to what the step says of it itself", async () => {
    const own = { v: 1, node: "tool", answeredBy: "x", category: "network", reason: "gone", at: "" } as const;
    const State = Annotation.Root({
      log: Annotation<string[]>({ reducer: (before, added) => before.concat(added), default: () => [] }),
      degradations: Annotation<Degradation[]>({ reducer: (before, added) => before.concat(added), default: () => [] }),
    });
    const node = resilient(
      async (_: typeof State.State): Promise<typeof State.Update> => {
        throw unavailable();
      },
      { ...once, fallback: [{ name: "guess", run: () => ({ degradations: [own] }) }] },
    );
    const builder = new StateGraph(State).addNode("look", node).addEdge(START, "look");
    const graph = installRecovery(builder).compile({ checkpointer: new MemorySaver() });
    const { values } = await runThread(graph, {}, { threadId: "t" });
    expect(answerers(values)).toEqual(["tool: x", "look: guess"]);
  });

  it("tells the age of an outdated answer, to a step that will not have it, too", async () => {
    const clock = new FakeClock();
    const counted = failures();
    const graph = paying({}, once, {
      look: guessing("look", counted, {
        clock,
        fallback: ["stale"],
        cache: { ttlMs: 1000, staleIfErrorMs: 60_000, key: () => "the same" },
      }),
    });
    await runThread(graph, { value: 1 }, { threadId: "before" });
    counted.plan.look = 99;
    await clock.advance(30_000);
    const stopped = await begin(graph);
    expect(degradationsOf(stopped.values)).toMatchObject([{ node: "look", answeredBy: "stale", ageMs: 30_000 }]);
    expect(stopped.waitingFor[0]?.request?.failure.message).toContain('"look" was answered by "stale"');
  });

  it("says when, by the clock of the step", async () => {
    const clock = new FakeClock();
    const graph = chain({ look: guessing("look", failures({ look: 99 }), { clock }) });
    const { values } = await begin(graph);
    expect(degradationsOf(values).map((one) => one.at)).toEqual([new Date(clock.now()).toISOString()]);
  });
});

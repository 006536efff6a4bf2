/** Failed attempts that outlive the run they were made in: what is counted, what is kept, and what is never even asked for. */
import { Command, interrupt, ParentCommand, RunControl, Send, START, StateGraph } from "@langchain/langgraph";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import type { ResilienceEvent } from "../../../src/core/events.js";
import type { Persistence } from "../../../src/core/ports.js";
import type { AttemptStore } from "../../../src/core/store-ports.js";
import { attempt } from "../../../src/langgraph/attempt-scope.js";
import { installRecovery } from "../../../src/langgraph/install-recovery.js";
import { type Node, resilient } from "../../../src/langgraph/resilient.js";
import { withFallback, withRetry, withTimeout } from "../../../src/langgraph/single-rungs.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import type { RunResult } from "../../../src/langgraph/threads/run.js";
import { type RunThreadOptions, runThread } from "../../../src/langgraph/threads/run-thread.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { createDatabase, describeOnPostgres, type TestDatabase } from "../../support/databases.js";
import { type Log, LogState, once, quick, unavailable } from "../../support/graphs.js";

type Update = Partial<Log>;
const METHODS = ["append", "mark", "load", "clear"] as const;
const thread = { threadId: "t" };
const input = { value: 1 };

const neverEnds = () => new Promise<never>(() => {});
const answers = (): Update => ({ log: ["done"] });

/** What the calls of a node do, one after the other over all runs: fail, hang as in a process that dies, or this. */
type Call = "fails" | "hangs" | (() => Update | Promise<Update>);

/** A node that does as it is told and notes which attempt each call was; when nothing is left to do it fails. */
function scripted(...script: Call[]): { node: Node<Log, Update>; begun: string[] } {
  const begun: string[] = [];
  return {
    begun,
    async node(_, config) {
      const { step, number } = attempt(config);
      begun.push(`${step} ${number}`);
      const call = script.shift() ?? "fails";
      if (call === "fails") throw unavailable();
      return call === "hangs" ? await neverEnds() : await call();
    },
  };
}

/** The attempts that the person is shown, and what became of each. */
function shown({ waitingFor }: RunResult): string[] {
  const attempts = waitingFor[0]?.request?.attempts ?? [];
  return attempts.map(({ step, number, report }) => `${step} ${number} ${report.code ?? report.category}`);
}

function historyOn(open: () => Persistence) {
  let persistence: Persistence;
  let store: AttemptStore;
  /** Ends what stands still, which would come to its timeout in a test after this one. */
  let over: AbortController;
  const standingStill: Promise<unknown>[] = [];
  beforeEach(() => {
    persistence = open();
    store = persistence.attempts as AttemptStore;
    for (const method of METHODS) vi.spyOn(store, method);
    over = new AbortController();
  });
  afterEach(async () => {
    over.abort();
    await Promise.allSettled(standingStill.splice(0));
    await persistence.close();
  });

  /** Compiled afresh, as each process does. */
  const graphOf = (decorated: Node<Log, Update>, recovery = true) => {
    const builder = new StateGraph(LogState).addNode("node", decorated).addEdge(START, "node");
    return (recovery ? installRecovery(builder) : builder).compile({ checkpointer: persistence.checkpointer });
  };
  /** A run that comes to stand still in the middle of an attempt, for ever, as if its process had died there, and its lock with it. */
  const dies = async (graph: ReturnType<typeof graphOf>, standsStill: () => void) => {
    standingStill.push(runThread(graph, input, { ...thread, lock: false, signal: over.signal }));
    await vi.waitFor(standsStill, { timeout: 20_000 });
  };
  const asked = () => METHODS.filter((method) => vi.mocked(store[method]).mock.calls.length > 0);
  /** What is still stored of the steps that attempts were written of. */
  const kept = async () => {
    const scopes = new Map(vi.mocked(store.append).mock.calls.map(([scope]) => [JSON.stringify(scope), scope]));
    const found = await Promise.all([...scopes.values()].map((scope) => store.load(scope)));
    return found.filter((one) => one !== undefined);
  };

  describe("a success", () => {
    it("without failures neither reads nor writes any", async () => {
      const { node } = scripted(answers);
      await runThread(graphOf(resilient(node)), input, thread);
      expect(asked()).toEqual([]);
    });

    it("after failures leaves none behind, of a fallback neither", async () => {
      const { node, begun } = scripted("fails", "fails", "fails", answers);
      const decorated = resilient(node, {
        retry: { ...quick, maxAttempts: 2 },
        fallback: [{ name: "other", run: node, retry: quick }],
      });
      expect((await runThread(graphOf(decorated), input, thread)).status).toBe("succeeded");
      expect(begun).toEqual(["node 1", "node 2", "other 1", "other 2"]);
      expect(store.append).toHaveBeenCalledTimes(3);
      expect(await kept()).toEqual([]);
    });

    it("may also be a command to the parent graph that is thrown", async () => {
      const { node, begun } = scripted("fails", () => {
        throw new ParentCommand(new Command({ graph: Command.PARENT, update: { log: ["from below"] } }));
      });
      const below = new StateGraph(LogState).addNode("inner", withRetry(node, quick)).addEdge(START, "inner").compile();
      const { checkpointer } = persistence;
      const graph = new StateGraph(LogState).addNode("below", below).addEdge(START, "below").compile({ checkpointer });
      const done = await runThread(graph, input, thread);
      expect(done).toMatchObject({ status: "succeeded", values: { log: ["from below"] } });
      expect(begun).toEqual(["node 1", "node 2"]);
      expect(await kept()).toEqual([]);
    });
  });

  describe("a pause", () => {
    const ask = (question: string) => () => ({ log: [String(interrupt(question))] });

    it("by a question in attempt 2 is no failure: the count goes on after the answer, which is kept", async () => {
      const thenFails = () => {
        ask("proceed?")();
        throw unavailable();
      };
      const { node, begun } = scripted("fails", ask("proceed?"), thenFails, ask("proceed?"));
      const decorated = resilient(node, { retry: quick });
      await runThread(graphOf(decorated), input, thread);
      const done = await resumeThread(graphOf(decorated), "t", "yes");
      expect(done).toMatchObject({ status: "succeeded", values: { log: ["yes"] } });
      expect(begun).toEqual(["node 1", "node 2", "node 2", "node 3"]);
      expect(await kept()).toEqual([]);
    });

    it("by the question of a fallback keeps its answer apart from those of the steps that are not run again", async () => {
      const { node, begun } = scripted();
      const asks = (question: string): Node<Log, Update> => {
        return (state, config) => {
          interrupt(question);
          return node(state, config);
        };
      };
      const decorated = resilient(asks("the node's?"), {
        retry: { ...quick, maxAttempts: 2 },
        fallback: [
          { name: "first", run: asks("the first's?"), retry: { ...quick, maxAttempts: 2 } },
          { name: "second", run: ask("the second's?") },
        ],
      });
      const questions = ({ waitingFor }: RunResult) => waitingFor.map((one) => one.value);
      expect(questions(await runThread(graphOf(decorated), input, thread))).toEqual(["the node's?"]);
      expect(questions(await resumeThread(graphOf(decorated), "t", "for the node"))).toEqual(["the first's?"]);
      expect(questions(await resumeThread(graphOf(decorated), "t", "for the first"))).toEqual(["the second's?"]);
      const done = await resumeThread(graphOf(decorated), "t", "for the second");
      expect(done).toMatchObject({ status: "succeeded", values: { log: ["for the second"] } });
      expect(begun).toEqual(["node 1", "node 2", "first 1", "first 2"]);
    });

    it.each(["drain", "abort"] as const)("by %s in the wait is no failure: a resume goes on counting", async (how) => {
      const { node, begun } = scripted("fails", "fails", answers);
      const control = new RunControl();
      const aborting = new AbortController();
      const stop = (event: ResilienceEvent) => {
        if (event.type !== "attempt.failed" || event.attempt !== 2) return;
        if (how === "drain") control.requestDrain("deploy");
        else aborting.abort(new Error("enough"));
      };
      const decorated = resilient(node, { retry: quick });
      const options: RunThreadOptions = { ...thread, control, signal: aborting.signal, onEvent: stop };
      expect((await runThread(graphOf(decorated), input, options)).status).toBe("drained");
      expect((await resumeThread(graphOf(decorated), "t")).status).toBe("succeeded");
      expect(begun).toEqual(["node 1", "node 2", "node 3"]);
      expect(await kept()).toEqual([]);
    });

    it("before the node, in a run by other means, is no attempt of it", async () => {
      const { node, begun } = scripted(answers);
      const { checkpointer } = persistence;
      const compiled = () =>
        new StateGraph(LogState)
          .addNode("node", resilient(node))
          .addEdge(START, "node")
          .compile({ checkpointer, interruptBefore: ["node"] });
      await compiled().invoke(input, { configurable: { thread_id: "6f0d1c0a-5b7e-4c1e-9d3a-2b4c6d8e0f12" } });
      await resumeThread(compiled(), "6f0d1c0a-5b7e-4c1e-9d3a-2b4c6d8e0f12");
      expect(begun).toEqual(["node 1"]);
    });
  });

  describe("a final failure", () => {
    it("that no person is asked about leaves all attempts to whoever resumes", async () => {
      const { node, begun } = scripted("fails", "fails", "fails", "fails", "fails", answers);
      const decorated = resilient(node, {
        retry: { ...quick, maxAttempts: 2 },
        fallback: [{ name: "other", run: node, retry: { ...quick, maxAttempts: 2 } }],
      });
      expect((await runThread(graphOf(decorated, false), input, thread)).status).toBe("failed");
      expect((await resumeThread(graphOf(decorated, false), "t")).status).toBe("succeeded");
      expect(begun).toEqual(["node 1", "node 2", "other 1", "other 2", "node 1", "node 2"]);
      expect(await kept()).toEqual([]);
    });

    it("again leaves them to the fallback, too", async () => {
      const { node, begun } = scripted(...Array<Call>(7).fill("fails"), answers);
      const decorated = resilient(node, {
        retry: { ...quick, maxAttempts: 2 },
        fallback: [{ name: "other", run: node, retry: { ...quick, maxAttempts: 2 } }],
      });
      await runThread(graphOf(decorated, false), input, thread);
      expect((await resumeThread(graphOf(decorated, false), "t")).status).toBe("succeeded");
      const round = ["node 1", "node 2", "other 1", "other 2"];
      expect(begun).toEqual([...round, ...round]);
    });
  });

  describe("a process that dies", () => {
    it("in a node of one attempt has it simply run again", async () => {
      const { node, begun } = scripted("hangs", answers);
      const decorated = resilient(node, once);
      await dies(graphOf(decorated), () => expect(begun).toHaveLength(1));
      expect((await resumeThread(graphOf(decorated), "t")).status).toBe("succeeded");
      expect(begun).toEqual(["node 1", "node 1"]);
      expect(asked()).toEqual([]);
    });

    it("in the fallback of a node of one attempt has that count, and leaves nothing behind when the node succeeds", async () => {
      const { node, begun } = scripted("fails", "fails", "hangs", answers);
      const decorated = resilient(node, { ...once, fallback: [{ name: "other", run: node, retry: quick }] });
      await dies(graphOf(decorated), () => expect(begun).toHaveLength(3));
      expect((await resumeThread(graphOf(decorated), "t")).status).toBe("succeeded");
      expect(begun).toEqual(["node 1", "other 1", "other 2", "node 1"]);
      expect(await kept()).toEqual([]);
    });

    it("after a question was answered has the question asked again, and that attempt count", async () => {
      const asks = () => ({ log: [String(interrupt("proceed?"))] });
      const asksAndHangs = () => {
        asks();
        return neverEnds();
      };
      const { node, begun } = scripted("fails", asks, asksAndHangs, asks);
      const decorated = resilient(node, { retry: quick });
      await runThread(graphOf(decorated), input, thread);
      standingStill.push(resumeThread(graphOf(decorated), "t", "yes", { lock: false, signal: over.signal }));
      await vi.waitFor(() => expect(begun).toHaveLength(3), { timeout: 20_000 });
      expect((await resumeThread(graphOf(decorated), "t")).waitingFor).toMatchObject([{ value: "proceed?" }]);
      const done = await resumeThread(graphOf(decorated), "t", "yes again");
      expect(done).toMatchObject({ status: "succeeded", values: { log: ["yes again"] } });
      expect(begun).toEqual(["node 1", "node 2", "node 2", "node 3"]);
    });

    it("in the second of two decorators around each other counts once", async () => {
      const { node, begun } = scripted("fails", "fails", "hangs");
      const decorated = resilient(withTimeout(node), { name: "outer", retry: quick });
      await dies(graphOf(decorated), () => expect(begun).toHaveLength(3));
      const stopped = await resumeThread(graphOf(decorated), "t");
      expect(begun).toHaveLength(4);
      expect(shown(stopped)).toEqual([
        "node 1 server_error",
        "node 2 server_error",
        "node 3 PROCESS_DIED",
        "node 4 server_error",
      ]);
    });

    it("where the inner of two decorators retries, that one goes on counting", async () => {
      const { node, begun } = scripted("fails", "fails", "hangs");
      const decorated = withFallback(withRetry(node, quick), [{ name: "other", run: answers }]);
      await dies(graphOf(decorated), () => expect(begun).toHaveLength(3));
      const done = await resumeThread(graphOf(decorated), "t");
      expect(done).toMatchObject({ status: "succeeded", values: { log: ["done"] } });
      expect(begun).toEqual(["node 1", "node 2", "node 3", "node 4"]);
    });

    it("leaves parallel nodes and Send workers a count each", async () => {
      const calls: Record<string, Call[]> = {
        left: ["fails", "hangs"],
        right: ["fails", "fails", "hangs"],
        w1: ["hangs"],
        w2: ["fails", "hangs"],
      };
      const begun: string[] = [];
      const work = resilient(
        async ({ name }: { name: string }, config): Promise<Update> => {
          begun.push(`${name} ${attempt(config).number}`);
          const call = calls[name]?.shift();
          if (call === "fails") throw unavailable();
          return call === "hangs" ? await neverEnds() : { log: [name] };
        },
        { name: "work", retry: quick },
      );
      const graph = () =>
        new StateGraph(LogState)
          .addNode("left", (_, config) => work({ name: "left" }, config))
          .addNode("right", (_, config) => work({ name: "right" }, config))
          .addNode("work", work as never)
          .addEdge(START, "left")
          .addEdge(START, "right")
          .addConditionalEdges(START, () => [new Send("work", { name: "w1" }), new Send("work", { name: "w2" })])
          .compile({ checkpointer: persistence.checkpointer });
      await dies(graph() as never, () => expect(begun).toHaveLength(8));
      begun.length = 0;
      const done = await resumeThread(graph(), "t");
      expect(done.status).toBe("succeeded");
      expect(begun.sort()).toEqual(["left 3", "right 4", "w1 2", "w2 3"]);
      expect(await kept()).toEqual([]);
    });
  });

  it("a store that fails only warns", async () => {
    const warnings: string[] = [];
    const note = (warning: Error) => void warnings.push(warning.message);
    process.on("warning", note);
    onTestFinished(() => void process.off("warning", note));
    vi.mocked(store.append).mockRejectedValue(new Error("disk full"));
    vi.mocked(store.clear).mockRejectedValue(new Error("disk full"));
    const { node } = scripted("fails", answers);
    const done = await runThread(graphOf(resilient(node, { retry: quick })), input, thread);
    expect(done.status).toBe("succeeded");
    await vi.waitFor(() => expect(warnings.filter((message) => message.includes("disk full"))).toHaveLength(2));
    expect(warnings[0]).toBe(
      "Failed attempts could not be written, so that after a crash the count may begin anew: disk full",
    );
  });
}

describe("failed attempts in memory", () => {
  historyOn(() => openPersistence("memory:"));
});

describeOnPostgres("failed attempts on PostgreSQL", () => {
  let database: TestDatabase;
  beforeEach(async () => {
    database = await createDatabase();
  });
  afterEach(() => database.drop());
  historyOn(() => openPersistence(database.url));

  it("cost a run without failures no statement", async () => {
    const pool = new pg.Pool({ connectionString: database.url });
    onTestFinished(() => pool.end());
    const statements: string[] = [];
    pool.on("connect", (client) => {
      const query = client.query.bind(client) as (...parameters: unknown[]) => unknown;
      client.query = ((...parameters: unknown[]) => {
        statements.push(String((parameters[0] as { text?: string }).text ?? parameters[0]));
        return query(...parameters);
      }) as typeof client.query;
    });
    const persistence = openPersistence({ pool });
    await persistence.ready();
    const about = () => statements.filter((statement) => statement.includes("lgr_attempts")).length;
    const { checkpointer } = persistence;
    const run = async (threadId: string, ...script: Call[]) => {
      const before = about();
      const decorated = resilient(scripted(...script).node, { retry: quick });
      await runThread(
        new StateGraph(LogState).addNode("node", decorated).addEdge(START, "node").compile({ checkpointer }),
        input,
        { threadId },
      );
      return about() - before;
    };
    expect(await run("succeeds", answers)).toBe(0);
    expect(await run("fails once", "fails", answers), "one insert, one delete").toBe(2);
  });
});

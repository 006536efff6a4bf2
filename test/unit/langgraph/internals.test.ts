/** What src/langgraph/internals.ts takes for granted of LangGraph, one test an assumption. */
import {
  Annotation,
  Command,
  GraphDrained,
  interrupt,
  isGraphDrained,
  type LangGraphRunnableConfig,
  MemorySaver,
  RunControl,
  Send,
  START,
  StateGraph,
} from "@langchain/langgraph";
import type { Checkpoint } from "@langchain/langgraph-checkpoint";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import {
  interruptCounter,
  ownConfigurable,
  questionsOf,
  runInConfig,
} from "../../../src/langgraph/attempt-internals.js";
import {
  answersOf,
  finishedTasks,
  interruptsOf,
  nodesBetween,
  wasAborted,
} from "../../../src/langgraph/checkpoint-internals.js";
import {
  announceParentCommand,
  answerRefused,
  attachErrorHandler,
  builderOf,
  checkpointerOf,
  failedTaskNamespace,
  functionOfNode,
  hasRecovery,
  isCompiledGraph,
  isInsideTask,
  mayHaveRunBefore,
  namespaceOf,
  nodesAround,
  onDrain,
  readChannel,
  routesByCommand,
  stopped,
  wasThrownHere,
} from "../../../src/langgraph/internals.js";
import { LogState } from "../../support/graphs.js";

type AnyNode = (state: unknown, config: LangGraphRunnableConfig) => unknown;
const withNode = (node: AnyNode) => new StateGraph(LogState).addNode("a", node as never).addEdge(START, "a");
const thread = { configurable: { thread_id: "t" } };

async function configInside(): Promise<LangGraphRunnableConfig> {
  let seen: LangGraphRunnableConfig = {};
  await withNode((_, config) => {
    seen = config;
    return {};
  })
    .compile({ checkpointer: new MemorySaver() })
    .invoke({ value: 1 }, thread);
  return seen;
}

describe("LangGraph", () => {
  it("keeps a builder's nodes and channels in `nodes` and `channels`", () => {
    const builder = builderOf(withNode(() => ({})));
    expect(Object.keys(builder?.nodes ?? {})).toEqual(["a"]);
    expect(Object.keys(builder?.channels ?? {})).toEqual(expect.arrayContaining(["log", "value"]));
    expect(builderOf({})).toBeUndefined();
  });

  it("keeps a node's function as `func` of its runnable", () => {
    const node: AnyNode = () => ({});
    const builder = builderOf(withNode(node));
    expect(functionOfNode(builder?.nodes.a ?? { runnable: undefined })).toBe(node);
  });

  it("marks a compiled graph", () => {
    expect(isCompiledGraph(withNode(() => ({})).compile())).toBe(true);
    expect(isCompiledGraph(withNode(() => ({})))).toBe(false);
    expect(isCompiledGraph(null)).toBe(false);
  });

  it("hands a node's failure to the node named as its `errorHandlerNode`, which is gone from the builder after compile", async () => {
    const mine = new Error("mine");
    const seen: unknown[] = [];
    const graph = withNode(() => {
      throw mine;
    });
    const builder = builderOf(graph);
    if (builder === undefined) throw new Error("no builder");
    expect(hasRecovery(builder)).toBe(false);
    attachErrorHandler(builder, ["a"], [], (input, { node, error }, config) => {
      seen.push(input, node, error, failedTaskNamespace(config));
      return { value: 2 };
    });
    expect(hasRecovery(builder)).toBe(true);
    let namespace = "";
    (builder.nodes.a?.runnable as { func: AnyNode }).func = (_, config) => {
      namespace = namespaceOf(config);
      throw mine;
    };
    expect(await graph.compile({ checkpointer: new MemorySaver() }).invoke({ value: 1 }, thread)).toMatchObject({
      value: 2,
    });
    expect(Object.keys(builder.nodes)).toEqual(["a"]);
    expect(seen).toEqual([expect.objectContaining({ value: 1 }), "a", mine, namespace]);
    expect(namespace).toMatch(/^a:/);
  });

  it("marks the errors it caught from a task, and rebuilds those of an earlier process without the mark", async () => {
    const saver = new MemorySaver();
    const seen: { here: boolean; message: string }[] = [];
    let handlerBreaks = true;
    const compiled = () => {
      const graph = withNode(() => {
        throw new RangeError("mine");
      });
      const builder = builderOf(graph);
      if (builder === undefined) throw new Error("no builder");
      attachErrorHandler(builder, ["a"], [], (_, { error }) => {
        seen.push({ here: wasThrownHere(error), message: error.message });
        if (handlerBreaks) throw new Error("handler broke");
        return {};
      });
      return graph.compile({ checkpointer: saver });
    };
    await expect(compiled().invoke({ value: 1 }, thread)).rejects.toThrow("handler broke");
    handlerBreaks = false;
    await compiled().invoke(null, thread);
    expect(seen).toEqual([
      { here: true, message: "mine" },
      { here: false, message: "mine" },
    ]);
  });

  it("holds an error for handled when the handler throws that very object: the run goes on as if nothing had happened", async () => {
    const graph = withNode(() => {
      throw new Error("mine");
    });
    const builder = builderOf(graph);
    if (builder === undefined) throw new Error("no builder");
    attachErrorHandler(builder, ["a"], [], (_, { error }) => {
      throw error;
    });
    await expect(
      graph.compile({ checkpointer: new MemorySaver() }).invoke({ value: 1 }, thread),
    ).resolves.toBeDefined();
  });

  it("carries the compiled checkpointer in a task's configurable", async () => {
    const saver = new MemorySaver();
    let seen: unknown;
    await withNode((_, config) => {
      seen = checkpointerOf(config);
      return {};
    })
      .compile({ checkpointer: saver })
      .invoke({ value: 1 }, thread);
    expect(seen).toBe(saver);
    expect(checkpointerOf({})).toBeUndefined();
  });

  it("gives each task a scratchpad that counts its interrupts from −1", async () => {
    const config = await configInside();
    expect(isInsideTask(config)).toBe(true);
    expect(interruptCounter(config)).toBe(-1);
    expect(isInsideTask({})).toBe(false);
    expect(interruptCounter({})).toBe(-1);
  });

  it("takes the scratchpad's counter for the number of the next question", async () => {
    const graph = withNode((_, config) => {
      const first = interrupt("first?");
      const { __pregel_scratchpad: pad } = config.configurable as Record<string, { interruptCounter: number }>;
      if (pad !== undefined) pad.interruptCounter = -1;
      return { log: [String(first), String(interrupt("first, again?"))] };
    }).compile({ checkpointer: new MemorySaver() });
    await graph.invoke({ value: 1 }, thread);
    expect(await graph.invoke(new Command({ resume: "yes" }), thread)).toMatchObject({ log: ["yes", "yes"] });
  });

  it("writes nothing but counters to a scratchpad, so that an attempt's questions can be counted apart", async () => {
    const open = { open: () => true, passed: () => undefined };
    const graph = withNode(async (_, config) => {
      const first = interrupt("first?");
      const questions = questionsOf(config, [0], -1);
      const { configurable } = ownConfigurable(config, questions, open);
      const own: LangGraphRunnableConfig = { ...config, configurable };
      const again = await runInConfig(own, async () => interrupt("first, again?"));
      return { log: [String(first), String(again), `${interruptCounter(config)} ${questions.latest}`] };
    }).compile({ checkpointer: new MemorySaver() });
    await graph.invoke({ value: 1 }, thread);
    expect(await graph.invoke(new Command({ resume: "yes" }), thread)).toMatchObject({ log: ["yes", "yes", "0 0"] });
    expect(ownConfigurable({ configurable: { a: 1 } }, questionsOf({}, [], -1), open).configurable).toEqual({ a: 1 });
  });

  it("writes through functions of the configurable, so that they can be closed, and asks through the scratchpad", async () => {
    let isOpen = true;
    const passed: string[] = [];
    const late: string[] = [];
    const graph = withNode(async (_, config) => {
      const gate = { open: () => isOpen, passed: () => passed.push("write") };
      const { configurable, flush } = ownConfigurable(config, questionsOf(config, [], -1), gate);
      const send = configurable.__pregel_send as (writes: unknown) => void;
      send([["log", ["in time"]]]);
      flush?.();
      isOpen = false;
      send([["log", ["too late"]]]);
      try {
        await runInConfig({ ...config, configurable }, async () => interrupt("too late?"));
      } catch (error) {
        late.push((error as { code: string }).code);
      }
      return { value: 2 };
    }).compile({ checkpointer: new MemorySaver() });
    expect(await graph.invoke({ value: 1 }, thread)).toMatchObject({ log: ["in time"], value: 2 });
    expect(late).toEqual(["CANCELLED"]);
    expect(passed).toEqual(["write"]);
  });

  it("says in the first superstep of a resumed run that it is one, and in no other", async () => {
    const seen: boolean[] = [];
    let fails = true;
    const graph = new StateGraph(LogState)
      .addNode("a", (_, config) => {
        seen.push(mayHaveRunBefore(config));
        if (fails) throw new Error("down");
        return {};
      })
      .addNode("b", (_, config) => {
        seen.push(mayHaveRunBefore(config));
        return {};
      })
      .addEdge(START, "a")
      .addEdge("a", "b")
      .compile({ checkpointer: new MemorySaver() });
    await graph.invoke({ value: 1 }, thread).catch(() => undefined);
    fails = false;
    await graph.invoke(null, thread);
    expect(seen).toEqual([false, true, false]);
  });

  it("keeps edges in `edges` and `branches`, and where commands may lead in a node's `ends`", () => {
    const nodes = () => withNode(() => ({})).addNode("b", () => ({}), { ends: ["a", "ours"] });
    const routes = (builder: object) => routesByCommand(builder as never, "b", "ours");
    expect(routes(nodes())).toBe(true);
    expect(routes(nodes().addEdge("b", "a"))).toBe(false);
    expect(routes(nodes().addConditionalEdges("b", () => "a"))).toBe(false);
    expect(routes(withNode(() => ({})).addNode("b", () => ({}), { ends: ["ours"] }))).toBe(false);
  });

  it("writes the way from the root to a task into its namespace, node by node", async () => {
    const seen: (readonly string[])[] = [];
    const inner = withNode((_, config) => {
      seen.push(nodesAround(config));
      return {};
    }).compile();
    const outer = new StateGraph(LogState)
      .addNode("outer", async (state, config) => {
        seen.push(nodesAround(config));
        await inner.invoke(state, config);
        return {};
      })
      .addEdge(START, "outer")
      .compile({ checkpointer: new MemorySaver() });
    await outer.invoke({ value: 1 }, thread);
    expect(seen).toEqual([[], ["outer"]]);
  });

  it("reads channels by a list, passing over those the graph has not", async () => {
    const seen: unknown[] = [];
    const graph = withNode((_, config) => {
      seen.push(readChannel(config, "value"), readChannel(config, "nothing of the kind"));
      return {};
    });
    await graph.compile({ checkpointer: new MemorySaver() }).invoke({ value: 1 }, thread);
    expect(seen).toEqual([1, undefined]);
    expect(readChannel({}, "value")).toBeUndefined();
  });

  it("requests a drain by the control's own method, so that whoever waits can be told", () => {
    const control = new RunControl();
    const told: string[] = [];
    const forget = onDrain(control, () => told.push("first"));
    onDrain(control, () => told.push("second"));
    forget();
    control.requestDrain("deploy");
    expect(told).toEqual(["second"]);
    expect([control.drainRequested, control.drainReason]).toEqual([true, "deploy"]);
  });

  it("marks the error of an answer that does not fit its question", async () => {
    let seen: unknown;
    const graph = withNode(() => {
      try {
        return { value: interrupt("how many?", { responseSchema: z.number() }) };
      } catch (error) {
        seen = error;
        throw error;
      }
    }).compile({ checkpointer: new MemorySaver() });
    await graph.invoke({ value: 1 }, thread);
    await graph.invoke(new Command({ resume: "seven" }), thread).catch(() => undefined);
    expect(answerRefused(seen)).toMatchObject({ code: "ANSWER_REFUSED", cause: seen, is_bubble_up: true });
    expect(answerRefused(new Error("other"))).toBeUndefined();
  });

  it("lets `interrupt()` see a config entered through its async-local storage", async () => {
    const graph = withNode((_, config) => {
      const own = { ...config, configurable: { ...config.configurable, mark: 7 } };
      return runInConfig(own, async () => {
        const { getConfig } = await import("@langchain/langgraph");
        return { value: (getConfig().configurable as { mark: number }).mark };
      });
    });
    expect(await graph.compile().invoke({ value: 1 })).toMatchObject({ value: 7 });
  });

  it("keeps neither an error nor writes of a task that stops by draining", async () => {
    const saver = new MemorySaver();
    let stop = true;
    const graph = withNode(() => {
      if (stop) throw stopped(new Error("deploy"));
      return { value: 2 };
    }).compile({ checkpointer: saver });
    await expect(graph.invoke({ value: 1 }, thread)).rejects.toSatisfy(isGraphDrained);
    expect((await saver.getTuple(thread))?.pendingWrites).toEqual([]);
    stop = false;
    expect(await graph.invoke(null, thread)).toMatchObject({ value: 2 });
    expect(stopped("x")).toBeInstanceOf(GraphDrained);
  });

  it("stores the output of a finished task beside the question of an open one, and an answer with the task that failed of it", async () => {
    const saver = new MemorySaver();
    const graph = new StateGraph(LogState)
      .addNode("a", async () => ({ log: ["a"] }))
      .addNode("b", async () => {
        interrupt("?");
        throw new Error("after the answer");
      })
      .addEdge(START, "a")
      .addEdge(START, "b")
      .compile({ checkpointer: saver });
    await graph.invoke({ value: 1 }, thread);
    const before = (await saver.getTuple(thread))?.pendingWrites ?? [];
    const tasks = (await graph.getState(thread)).tasks;
    const idOf = (name: string) => tasks.find((task) => task.name === name)?.id ?? "";
    expect([...finishedTasks(before)]).toEqual([idOf("a")]);
    expect(answersOf(before).size).toBe(0);
    await expect(
      graph.invoke(
        new Command({ resume: { [tasks.find((task) => task.name === "b")?.interrupts[0]?.id ?? ""]: "x" } }),
        thread,
      ),
    ).rejects.toThrow("after the answer");
    const after = (await saver.getTuple(thread))?.pendingWrites ?? [];
    expect(answersOf(after).get(idOf("b"))).toBe(1);
  });

  it("keeps with a task what it has asked, a subgraph's question with the root's task, and its error by name", async () => {
    const saver = new MemorySaver();
    class RunAbortedError extends Error {
      override readonly name = "RunAbortedError";
    }
    const inner = withNode(() => {
      if (interrupt({ id: "q" }) === "abort") throw new RunAbortedError("enough");
      return {};
    }).compile();
    const graph = new StateGraph(LogState)
      .addNode("inner", inner)
      .addEdge(START, "inner")
      .compile({ checkpointer: saver });
    await graph.invoke({ value: 1 }, thread);
    const [task] = (await graph.getState(thread)).tasks;
    const asked = (await saver.getTuple(thread))?.pendingWrites ?? [];
    expect(interruptsOf(asked)).toEqual([{ taskId: task?.id, value: { id: "q" } }]);
    expect(wasAborted(asked)).toBe(false);
    await expect(graph.invoke(new Command({ resume: "abort" }), thread)).rejects.toThrow("enough");
    expect(wasAborted((await saver.getTuple(thread))?.pendingWrites ?? [])).toBe(true);
  });

  it("notes with a checkpoint which nodes the one before has run, and keeps beside it to which something was sent", async () => {
    const saver = new MemorySaver();
    const graph = new StateGraph(LogState)
      .addNode("fan", async () => ({ log: ["fan"] }))
      .addNode("worker", async () => ({ log: ["worker"] }))
      .addNode("beside", async () => ({ log: ["beside"] }))
      .addNode("end", async () => ({ log: ["end"] }))
      .addEdge(START, "fan")
      .addConditionalEdges("fan", () => [new Send("worker", {}), "beside"], ["worker", "beside"])
      .addEdge("beside", "end")
      .compile({ checkpointer: saver });
    await graph.invoke({ value: 1 }, thread);
    const checkpoints: Checkpoint[] = [];
    for await (const { checkpoint } of saver.list(thread)) checkpoints.unshift(checkpoint);
    const between = checkpoints.slice(1).map((next, n) => nodesBetween(checkpoints[n] as Checkpoint, next).toSorted());
    expect(between).toEqual([["__start__"], ["fan"], ["beside", "worker"], ["end"]]);
  });

  it("loses a command to the parent of a node with an error handler, unless the task has written something", async () => {
    const run = async (announce: boolean) => {
      const inner = withNode((_, config) => {
        if (announce) announceParentCommand(config);
        return new Command({ graph: Command.PARENT, update: { log: ["left"] } });
      });
      const builder = builderOf(inner);
      if (builder === undefined) throw new Error("no builder");
      attachErrorHandler(builder, ["a"], [], () => ({}));
      return await new StateGraph(LogState)
        .addNode("sub", inner.compile())
        .addEdge(START, "sub")
        .compile({ checkpointer: new MemorySaver() })
        .invoke({ value: 1 }, thread);
    };
    expect((await run(true)).log).toEqual(["left"]);
    expect((await run(false)).log, "LangGraph has mended this: announceParentCommand can go").toEqual([]);
    expect(() => announceParentCommand({})).not.toThrow();
  });

  it("gives a node that is sent something exactly that, and keeps a join complete", async () => {
    const seen: unknown[] = [];
    const graph = new StateGraph(Annotation.Root({ value: Annotation<number> }))
      .addNode("route", async () => new Command({ goto: [new Send("worker", { anything: [1] })] }), {
        ends: ["worker"],
      })
      .addNode("worker", async (input: unknown) => {
        seen.push(input);
        return {};
      })
      .addEdge(START, "route")
      .compile();
    await graph.invoke({ value: 1 });
    expect(seen).toEqual([{ anything: [1] }]);
  });
});

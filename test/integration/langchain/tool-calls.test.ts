/** What becomes of tool calls that fail, in real agents. */
import { HumanMessage, ToolMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { Command, type LangGraphRunnableConfig } from "@langchain/langgraph";
import { createMiddleware } from "langchain";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { eventsOf } from "../../../src/core/persistence-of.js";
import { type ResilienceMiddlewareOptions, resilienceMiddleware } from "../../../src/entries/langchain.js";
import { attempt, beginEffect } from "../../../src/langgraph/attempt-scope.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { errno, failures, httpError, once, quick, recorder, unavailable } from "../../support/graphs.js";
import { calling, THREAD, talk, toolNamed } from "./agents.js";

type Config = LangGraphRunnableConfig;

const withTools = (
  tools: NonNullable<ResilienceMiddlewareOptions["tools"]>,
  others: Omit<ResilienceMiddlewareOptions, "tools"> = {},
) => resilienceMiddleware({ tools, ...others });

/** One call of one tool, and what the model is told of it. */
async function told(
  work: Parameters<typeof toolNamed>[1],
  options: ResilienceMiddlewareOptions = {},
  others: Parameters<typeof talk>[1] = {},
) {
  const { begin } = await talk([calling("stock")], {
    tools: [toolNamed("stock", work)],
    middleware: [resilienceMiddleware({ tools: { retry: quick }, ...options })],
    ...others,
  });
  const { told: messages } = await begin();
  return messages[0] as ToolMessage;
}

describe("a tool that flaps", () => {
  it("is called again, and knows which attempt it is", async () => {
    const seen: unknown[] = [];
    const message = await told((config) => {
      const { number, previous } = attempt(config);
      seen.push([number, previous?.category]);
      expect(attempt((config as { config?: Config }).config), "in the form of a ToolRuntime too").toEqual(
        attempt(config),
      );
      if (number < 3) throw unavailable();
      return "4 left";
    });
    expect(message).toMatchObject({ content: "4 left", tool_call_id: expect.any(String), name: "stock" });
    expect(message.status).not.toBe("error");
    expect(seen).toEqual([
      [1, undefined],
      [2, "server_error"],
      [3, "server_error"],
    ]);
  });

  it("counts as tool_execution where nothing else is known: 2 retries", async () => {
    const counted = failures({ stock: 9 }, () => new Error("no luck"));
    const message = await told(() => counted.pass("stock"));
    expect(counted.calls.stock).toBe(3);
    expect(message.metadata).toEqual({ category: "tool_execution", attempts: 3 });
  });

  it("is aborted when its time is up, and hears of it", async () => {
    let heard = false;
    const message = await told(
      ({ signal }) =>
        new Promise((_, reject) => {
          signal?.addEventListener("abort", () => {
            heard = true;
            reject(signal.reason);
          });
        }),
      { tools: { ...once, timeout: { baseMs: 20 } } },
    );
    expect(heard).toBe(true);
    expect(message.text).toContain('Tool "stock" did not finish within 20 ms');
    expect(message.text).toContain("(timeout, tried once)");
  });

  it("is left alone once its circuit is open, and the model is told", async () => {
    const counted = failures({ stock: 99 });
    const { begin } = await talk([calling("stock"), calling("stock"), calling("stock")], {
      tools: [toolNamed("stock", () => counted.pass("stock"))],
      middleware: [withTools({ ...once, circuitBreaker: { trip: { kind: "consecutive", failures: 2 } } })],
    });
    const { told: messages, last } = await begin();
    expect(counted.calls.stock).toBe(2);
    expect(messages[2]?.text).toMatch(/Circuit "stock" is open.*\(model_unavailable, tried once\)/);
    expect(last).toBe("All done.");
  });

  it("shows in the events of the agent's persistence", async () => {
    const { onEvent, events } = recorder();
    const { checkpointer } = openPersistence("memory:");
    eventsOf(checkpointer).subscribe(onEvent);
    const counted = failures({ stock: 1 });
    await told(() => counted.pass("stock"), {}, { checkpointer });
    expect(events.filter(({ type }) => type === "attempt.failed")).toMatchObject([
      { node: "tools", threadId: THREAD, attempt: 1, report: { category: "server_error" }, delayMs: 1 },
    ]);
  });
});

describe("a tool call that no rung could help", () => {
  it("is told to the model: what failed, which category, how often it was tried", async () => {
    const message = await told(() => {
      throw errno("ECONNREFUSED");
    });
    expect(message.status).toBe("error");
    expect(message.text).toBe(
      'Tool "stock" failed: connect ECONNREFUSED (network, tried 4 times). Calling it again right away will not help: go on without it, or say so.',
    );
  });

  it("is told without secrets, and not at any length", async () => {
    const message = await told(
      () => {
        throw httpError(503, `Bearer abcdefghijklmnop refused at postgres://app:hunter2@db/x ${"long ".repeat(1000)}`);
      },
      { tools: once },
    );
    expect(message.text).not.toMatch(/abcdefghijklmnop|hunter2/);
    expect(message.text.length).toBeLessThan(1300);
  });

  it.each([
    ["auth", httpError(401)],
    ["permission", httpError(403)],
    ["quota", Object.assign(new Error("no money"), { code: "insufficient_quota", status: 429 })],
    ["environment", errno("ENOSPC")],
    ["bug", new TypeError("x is not a function")],
  ])("ends the run where only people can help: %s", async (_, error) => {
    const ending = told(() => {
      throw error;
    });
    await expect(ending).rejects.toMatchObject({ message: error.message });
  });

  it("ends the run where an effect was begun, for the model would ask for it again", async () => {
    let charged = 0;
    const ending = told((config) => {
      beginEffect(config, "charge order-17");
      charged += 1;
      throw unavailable();
    });
    await expect(ending).rejects.toThrow("answered 503");
    expect(charged).toBe(1);
  });

  it("ends the run wherever it is to be thrown, for all tools or for one", async () => {
    const failing = () => {
      throw httpError(404);
    };
    await expect(told(failing, { onToolFailure: "throw" })).rejects.toThrow("answered 404");
    await expect(told(failing, { byTool: { stock: { onFailure: "throw" } } })).rejects.toThrow("answered 404");
    const other = await told(failing, { onToolFailure: "throw", byTool: { stock: { onFailure: "tell_model" } } });
    expect(other.text).toContain("not_found");
  });

  it("ends the run where our own options are at fault", async () => {
    const { begin } = await talk([calling("stock")], {
      tools: [toolNamed("stock", () => "4 left")],
      middleware: [resilienceMiddleware({ model: false, budget: { maxAttempts: 2 } })],
      checkpointer: false,
    });
    await expect(begin()).rejects.toThrow(/"tools" has a budget.*compile the graph with a checkpointer/);
  });

  it("ends the run when the thread's budget is used up", async () => {
    const { begin } = await talk([calling("stock"), calling("stock"), calling("stock")], {
      tools: [toolNamed("stock", () => "4 left")],
      middleware: [resilienceMiddleware({ model: false, budget: { maxAttempts: 2 } })],
      checkpointer: openPersistence("memory:").checkpointer,
    });
    await expect(begin()).rejects.toThrow(/budget of thread ".*" is used up: 2 of 2 attempts/);
  });
});

describe("arguments that do not fit the tool's schema", () => {
  it("are the model's to mend: no rung is asked, and it is told what is wrong", async () => {
    let calls = 0;
    const order = tool(
      ({ pieces }: { pieces: number }) => {
        calls += 1;
        return `${pieces} ordered`;
      },
      { name: "order", description: "order", schema: z.object({ pieces: z.number() }) },
    );
    const { onEvent, types } = recorder();
    const { checkpointer } = openPersistence("memory:");
    eventsOf(checkpointer).subscribe(onEvent);
    const { begin } = await talk(
      [calling({ name: "order", args: { pieces: "four" } }), calling({ name: "order", args: { pieces: 4 } })],
      {
        tools: [order],
        middleware: [
          withTools({
            retry: quick,
            fallback: [{ name: "other", run: () => "never asked" }],
            errorMessages: "failure",
            validate: (answer) => ((answer as ToolMessage).status === "error" ? "never asked either" : undefined),
          }),
        ],
        checkpointer,
      },
    );
    const { told: messages } = await begin();
    expect(messages.map((one) => [one.status ?? "success", one.text])).toEqual([
      ["error", expect.stringMatching(/Tool "order" was not called, its arguments do not fit: .*\n.*expected number/s)],
      ["success", "4 ordered"],
    ]);
    expect(messages[0]?.text, "no stack traces").not.toContain("node_modules");
    expect(calls).toBe(1);
    expect(types("attempt.failed", "fallback.started")).toEqual([]);
  });
});

describe("a message with which a tool itself says that it failed", () => {
  const sayingNo = () => {
    const counted = failures();
    const work = ({ toolCall }: { toolCall?: { id: string } }) => {
      counted.pass("stock");
      const isLast = counted.calls.stock === 3;
      return new ToolMessage({
        content: isLast ? "4 left" : "the warehouse is closed",
        tool_call_id: toolCall?.id ?? "",
        status: isLast ? "success" : "error",
      });
    };
    return { counted, work: work as Parameters<typeof toolNamed>[1] };
  };

  it("is its answer", async () => {
    const { counted, work } = sayingNo();
    const message = await told(work);
    expect(message).toMatchObject({ content: "the warehouse is closed", status: "error" });
    expect(counted.calls.stock).toBe(1);
  });

  it("is a failure where that was asked for", async () => {
    const { counted, work } = sayingNo();
    const message = await told(work, { tools: { retry: quick, errorMessages: "failure" } });
    expect(message).toMatchObject({ content: "4 left", status: "success" });
    expect(counted.calls.stock).toBe(3);
  });
});

describe("a fallback of a tool", () => {
  const down = () => {
    throw httpError(503);
  };
  const answering = (run: () => unknown) =>
    told(down, { tools: { ...once, fallback: [{ name: "yesterday", run: run as () => string }] } });

  it("answers with a text, and the message says who answered and why", async () => {
    const message = await answering(() => "5 left as of yesterday");
    expect(message).toMatchObject({
      content: "5 left as of yesterday",
      name: "stock",
      metadata: { answeredBy: "yesterday", because: "server_error" },
    });
    expect(message.tool_call_id).toMatch(/^call_/);
  });

  it("answers with a message of its own, which becomes the answer to this call", async () => {
    const message = await answering(
      () => new ToolMessage({ content: "5 left", artifact: { rows: 5 }, tool_call_id: "" }),
    );
    expect(message).toMatchObject({ content: "5 left", artifact: { rows: 5 }, name: "stock" });
    expect(message.tool_call_id).toMatch(/^call_/);
  });

  it("is given the arguments, the attempt's config and the failure", async () => {
    const seen: unknown[] = [];
    const order = tool(down, { name: "order", description: "order", schema: z.object({ sku: z.string() }) });
    const { begin } = await talk([calling({ name: "order", args: { sku: "A-17" } })], {
      tools: [order],
      middleware: [
        withTools({
          ...once,
          fallback: [
            {
              name: "by mail",
              run: (args, config, failure) => {
                seen.push(args, attempt(config).step, failure.category);
                return "ordered by mail";
              },
            },
          ],
        }),
      ],
    });
    expect((await begin()).told[0]?.text).toBe("ordered by mail");
    expect(seen).toEqual([{ sku: "A-17" }, "by mail", "server_error"]);
  });

  it("that fails as well is named to the model", async () => {
    const message = await answering(down);
    expect(message.text).toContain("tried once; instead of it, yesterday failed too)");
  });
});

it("an answer that validation refuses is malformed_output, and the tool is asked again", async () => {
  let calls = 0;
  const message = await told(
    () => {
      calls += 1;
      return calls < 3 ? "NaN left" : "4 left";
    },
    {
      tools: {
        retry: quick,
        validate: (answer) => (String((answer as ToolMessage).text).startsWith("NaN") ? "no number" : undefined),
      },
    },
  );
  expect([message.text, calls]).toEqual(["4 left", 3]);
});

it("a command that a tool answers with changes the state, also after a failure", async () => {
  const counted = failures({ finish: 1 });
  const finish = tool(
    async (_: object, config) => {
      const { toolCall } = config as { toolCall?: { id: string } };
      counted.pass("finish");
      const message = new ToolMessage({ content: "noted", tool_call_id: toolCall?.id ?? "" });
      return new Command({ update: { messages: [message], note: "kept" } });
    },
    { name: "finish", description: "finish", schema: z.object({}) },
  );
  const { agent, begin, config } = await talk([calling("finish")], {
    tools: [finish],
    middleware: [withTools({ retry: quick })],
    stateSchema: z.object({ note: z.string().default("") }),
  });
  expect((await begin()).told[0]?.text).toBe("noted");
  expect((await agent.graph.getState(config)).values.note).toBe("kept");
});

it("what a tool writes into the run's stream comes through, up to its end", async () => {
  const counted = failures({ count: 1 });
  const count = toolNamed("count", ({ writer }) => {
    writer?.("one");
    counted.pass("count");
    writer?.("two");
    return "counted";
  });
  const { agent, config } = await talk([calling("count")], {
    tools: [count],
    middleware: [withTools({ retry: quick })],
  });
  const written: unknown[] = [];
  const input = { messages: [new HumanMessage("Go on.")] };
  for await (const chunk of await agent.stream(input, { ...config, streamMode: "custom" })) written.push(chunk);
  expect(written).toEqual(["one", "one", "two"]);
});

describe("tools by name", () => {
  it("may each have options of their own, or be left alone", async () => {
    const counted = failures({ a: 9, b: 9, c: 1 });
    const names = ["a", "b", "c"];
    const { begin } = await talk([calling("a"), calling("b"), calling("c")], {
      tools: names.map((name) => toolNamed(name, () => counted.pass(name))),
      middleware: [withTools({ retry: { ...quick, maxAttempts: 2 } }, { byTool: { a: once, c: false } })],
    });
    await expect(begin(), "c is called as it is, and its error is fatal as beneath any hook").rejects.toThrow(
      "answered 503",
    );
    expect(counted.calls).toEqual({ a: 1, b: 2, c: 1 });
  });

  it("are all left to the agent on demand, which tells the model of errors in words of its own", async () => {
    const counted = failures({ stock: 1 });
    const message = await told(() => counted.pass("stock"), { tools: false });
    expect(message.text).toBe("Error: answered 503\n Please fix your mistakes.");
    expect(counted.calls.stock).toBe(1);
  });
});

describe("among other middlewares", () => {
  const counting = (name: string) => {
    const calls: number[] = [];
    const middleware = createMiddleware({
      name,
      wrapToolCall: (request, handler) => {
        calls.push(attempt(request.runtime as Config).number);
        return handler(request);
      },
    });
    return { calls, middleware };
  };

  it("one further out sees a call, one further in each attempt", async () => {
    const counted = failures({ stock: 2 });
    const [outer, inner] = [counting("outer"), counting("inner")];
    const message = await told(
      () => {
        counted.pass("stock");
        return "4 left";
      },
      {},
      { middleware: [outer.middleware, withTools({ retry: quick }), inner.middleware] },
    );
    expect(message.text).toBe("4 left");
    expect([outer.calls, inner.calls]).toEqual([[1], [1, 2, 3]]);
  });

  it("one further in that fails is tried again, and its error's words reach the model", async () => {
    const broken = createMiddleware({
      name: "broken",
      wrapToolCall: () => {
        throw httpError(503, "the proxy is down");
      },
    });
    const message = await told(() => "4 left", {}, { middleware: [withTools({ retry: quick }), broken] });
    expect(message.text).toContain("the proxy is down (server_error, tried 4 times)");
  });

  it("a tool that a middleware further out supplies is protected, one from further in is left to it", async () => {
    const counted = failures({ added: 1 });
    const added = toolNamed("added", () => {
      counted.pass("added");
      return "found";
    });
    const supplies = createMiddleware({
      name: "supplies",
      wrapModelCall: (request, handler) => handler({ ...request, tools: [...request.tools, added] }),
      wrapToolCall: (request, handler) => handler({ ...request, tool: added }),
    });
    const protecting = withTools({ retry: quick });
    const outside = await talk([calling("added")], { middleware: [supplies, protecting] });
    expect((await outside.begin()).told[0]?.text).toBe("found");
    expect(counted.calls.added).toBe(2);
    counted.plan.added = 3;
    const inside = await talk([calling("added")], { middleware: [protecting, supplies] });
    await expect(inside.begin()).rejects.toThrow("answered 503");
    expect(counted.calls.added).toBe(3);
  });
});

describe("an agent that is stopped", () => {
  it("by its own signal does not wait for the next attempt", async () => {
    const stop = new AbortController();
    const counted = failures({ stock: 9 });
    const { begin } = await talk([calling("stock")], {
      tools: [
        toolNamed("stock", () => {
          setTimeout(() => stop.abort(new Error("enough")));
          counted.pass("stock");
        }),
      ],
      middleware: [withTools({ retry: { initialDelayMs: 60_000 } })],
      signal: stop.signal,
    });
    await expect(begin(), "as an error, and not as a drain").rejects.toMatchObject({
      name: "Error",
      message: "enough",
    });
    expect(counted.calls.stock).toBe(1);
  });

  it("by the run's signal does not wait for the next attempt, and is resumed at the tools", async () => {
    const stop = new AbortController();
    const counted = failures({ stock: 1 });
    const { agent, config } = await talk([calling("stock")], {
      tools: [
        toolNamed("stock", () => {
          setTimeout(() => stop.abort());
          counted.pass("stock");
          return "4 left";
        }),
      ],
      middleware: [withTools({ retry: { initialDelayMs: 60_000 } })],
    });
    await expect(
      agent.invoke({ messages: [new HumanMessage("Go on.")] }, { ...config, signal: stop.signal }),
    ).rejects.toThrow();
    expect(counted.calls.stock).toBe(1);
    const { messages } = (await agent.invoke(null as never, config)) as { messages: { text: string }[] };
    expect(messages.map((one) => one.text)).toContain("4 left");
  });
});

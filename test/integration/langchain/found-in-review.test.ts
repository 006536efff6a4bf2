/** What a review found wrong with the middleware for agents. */
import { createAgent } from "langchain";
import { expect, it, vi } from "vitest";
import { resilienceMiddleware } from "../../../src/entries/langchain.js";
import { resilientModel } from "../../../src/langgraph/model/resilient-model.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { quick } from "../../support/graphs.js";
import { chatOpenAi, providerFor } from "../provider/provider.js";
import { calling, THREAD, toolNamed, turnOf } from "./agents.js";

const GO_ON = { messages: [{ role: "user", content: "Go on." }] };
const config = { configurable: { thread_id: THREAD } };

/** Each turn costs a few tokens of five. */
async function spending(isResilient: boolean) {
  const provider = await providerFor({ answer: turnOf([calling("a"), calling("a"), calling("a"), "Done."]) });
  const plain = chatOpenAi(provider.baseUrl);
  const agent = createAgent({
    model: isResilient ? resilientModel([plain]) : plain,
    tools: [toolNamed("a", () => "ok")],
    checkpointer: openPersistence("memory:").checkpointer,
    middleware: [resilienceMiddleware({ tools: false, budget: { maxTokens: 5 } })],
  });
  return { provider, agent };
}

it.each([false, true])("the budget of an agent holds, also where its model is resilient: %s", async (isResilient) => {
  const { provider, agent } = await spending(isResilient);
  await expect(agent.invoke(GO_ON, config)).rejects.toThrow(/used up: \d+ of 5 tokens/);
  expect(provider.requests).toHaveLength(2);
});

it("a resilient model that is given a budget keeps what it is otherwise", async () => {
  const provider = await providerFor({ script: [{ kind: "status", status: 503, times: 3 }] });
  const model = resilientModel([chatOpenAi(provider.baseUrl)], { retry: { ...quick, maxAttempts: 4 } });
  const middleware = [resilienceMiddleware({ budget: { maxTokens: 1000 }, model: { retry: false } })];
  const checkpointer = openPersistence("memory:").checkpointer;
  await createAgent({ model, tools: [], middleware, checkpointer }).invoke(GO_ON, config);
  expect(provider.requests).toHaveLength(4);
});

it("a fallback that cannot be made is named", async () => {
  const provider = await providerFor();
  const agent = createAgent({
    model: chatOpenAi(provider.baseUrl),
    tools: [],
    middleware: [resilienceMiddleware({ fallbacks: ["anthropc:claude"] })],
  });
  await expect(agent.invoke(GO_ON)).rejects.toThrow(
    /resilienceMiddleware\(\): fallback "anthropc:claude" cannot be made: /,
  );
  expect(provider.requests).toEqual([]);
});

it("a policy for a tool that the agent has not is warned of, once", async () => {
  const warnings = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
  const provider = await providerFor({ answer: turnOf([calling("refund"), "Done."]) });
  const agent = createAgent({
    model: chatOpenAi(provider.baseUrl),
    tools: [toolNamed("refund", () => "ok")],
    middleware: [resilienceMiddleware({ byTool: { refnd: { retry: false }, refund: { retry: false } } })],
  });
  await agent.invoke(GO_ON);
  const said = warnings.mock.calls.map(([message]) => String(message)).filter((message) => message.includes("byTool"));
  warnings.mockRestore();
  expect(said).toEqual([
    'resilienceMiddleware(): "byTool" names "refnd", which is no tool of the agent; it has: refund',
  ]);
});

import { Annotation, START, StateGraph } from "@langchain/langgraph";
import { describe, expect, it } from "vitest";
import { resilient } from "../../../src/langgraph/resilient.js";

const State = Annotation.Root({ value: Annotation<number> });

async function stackOf(run: () => Promise<unknown>): Promise<string> {
  return await run().then(
    () => "",
    (error: Error) => error.stack ?? "",
  );
}

describe("a stack trace", () => {
  it("names the node as the graph does, although its function has no name", async () => {
    const builder = new StateGraph(State).addNode(
      "chargeCard",
      resilient(async () => {
        await null;
        throw new TypeError("boom");
      }),
    );
    const graph = builder.addEdge(START, "chargeCard").compile();
    expect(await stackOf(() => graph.invoke({ value: 1 }))).toMatch(/at (async )?chargeCard \(/);
  });

  it("names a function outside of a graph by its option, and keeps the user's own frames", async () => {
    async function fetchCustomer(): Promise<never> {
      await null;
      throw new TypeError("boom");
    }
    const node = resilient(async () => await fetchCustomer(), { name: "loadCustomer" });
    const stack = await stackOf(() => node({}));
    expect(stack).toMatch(/fetchCustomer[\s\S]*at (async )?loadCustomer \(/);
  });
});

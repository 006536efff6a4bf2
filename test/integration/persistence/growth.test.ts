/** What a turn of a conversation costs, early and late. */
import { AIMessage, HumanMessage } from "@langchain/core/messages";
import { END, MessagesAnnotation, MessagesDeltaValue, START, StateGraph, StateSchema } from "@langchain/langgraph";
import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ResilientPostgresSaver } from "../../../src/persistence/saver.js";
import { createDatabase, describeThoroughlyOnPostgres, type TestDatabase } from "../../support/databases.js";

const states = { plain: MessagesAnnotation, delta: new StateSchema({ messages: MessagesDeltaValue }) };

describeThoroughlyOnPostgres("a conversation of a hundred and fifty turns", () => {
  let database: TestDatabase;
  let client: pg.Client;
  beforeAll(async () => {
    database = await createDatabase();
    client = new pg.Client({ connectionString: database.url });
    await client.connect();
  });
  afterAll(async () => {
    await client.end();
    await database.drop();
  });

  const stored = async (): Promise<number> => {
    const { rows } = await client.query(
      `select (select coalesce(sum(octet_length(type) + octet_length(metadata::text)), 0) from checkpoints)
        + (select coalesce(sum(octet_length(body) + 16 * coalesce(cardinality(links), 0)), 0) from lgr_objects)
        + (select coalesce(sum(octet_length(body) + 16 * coalesce(cardinality(links), 0)), 0) from lgr_writes) as bytes`,
    );
    return Number(rows[0].bytes);
  };

  it.each(["plain", "delta"] as const)(
    "costs in its last turns what it cost in its first: a %s channel",
    {
      timeout: 60_000,
    },
    async (kind) => {
      const saver = ResilientPostgresSaver.fromConnString(database.url);
      await saver.setup();
      const graph = new StateGraph(states[kind] as typeof MessagesAnnotation)
        .addNode("model", ({ messages }) => ({ messages: [new AIMessage(`answer ${messages.length}`)] }))
        .addEdge(START, "model")
        .addEdge("model", END)
        .compile({ checkpointer: saver });
      const config = { configurable: { thread_id: kind } };
      // A snapshot of a delta channel is made every so many steps: as many in each of the windows.
      const bytesOf = async (turns: number) => {
        const before = await stored();
        for (let turn = 0; turn < turns; turn += 1)
          await graph.invoke({ messages: [new HumanMessage(`question ${turn}`)] }, config);
        return (await stored()) - before;
      };
      await bytesOf(50);
      const early = await bytesOf(50);
      const late = await bytesOf(50);
      expect(late / early).toBeLessThan(1.05);
      const { values } = await graph.getState(config);
      expect(values.messages).toHaveLength(300);
      await saver.end();
    },
  );
});

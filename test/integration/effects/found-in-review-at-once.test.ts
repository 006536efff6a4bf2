/** Two that come to an effect at once, of which it must be called by one: where a second call was once made. */
import { START, StateGraph } from "@langchain/langgraph";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Persistence } from "../../../src/core/ports.js";
import { listEffects } from "../../../src/langgraph/effects/ledger-of-thread.js";
import { resilient } from "../../../src/langgraph/resilient.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { createDatabase, describeOnPostgres, type TestDatabase } from "../../support/databases.js";
import {
  failing,
  gate,
  graphOf,
  innerGraph,
  type Node,
  paying,
  quick,
  quiet,
  type S,
  State,
  thread,
} from "./paying-graphs.js";
import { effectOn, newWorld, probeOf, type World } from "./world.js";

/** An effect that says when it has begun, and ends when it may. */
function slowOn(world: World, options: Parameters<typeof effectOn>[1] = {}) {
  const begun = gate();
  const may = gate();
  const charge = effectOn(world, {
    async run({ cents }, { idempotencyKey: key }) {
      world.asked.push({ key, cents });
      begun.open();
      await may.opened;
      world.deeds.push({ key, cents });
      return { id: key, cents };
    },
    ...options,
  });
  return { charge, begun: begun.opened, end: may.open };
}

describe("an effect", () => {
  let persistence: Persistence;
  let world: World;
  beforeEach(() => {
    persistence = openPersistence("memory:");
    world = newWorld();
  });
  afterEach(() => persistence.close());

  describe.each([
    ["a plain node", (node: Node): Node => node],
    ["a decorated node", (node: Node): Node => resilient(node, quick)],
  ])("in %s of a graph whose caller was given up on", (_, decorated) => {
    it.each(["irreversible", "irreversible, with a probe", "idempotent"])(
      "is waited for by the next attempt while its call lasts (%s)",
      async (sort) => {
        const { charge, begun, end } = slowOn(world, {
          kind: sort === "idempotent" ? sort : "irreversible",
          ...(sort.endsWith("a probe") ? { probe: probeOf(world) } : {}),
        });
        let arrived = 0;
        const inner = innerGraph(
          decorated(async (state, config) => {
            arrived += 1;
            const paid = paying(charge)(state, config);
            if (arrived === 2) quiet().then(end);
            return paid;
          }),
        );
        const flaky = failing(1);
        const node: Node = async ({ cents }, config) => {
          const paid = inner.invoke({ cents }, config);
          await Promise.race([paid, begun.then(flaky)]);
          return { done: (await paid).done };
        };
        const { done } = await graphOf(persistence, resilient(node, quick)).invoke({ cents: 5 }, thread);
        expect(done).toHaveLength(1);
        expect(world.asked).toHaveLength(1);
      },
    );

    it("is done once when both attempts come to it at the same time", async () => {
      const both = gate();
      const first = gate();
      const charge = effectOn(world);
      let arrived = 0;
      const inner = innerGraph(
        decorated(async (state, config) => {
          arrived += 1;
          if (arrived === 1) first.open();
          else both.open();
          await both.opened;
          return paying(charge)(state, config);
        }),
      );
      const flaky = failing(1);
      const runs: Promise<S>[] = [];
      const node: Node = async ({ cents }, config) => {
        const paid = inner.invoke({ cents }, config);
        runs.push(paid);
        await Promise.race([paid, first.opened.then(flaky)]);
        return { done: (await paid).done };
      };
      await graphOf(persistence, resilient(node, quick)).invoke({ cents: 5 }, thread);
      await Promise.allSettled(runs);
      expect(runs).toHaveLength(2);
      expect(world.asked).toHaveLength(1);
    });
  });
});

describeOnPostgres("an effect of a thread that two persistences of one process run at once", () => {
  let world: World;
  let database: TestDatabase;
  let both: [Persistence, Persistence];
  beforeEach(async () => {
    world = newWorld();
    database = await createDatabase();
    both = [openPersistence(database.url), openPersistence(database.url)];
  });
  afterEach(async () => {
    for (const one of both) await one.close();
    await database.drop();
  });

  it.each(["with a probe", "without one"])(
    "is called by one of them, and waited for by the other (%s)",
    async (how) => {
      const { charge, begun, end } = slowOn(world, how === "with a probe" ? { probe: probeOf(world) } : {});
      const [one, other] = both;
      /** A second call would have been made by then, had the other gone by the ledger alone. */
      const otherHadTime = async () => {
        for (let looks = 0; looks < 10; looks += 1) await listEffects(other, "t");
      };
      const graphOn = ({ checkpointer }: Persistence) =>
        new StateGraph(State)
          .addNode("start", async () => ({}))
          .addNode("pay", async (state: S, config) => {
            const paid = paying(charge)(state, config);
            if (world.asked.length === 1) otherHadTime().then(end);
            return paid;
          })
          .addEdge(START, "start")
          .addEdge("start", "pay")
          .compile({ checkpointer });
      await graphOn(one).invoke({ cents: 5 }, { ...thread, interruptBefore: ["pay"] });
      const paid = graphOn(one).invoke(null, thread);
      await begun;
      const waited = graphOn(other).invoke(null, thread);
      const ended = { status: "fulfilled", value: { done: [expect.any(String)] } };
      expect(await Promise.allSettled([paid, waited])).toMatchObject([ended, ended]);
      expect(world.asked).toHaveLength(1);
    },
  );
});

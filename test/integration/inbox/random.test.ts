/** Threads that people, programs and branches pull about, by seed. 400 seeds held. */
import { Annotation, Command, END, START, StateGraph } from "@langchain/langgraph";
import { expect, it } from "vitest";
import { resolveInboxItem } from "../../../src/langgraph/inbox/resolve-item.js";
import { sweepInbox } from "../../../src/langgraph/inbox/sweep.js";
import { installRecovery } from "../../../src/langgraph/install-recovery.js";
import { resilient } from "../../../src/langgraph/resilient.js";
import { rollback } from "../../../src/langgraph/rollback/rollback.js";
import { inspectThread } from "../../../src/langgraph/threads/inspect-thread.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { thorough } from "../../support/depth.js";
import { FakeClock } from "../../support/fake-clock.js";
import { once, unavailable } from "../../support/graphs.js";
import { effectOn, newWorld } from "../effects/world.js";
import { minute } from "./world.js";

function random(seed: number) {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
const State = Annotation.Root({
  cents: Annotation<number>(),
  log: Annotation<string[]>({ reducer: (a, b) => a.concat(b), default: () => [] }),
});

it("has pending what its thread asks, whatever people and programs do to the thread", async () => {
  const problems: string[] = [];
  for (let seed = 1; seed <= Number(process.env.SEEDS ?? (thorough ? 40 : 4)); seed += 1) {
    const next = random(seed);
    const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)] as T;
    const persistence = openPersistence("memory:");
    const world = newWorld();
    const charge = effectOn(world, { requireApproval: true, kind: "reversible", compensate: async () => {} } as never);
    const flaky = (name: string) => {
      return resilient(
        async () => {
          if (next() < 0.6) throw unavailable();
          return { log: [name] };
        },
        { ...once, name },
      ) as never;
    };
    const inner = installRecovery(
      new StateGraph(State)
        .addNode("deep", flaky("deep"))
        .addNode("deeper", flaky("deeper"))
        .addEdge(START, "deep")
        .addEdge("deep", "deeper")
        .addEdge("deeper", END),
    ).compile();
    const hasSub = next() < 0.5;
    const builder = new StateGraph(State)
      .addNode("left", flaky("left"))
      .addNode("right", flaky("right"))
      .addNode(
        "pay",
        resilient(
          (async ({ cents }: { cents: number }, config: never) => {
            const a = await charge({ cents: cents ?? 1 }, config);
            if (next() < 0.3) throw unavailable();
            return { log: [a.id] };
          }) as never,
          { ...once, name: "pay" },
        ) as never,
      )
      .addNode("last", flaky("last"))
      .addEdge(START, "left")
      .addEdge(START, "right")
      .addEdge(START, "pay")
      .addEdge("left", "last") as never as StateGraph<never>;
    if (hasSub)
      (builder as never as { addNode(n: string, g: unknown): { addEdge(a: string, b: string): unknown } })
        .addNode("inner", inner)
        .addEdge(START, "inner");
    const graph = installRecovery(builder).compile({ checkpointer: persistence.checkpointer, name: "g" }) as never;
    const asGraph = graph as {
      invoke(...p: unknown[]): Promise<unknown>;
      updateState(...p: unknown[]): Promise<unknown>;
      getStateHistory(c: object): AsyncIterable<{ config: { configurable: { checkpoint_id: string } } }>;
    };
    const trail: string[] = [`sub=${hasSub}`];
    await runThread(graph, { cents: 1 }, { threadId: "t" });
    for (let step = 0; step < 8; step += 1) {
      const { waitingFor, threadId, status } = await inspectThread(graph, "t");
      if (status === "succeeded" || status === "aborted") break;
      const question = waitingFor.length === 0 ? undefined : pick(waitingFor);
      const how = pick([
        "resolve",
        "resolve",
        "resume",
        "plain",
        "plain",
        "update",
        "fork",
        "rollback",
        "reject",
        "escalate",
        "rollbackStep",
      ]);
      const ours = question?.request ?? question?.approval;
      const answer = question?.approval
        ? { action: how === "reject" ? "reject" : "approve", by: "ada" }
        : how === "escalate"
          ? { action: "escalate", to: "c", by: "ada" }
          : how === "rollbackStep"
            ? { action: "rollback", by: "ada", acceptStanding: true }
            : { action: "retry", by: "ada" };
      trail.push(`${how}:${ours?.node}`);
      try {
        if (how === "update") await asGraph.updateState({ configurable: { thread_id: threadId } }, { cents: 2 });
        else if (how === "fork") {
          const all: string[] = [];
          for await (const s of asGraph.getStateHistory({ configurable: { thread_id: threadId } }))
            all.push(s.config.configurable.checkpoint_id);
          await resumeThread(graph, "t", undefined, { from: pick(all) });
        } else if (how === "rollback")
          await rollback(graph, "t", { scope: "process", by: "ada", acceptStanding: true });
        else if (how === "plain")
          await asGraph.invoke(question === undefined ? null : new Command({ resume: { [question.id]: answer } }), {
            configurable: { thread_id: threadId },
          });
        else if (how === "resume" || question === undefined)
          await resumeThread(
            graph,
            "t",
            question === undefined ? undefined : answer,
            question === undefined ? {} : { answerTo: question.id },
          );
        else await resolveInboxItem(graph, ours?.id ?? "", answer as never);
      } catch (error) {
        trail.push(`!${(error as Error).message.slice(0, 80)}`);
      }
      const check = await inspectThread(graph, "t");
      if (check.status !== "succeeded")
        await resumeThread(graph, "t").catch((e: unknown) => trail.push(`resume!${String(e).slice(0, 80)}`));
      await sweepInbox(persistence, { clock: new FakeClock(Date.now() + (step + 1) * 3000 * minute) });
      const stands = await inspectThread(graph, "t");
      const asks = (stands.status === "aborted" ? [] : stands.waitingFor)
        .map((one) => (one.request ?? one.approval)?.id ?? "?")
        .toSorted();
      const items = (await persistence.inbox?.list({ limit: 1000 })) ?? [];
      const pending = items.map(({ id }) => id).toSorted();
      if (JSON.stringify(asks) !== JSON.stringify(pending)) {
        problems.push(
          `seed ${seed} step ${step} [${trail.join(" ")}] status ${stands.status} extra ${items.filter(({ id }) => !asks.includes(id)).map((one) => `${one.node}/${one.kind}/${one.answer?.action}`)} missing ${stands.waitingFor.filter((one) => !pending.includes((one.request ?? one.approval)?.id ?? "")).map(({ node }) => node)}`,
        );
        break;
      }
    }
  }
  expect(problems).toEqual([]);
}, 200_000);

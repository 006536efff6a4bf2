/** Processes that die around an answer, at each durable write. */
import { Annotation, Command, END, Send, START, StateGraph } from "@langchain/langgraph";
import { afterEach, describe, expect, it } from "vitest";
import { type CrashPoint, onCrashPoint } from "../../../src/core/crash-points.js";
import type { Persistence } from "../../../src/core/ports.js";
import { resolveInboxItem } from "../../../src/langgraph/inbox/resolve-item.js";
import { sweepInbox } from "../../../src/langgraph/inbox/sweep.js";
import { installRecovery, type RecoveryOptions } from "../../../src/langgraph/install-recovery.js";
import { resilient } from "../../../src/langgraph/resilient.js";
import { inspectThread } from "../../../src/langgraph/threads/inspect-thread.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { thorough } from "../../support/depth.js";
import { FakeClock } from "../../support/fake-clock.js";
import { once, unavailable } from "../../support/graphs.js";
import { effectOn, newWorld, type World } from "../effects/world.js";
import { minute } from "./world.js";

class Died extends Error {}
function passages() {
  const points: CrashPoint[] = [];
  let at = Number.POSITIVE_INFINITY;
  onCrashPoint((point) => {
    if (point.startsWith("locks.")) return;
    points.push(point);
    if (points.length >= at) throw new Died(point);
  });
  return {
    points,
    dieAt: (n: number) => {
      at = n;
    },
  };
}
afterEach(() => onCrashPoint(undefined));

const State = Annotation.Root({
  cents: Annotation<number>(),
  log: Annotation<string[]>({ reducer: (a, b) => a.concat(b), default: () => [] }),
});
interface Made {
  persistence: Persistence;
  graph: never;
  world: World;
  calls: { n: number };
}

/** Fails at the first call. */
const work = ({ calls }: Pick<Made, "calls">) =>
  resilient(
    async () => {
      calls.n += 1;
      if (calls.n === 1) throw unavailable();
      return { log: ["work"] };
    },
    { ...once, name: "work" },
  ) as never;

function shapes(recovery: RecoveryOptions = {}) {
  const base = () => ({ persistence: openPersistence("memory:"), world: newWorld(), calls: { n: 0 } });
  const compiled = (made: ReturnType<typeof base>, builder: { compile(options: object): unknown }): Made => ({
    ...made,
    graph: builder.compile({ checkpointer: made.persistence.checkpointer, name: "g" }) as never,
  });
  return {
    approval(): Made {
      const made = base();
      const charge = effectOn(made.world, { requireApproval: true });
      const builder = new StateGraph(State)
        .addNode(
          "pay",
          resilient(
            (async ({ cents }: { cents: number }, config: never) => ({
              log: [(await charge({ cents }, config)).id],
            })) as never,
            { ...once, name: "pay" },
          ) as never,
        )
        .addNode("after", async () => ({ log: ["after"] }))
        .addEdge(START, "pay")
        .addEdge("pay", "after")
        .addEdge("after", END);
      return compiled(made, installRecovery(builder, recovery));
    },
    twoApprovals(): Made {
      const made = base();
      const charge = effectOn(made.world, { requireApproval: true });
      const builder = new StateGraph(State)
        .addNode(
          "pay",
          resilient(
            (async ({ cents }: { cents: number }, config: never) => ({
              log: (await Promise.all([charge({ cents }, config), charge({ cents: cents + 1 }, config)])).map(
                ({ id }) => id,
              ),
            })) as never,
            { ...once, name: "pay" },
          ) as never,
        )
        .addEdge(START, "pay")
        .addEdge("pay", END);
      return compiled(made, installRecovery(builder, recovery));
    },
    approvalThenFails(): Made {
      const made = base();
      const charge = effectOn(made.world, { requireApproval: true });
      const builder = new StateGraph(State)
        .addNode(
          "pay",
          resilient(
            (async ({ cents }: { cents: number }, config: never) => {
              const { id } = await charge({ cents }, config);
              made.calls.n += 1;
              if (made.calls.n === 1) throw unavailable();
              return { log: [id] };
            }) as never,
            { ...once, name: "pay" },
          ) as never,
        )
        .addEdge(START, "pay")
        .addEdge("pay", END);
      return compiled(made, installRecovery(builder, recovery));
    },
    subApproval(): Made {
      const made = base();
      const charge = effectOn(made.world, { requireApproval: true });
      const inner = installRecovery(
        new StateGraph(State)
          .addNode(
            "pay",
            resilient(
              (async ({ cents }: { cents: number }, config: never) => ({
                log: [(await charge({ cents }, config)).id],
              })) as never,
              { ...once, name: "pay" },
            ) as never,
          )
          .addEdge(START, "pay")
          .addEdge("pay", END),
        recovery,
      ).compile();
      const graph = new StateGraph(State)
        .addNode("inner", inner)
        .addNode("after", async () => ({ log: ["after"] }))
        .addEdge(START, "inner")
        .addEdge("inner", "after")
        .compile({ checkpointer: made.persistence.checkpointer, name: "g" });
      return { ...made, graph: graph as never };
    },
    failing(): Made {
      const made = base();
      const charge = effectOn(made.world, { kind: "reversible", compensate: async () => {} } as never);
      const builder = new StateGraph(State)
        .addNode(
          "pay",
          resilient(
            (async ({ cents }: { cents: number }, config: never) => ({
              log: [(await charge({ cents }, config)).id],
            })) as never,
            { ...once, name: "pay" },
          ) as never,
        )
        .addNode("work", work(made))
        .addEdge(START, "pay")
        .addEdge("pay", "work")
        .addEdge("work", END);
      return compiled(made, installRecovery(builder, recovery));
    },
    subFailing(): Made {
      const made = base();
      const inner = installRecovery(
        new StateGraph(State).addNode("work", work(made)).addEdge(START, "work").addEdge("work", END),
        recovery,
      ).compile();
      const mid = new StateGraph(State).addNode("mid", inner).addEdge(START, "mid").compile();
      const graph = new StateGraph(State)
        .addNode("inner", mid)
        .addEdge(START, "inner")
        .compile({ checkpointer: made.persistence.checkpointer, name: "g" });
      return { ...made, graph: graph as never };
    },
    workers(): Made {
      const made = base();
      const seen = new Set<number>();
      const builder = new StateGraph(State)
        .addNode("fan", async () => new Command({ goto: [1, 2].map((cents) => new Send("work", { cents })) }), {
          ends: ["work"],
        } as never)
        .addNode(
          "work",
          resilient(
            async ({ cents }: { cents: number }) => {
              if (!seen.has(cents)) {
                seen.add(cents);
                throw unavailable();
              }
              return { log: [`w${cents}`] };
            },
            { ...once, name: "work" },
          ) as never,
        )
        .addEdge(START, "fan")
        .addEdge("work" as never, END);
      return compiled(made, installRecovery(builder, recovery));
    },
  };
}

async function invariant({ persistence, graph }: Made, thread: string) {
  const { waitingFor, status } = await inspectThread(graph, thread);
  const asks = status === "aborted" ? [] : waitingFor.map((one) => (one.request ?? one.approval)?.id ?? "").toSorted();
  const pending = ((await persistence.inbox?.list()) ?? []).map(({ id }) => id).toSorted();
  return { asks, pending };
}

async function audits({ persistence }: Made) {
  const entries = (await persistence.audit?.list({ what: "inbox", limit: 1000 } as never)) ?? [];
  const per = new Map<string, string[]>();
  for (const { what, details } of entries.toReversed()) {
    const id = String((details as { item?: string }).item);
    per.set(id, [...(per.get(id) ?? []), what.slice(6)]);
  }
  return per;
}

type Scenario = [keyof ReturnType<typeof shapes>, object];
const some: Scenario[] = [["subFailing", { action: "escalate", to: "carol", by: "ada" }]];
const others: Scenario[] = [
  ["approvalThenFails", { action: "approve", by: "ada" }],
  ["twoApprovals", { action: "reject", by: "ada" }],
  ["failing", { action: "escalate", to: "carol", by: "ada" }],
  ["subApproval", { action: "approve", by: "ada" }],
  ["subFailing", { action: "abort", by: "ada" }],
  ["workers", { action: "abort", by: "ada" }],
];
const scenarios = thorough ? [...some, ...others] : some;

describe.each(thorough ? [["resolve"], ["plain"], ["expiry"]] : [["resolve"]])(
  "a process that dies around an answer, %s",
  (way) => {
    it.each(scenarios)(
      "%s %j",
      async (shape, answer) => {
        const recovery: RecoveryOptions = {};
        const act = async (made: Made, thread: string) => {
          const [item] = (await made.persistence.inbox?.list()) ?? [];
          if (item === undefined) throw new Error("nothing asked");
          if (way === "resolve") return resolveInboxItem(made.graph, item.id, answer as never);
          if (way === "plain") {
            const { waitingFor, threadId } = await inspectThread(made.graph, thread);
            const q = waitingFor.find((one) => (one.request ?? one.approval)?.id === item.id);
            return (made.graph as { invoke(...p: unknown[]): Promise<unknown> }).invoke(
              new Command({ resume: { [q?.id ?? ""]: answer } }),
              { configurable: { thread_id: threadId } },
            );
          }
          if ((answer as { action: string }).action === "escalate")
            return resolveInboxItem(made.graph, item.id, answer as never);
          const stored = await made.persistence.inbox?.get(item.id);
          await made.persistence.inbox?.change(
            {
              ...item,
              dueAt: 1,
              sweepAt: 1,
              plan: { levels: [{ to: [], deadlineMs: 1000 }], onExpiry: answer as never },
            },
            stored?.version ?? 0,
          );
          return sweepInbox(made.persistence, { graphs: { g: made.graph } });
        };
        const whole = shapes(recovery)[shape]();
        await runThread(whole.graph, { cents: 1 }, { threadId: "t" });
        const { points } = passages();
        await act(whole, "t").catch(() => {});
        onCrashPoint(undefined);
        const problems: string[] = [];
        for (let n = 0; n <= points.length; n += 1) {
          const made = shapes(recovery)[shape]();
          await runThread(made.graph, { cents: 1 }, { threadId: "t" });
          const dying = passages();
          if (n > 0) dying.dieAt(n);
          await act(made, "t").catch(() => {});
          onCrashPoint(undefined);
          const afterSweeps: unknown[] = [];
          // Sweeps alone, without anybody who resumes.
          for (const at of [8, 16])
            await sweepInbox(made.persistence, { graphs: {}, clock: new FakeClock(Date.now() + at * minute) });
          const swept = await inspectThread(made.graph, "t");
          const stuck = (await made.persistence.inbox?.list()) ?? [];
          afterSweeps.push(
            ...stuck
              .filter(
                ({ answer: given, id }) =>
                  given !== undefined && !swept.waitingFor.some((one) => (one.request ?? one.approval)?.id === id),
              )
              .map(({ id }) => `limbo ${id}`),
          );
          if (way === "expiry")
            await sweepInbox(made.persistence, {
              graphs: { g: made.graph },
              clock: new FakeClock(Date.now() + 30 * minute),
            });
          await resumeThread(made.graph, "t").catch(() => {});
          await resumeThread(made.graph, "t").catch(() => {});
          const { asks, pending } = await invariant(made, "t");
          const label = `${n}: ${points[n - 1]}`;
          if (JSON.stringify(asks) !== JSON.stringify(pending))
            problems.push(`${label}: asks ${asks} pending ${pending}`);
          if (afterSweeps.length > 0) problems.push(`${label}: ${afterSweeps.join()}`);
          for (const [id, whats] of await audits(made)) {
            const ends = whats.filter((what) => /^(resolved|expired|withdrawn)$/.test(what)).length;
            const opens = whats.filter((what) => /^(opened|reopened)$/.test(what)).length;
            const open = pending.includes(id) ? 1 : 0;
            if (whats.filter((what) => what === "opened").length !== 1)
              problems.push(`${label}: opened twice ${whats}`);
            if (opens < ends + open) problems.push(`${label}: audit ${whats.join(" ")}`);
            if (ends > 1) problems.push(`${label}: ended ${ends} times ${whats.join(" ")}`);
          }
          const deeds = new Set(made.world.deeds.map(({ key }) => key)).size;
          if (made.world.deeds.length !== deeds) problems.push(`${label}: deeds ${made.world.deeds.length}`);
        }
        expect(problems).toEqual([]);
      },
      60_000,
    );
  },
);

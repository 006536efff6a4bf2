/** Graphs that ask people, and sweeps at times of the test's choosing. */
import { END, START, StateGraph } from "@langchain/langgraph";
import type { InboxItem } from "../../../src/core/inbox-ports.js";
import type { Channel, Notice } from "../../../src/core/notice-ports.js";
import type { Persistence } from "../../../src/core/ports.js";
import { sweepInbox } from "../../../src/langgraph/inbox/sweep.js";
import { installRecovery, type RecoveryOptions } from "../../../src/langgraph/install-recovery.js";
import { resilient } from "../../../src/langgraph/resilient.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { FakeClock } from "../../support/fake-clock.js";
import { LogState, once, unavailable } from "../../support/graphs.js";

export const minute = 60_000;

/** A graph whose node fails as often as told, and what it needs to be swept. */
export function office(recovery: RecoveryOptions = {}, persistence: Persistence = openPersistence("memory:")) {
  const world = { failures: Number.POSITIVE_INFINITY, calls: 0 };
  const builder = new StateGraph(LogState)
    .addNode(
      "work",
      resilient(async () => {
        world.calls += 1;
        if (world.calls <= world.failures) throw unavailable();
        return { log: ["work"] };
      }, once),
    )
    .addEdge(START, "work")
    .addEdge("work", END);
  const graph = installRecovery(builder, recovery).compile({ checkpointer: persistence.checkpointer, name: "office" });
  return {
    world,
    persistence,
    graph,
    /** A sweep of a process whose clock is so far ahead. */
    sweep: (aheadMs: number, channels: readonly Channel[] = []) =>
      sweepInbox(persistence, { graphs: { office: graph }, channels, clock: new FakeClock(Date.now() + aheadMs) }),
    items: async (): Promise<readonly InboxItem[]> => (await persistence.inbox?.list({ state: "all" })) ?? [],
    only: async (): Promise<InboxItem> => {
      const [item, ...others] = (await persistence.inbox?.list({ state: "all" })) ?? [];
      if (item === undefined || others.length > 0) throw new Error(`There are ${others.length + 1} items, not one`);
      return item;
    },
    /** What the audit log says of the inbox, oldest first. */
    audited: async (): Promise<readonly string[]> =>
      ((await persistence.audit?.list({ what: "inbox" })) ?? []).map(({ what }) => what).toReversed(),
  };
}

/** A channel that keeps what it is handed, or fails as often as told. */
export function listener(name = "listener", fields: Partial<Channel> & { failures?: number } = {}) {
  const { failures = 0, ...own } = fields;
  const notices: Notice[] = [];
  let tries = 0;
  const channel: Channel = {
    name,
    async send(notice) {
      tries += 1;
      if (tries <= failures) throw new Error("mailbox full");
      notices.push(notice);
    },
    ...own,
  };
  return { channel, notices, events: () => notices.map(({ event }) => event), tries: () => tries };
}

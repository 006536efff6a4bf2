/** What a process does that runs a shipped graph, or goes on with it. */
import { type GraphLike, listEffects, openPersistence, rollback, runThread } from "langgraph-resilience";

/**
 * Runs it to its end; where ROLL_BACK_BEFORE names a node, takes it back to before that once, and runs it to its end again.
 *
 * @throws Error where it does not succeed
 */
export async function runGraph(name: string, builder: { compile(options: object): GraphLike }): Promise<void> {
  const { DATABASE, THREAD = "", INPUT = "{}", ROLL_BACK_BEFORE } = process.env;
  const persistence = openPersistence(DATABASE, { strict: true });
  await persistence.ready();
  const graph = builder.compile({ checkpointer: persistence.checkpointer, store: persistence.store, name });
  const run = () => runThread(graph, JSON.parse(INPUT), { threadId: THREAD });
  if (ROLL_BACK_BEFORE !== undefined) {
    const isAmidRollback = await run().then(
      () => false,
      (error: { code?: unknown }) => {
        if (error.code !== "THREAD_NOT_RESUMABLE") throw error;
        return true;
      },
    );
    if (isAmidRollback) await rollback(graph, THREAD);
    else if ((await listEffects(graph, THREAD)).every(({ state }) => state !== "compensated"))
      await rollback(graph, THREAD, { to: { before: ROLL_BACK_BEFORE } });
  }
  const { status, error } = await run();
  await persistence.close();
  if (status !== "succeeded") throw new Error(`It ended ${status}`, { cause: error });
}

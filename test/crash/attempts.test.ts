/** A process killed in the middle of a step's attempts: whoever takes the thread over goes on counting. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { openPersistence, type Persistence, type RunResult, resumeThread, threadIdOf } from "langgraph-resilience";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  createDatabase,
  createFolder,
  describeOnPostgres,
  embeddedAt,
  hasPostgres,
  type TestDatabase,
  type TestFolder,
} from "../support/databases.js";
import { full, thorough } from "../support/depth.js";
import { toRun } from "../support/start-script.js";
import { begunIn, builderOf, type GraphName } from "./attempts.js";

const child = toRun(new URL("attempts.child.ts", import.meta.url));

/** A thread of a graph, in one process after the other. */
interface Thread {
  readonly id: string;
  readonly graph: GraphName;
  readonly journal: string;
}

function countsOn(urlOf: () => string, { sample = false } = {}) {
  const itInFull = sample ? it.skip : it;
  /** What takes many processes, or shows the same at one more place. */
  const itDeep = full || !hasPostgres ? it : it.skip;
  let folder: TestFolder;
  beforeAll(() => {
    folder = createFolder();
  });
  afterAll(() => folder.remove());

  let threads = 0;
  const newThread = (graph: GraphName): Thread => {
    threads += 1;
    return { id: `thread-${threads}`, graph, journal: join(folder.path, `journal-${threads}`) };
  };

  /** @returns what the child printed */
  async function inChild({ id, journal, graph }: Thread, action: "run" | "resume", place: string): Promise<string> {
    const process_ = spawn(process.execPath, [...child, urlOf(), id, journal, graph, place, action], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [output, [, signal]] = await Promise.all([text(process_.stdout), once(process_, "exit")]);
    expect(signal, `killed at ${place} (${action}): ${output}`).toBe(place === "" ? null : "SIGKILL");
    return output;
  }

  async function inThisProcess<T>(
    { graph, journal }: Thread,
    work: (graph: ReturnType<ReturnType<typeof builderOf>["compile"]>, persistence: Persistence) => Promise<T>,
  ): Promise<T> {
    const persistence = openPersistence(urlOf());
    try {
      const { checkpointer } = persistence;
      return await work(builderOf(graph, { journal }).compile({ checkpointer, name: "attempts" }), persistence);
    } finally {
      await persistence.close();
    }
  }
  const resumed = (thread: Thread) => inThisProcess(thread, (graph) => resumeThread(graph, thread.id));

  itInFull("a success reads and writes no attempts", async () => {
    const output = await inChild(newThread("succeeds"), "run", "");
    expect(output).toContain("node.attempt.after 1");
    expect(output).not.toContain("attempts.");
  });

  it("killed during attempt 3 of 4, one attempt is left", async () => {
    const thread = newThread("alone");
    await inChild(thread, "run", "node 3");
    const stopped = await resumed(thread);
    expect(begunIn(thread.journal)).toEqual(["node 1", "node 2", "node 3", "node 4"]);
    expect(attemptsIn(stopped)).toEqual([
      "node 1 server_error",
      "node 2 server_error",
      "node 3 PROCESS_DIED",
      "node 4 server_error",
    ]);
  });

  itInFull("killed during attempt 3 of 4, one is left to a plain invoke as well", async () => {
    const thread = newThread("alone");
    await inChild(thread, "run", "node 3");
    const asked = await inThisProcess(thread, async (graph) => {
      const config = { configurable: { thread_id: threadIdOf(thread.id) } };
      await graph.invoke(null, config);
      return (await graph.getState(config)).tasks.flatMap((task) => task.interrupts);
    });
    expect(begunIn(thread.journal)).toEqual(["node 1", "node 2", "node 3", "node 4"]);
    expect(asked).toMatchObject([{ value: { attempts: [{}, {}, { report: { code: "PROCESS_DIED" } }, {}] } }]);
  });

  itDeep("killed in the wait before attempt 3, that one counts as made", async () => {
    const thread = newThread("alone");
    await inChild(thread, "run", "attempts.append.after 2");
    const stopped = await resumed(thread);
    expect(begunIn(thread.journal)).toEqual(["node 1", "node 2", "node 4"]);
    expect(attemptsIn(stopped)).toHaveLength(4);
  });

  itInFull("killed in attempt 1, when nothing is written of it, the takeover counts it", async () => {
    const thread = newThread("alone");
    await inChild(thread, "run", "node 1");
    const stopped = await resumed(thread);
    expect(begunIn(thread.journal)).toEqual(["node 1", "node 2", "node 3", "node 4"]);
    expect(attemptsIn(stopped)[0]).toBe("node 1 PROCESS_DIED");
  });

  itDeep(
    "a node that kills its process each time reaches the person after as many processes as it has attempts",
    async () => {
      const thread = newThread("alone");
      await inChild(thread, "run", "node 1");
      for (const place of ["node 2", "node 3", "node 4"]) await inChild(thread, "resume", place);
      const stopped = await resumed(thread);
      expect(begunIn(thread.journal)).toEqual(["node 1", "node 2", "node 3", "node 4"]);
      expect(attemptsIn(stopped)).toEqual([1, 2, 3, 4].map((number) => `node ${number} PROCESS_DIED`));
      expect(stopped.waitingFor[0]?.request?.failure).toMatchObject({ code: "ATTEMPTS_USED_UP" });
    },
  );

  const places = [
    "attempts.append.after 4",
    "checkpoint.writes.after 3",
    "attempts.mark.after 1",
    "checkpoint.writes.before 3",
    "checkpoint.writes.before 4",
    "checkpoint.writes.after 4",
    "checkpoint.put.after 4",
  ];
  itInFull.each(full ? places : places.slice(0, 2))(
    "killed at %s, after the last attempt, the person is asked without another one",
    async (place) => {
      const thread = newThread("alone");
      await inChild(thread, "run", place);
      const stopped = await resumed(thread);
      expect(begunIn(thread.journal)).toEqual(["node 1", "node 2", "node 3", "node 4"]);
      expect(attemptsIn(stopped)).toEqual([1, 2, 3, 4].map((number) => `node ${number} server_error`));
    },
  );

  itInFull(
    "killed while a fallback is at it, the node is not tried again and the fallback goes on counting",
    async () => {
      const thread = newThread("withFallback");
      await inChild(thread, "run", "other 2");
      const stopped = await resumed(thread);
      expect(begunIn(thread.journal)).toEqual(["node 1", "node 2", "other 1", "other 2", "other 3"]);
      expect(attemptsIn(stopped)).toEqual([
        "node 1 server_error",
        "node 2 server_error",
        "other 1 server_error",
        "other 2 PROCESS_DIED",
        "other 3 server_error",
      ]);
    },
  );

  itDeep("killed in the node's last attempt, the fallback has all of its own", async () => {
    const thread = newThread("withFallback");
    await inChild(thread, "run", "node 2");
    const stopped = await resumed(thread);
    expect(begunIn(thread.journal)).toEqual(["node 1", "node 2", "other 1", "other 2", "other 3"]);
    expect(attemptsIn(stopped)).toEqual([
      "node 1 server_error",
      "node 2 PROCESS_DIED",
      "other 1 server_error",
      "other 2 server_error",
      "other 3 server_error",
    ]);
  });
}

/** The attempts that the person is shown: which, and what became of it. */
function attemptsIn({ status, waitingFor }: RunResult): string[] {
  expect(status).toBe("waiting_human");
  const attempts = waitingFor[0]?.request?.attempts ?? [];
  return attempts.map(({ step, number, report }) => `${step} ${number} ${report.code ?? report.category}`);
}

// PostgreSQL shows everything; the other shows what is its own, that it is durable.
describe.runIf(thorough || !hasPostgres)("attempts on an embedded Postgres", () => {
  const embedded = createFolder();
  beforeAll(() => void embeddedAt(join(embedded.path, "data")));
  afterAll(() => embedded.remove());
  countsOn(() => `pglite:${join(embedded.path, "data")}`, { sample: hasPostgres });
});

describeOnPostgres("attempts on PostgreSQL", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase();
  });
  afterAll(() => database.drop());
  countsOn(() => database.url);
});

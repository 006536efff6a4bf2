/** The server behind LangGraph Studio, on our persistence, driven by the official SDK client. */
import type { ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { Client } from "@langchain/langgraph-sdk";
import { threadIdOf } from "langgraph-resilience";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  createDatabase,
  createFolder,
  describeThoroughlyOnPostgres,
  embeddedAt,
  type TestDatabase,
} from "../support/databases.js";
import { thorough } from "../support/depth.js";
import { runLgr, startLgr, startNpmRun, TINY, TINY_IN_CLONE, untilPrinted } from "../support/run-lgr.js";

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

/** Whether anything still listens there. */
async function answers(url: string): Promise<boolean> {
  return await fetch(`${url}/ok`).then(
    () => true,
    () => false,
  );
}

async function untilAnswers(url: string): Promise<void> {
  for (let tries = 0; !(await answers(url)); tries += 1) {
    if (tries === 200) throw new Error(`nothing answers at ${url}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

interface DevServer {
  readonly url: string;
  readonly client: Client;
  stop(): Promise<number | null>;
}

async function startDev(db: string): Promise<DevServer> {
  const port = await freePort();
  const child: ChildProcess = startLgr(["--config", TINY, "--db", db, "dev", "--port", String(port)]);
  const exit = once(child, "exit");
  await untilPrinted(child, /Server running at|Registering graph|Starting \d+ workers/);
  const url = `http://127.0.0.1:${port}`;
  await untilAnswers(url);
  return {
    url,
    client: new Client({ apiUrl: url }),
    stop: async () => {
      child.kill("SIGTERM");
      return (await exit)[0] as number | null;
    },
  };
}

/** Makes a step fail for this run; the server keeps a run's configurable with the thread, so the next one clears it. */
const failing = (node: string) => ({ configurable: { __lgr_faults: { [node]: "server_error" } } });
const mended = { configurable: { __lgr_faults: {} } };

function studio(
  dbOf: () => string,
  whileItRuns: (lgr: (...parameters: string[]) => ReturnType<typeof runLgr>, thread: string) => Promise<void>,
): void {
  const lgr = (...parameters: string[]) => runLgr(["--config", TINY, "--db", dbOf(), ...parameters]);
  // A name of its own: the server keeps threads in the project's folder from one run of the tests to the next.
  const NAME = `from-lgr-${randomUUID()}`;
  let server: DevServer;
  let threadId: string;

  beforeAll(async () => {
    expect((await lgr("run", "tiny", "--thread", NAME, "--input", '{"text":"x"}', "--fail", "sign")).code).toBe(3);
    server = await startDev(dbOf());
  });
  afterAll(async () => {
    await server?.stop();
  });

  it("draws the edges to the human node and none of the machinery", async () => {
    const [assistant] = await server.client.assistants.search();
    const drawn = await server.client.assistants.getGraph(assistant?.assistant_id ?? "");
    expect(drawn.nodes.map((node) => node.id)).toEqual([
      "__start__",
      "double",
      "sign",
      "file",
      "humanIntervention",
      "__end__",
    ]);
    for (const node of ["double", "sign", "file"]) {
      expect(drawn.edges).toContainEqual(
        expect.objectContaining({ source: node, target: "humanIntervention", conditional: true }),
      );
      expect(drawn.edges).toContainEqual(
        expect.objectContaining({ source: "humanIntervention", target: node, conditional: true }),
      );
    }
  });

  it("creates a thread, runs it to the interrupt and resumes it with a command", async () => {
    threadId = (await server.client.threads.create()).thread_id;
    const stopped = (await server.client.runs.wait(threadId, "tiny", {
      input: { text: "ab" },
      config: failing("sign"),
    })) as Record<string, unknown>;
    expect(stopped.__interrupt__).toMatchObject([
      { value: { kind: "intervention", node: "sign", resumeCommand: expect.stringContaining(threadId) } },
    ]);
    const state = await server.client.threads.getState(threadId);
    expect(state.next).toEqual(["humanIntervention"]);
    const done = await server.client.runs.wait(threadId, "tiny", {
      command: { resume: { action: "retry", by: "studio" } },
      config: mended,
    });
    expect(done).toMatchObject({ doubled: "abab", filed: "abab by nobody, filed" });
  });

  it("shows the history and forks from an older checkpoint, with that checkpoint's values", async () => {
    const history = await server.client.threads.getHistory<{ signed?: string }>(threadId);
    const beforeSign = history.find((one) => one.next.includes("sign") && one.values.signed === undefined);
    const forked = await server.client.threads.updateState(threadId, {
      checkpointId: String(beforeSign?.checkpoint.checkpoint_id),
      values: { doubled: "changed" },
      asNode: "double",
    });
    expect(forked).toBeDefined();
    const done = await server.client.runs.wait(threadId, "tiny", { input: null, config: mended });
    expect(done).toMatchObject({ signed: "changed by nobody" });
    const old = await server.client.threads.getState<{ doubled?: string }>(
      threadId,
      String(beforeSign?.checkpoint.checkpoint_id),
    );
    expect(old.values.doubled).toBe("abab");
  });

  it("knows a thread begun by lgr once it is registered, and answers its question", async () => {
    const id = threadIdOf(NAME);
    await server.client.threads.create({ threadId: id, graphId: "tiny" });
    const state = await server.client.threads.getState<{ doubled?: string }>(id);
    expect(state.values.doubled).toBe("xx");
    expect(state.next).toEqual(["humanIntervention"]);
    const done = await server.client.runs.wait(id, "tiny", {
      command: { resume: { action: "fallback" } },
      config: mended,
    });
    expect(done).toMatchObject({ signed: "unsigned" });
  });

  describe("takes the answers of people:", () => {
    const asked = async (): Promise<string> => {
      const { thread_id: id } = await server.client.threads.create();
      await server.client.runs.wait(id, "tiny", { input: { text: "ab" }, config: failing("sign") });
      return id;
    };
    const answer = (id: string, resume: unknown): Promise<unknown> =>
      server.client.runs.wait(id, "tiny", { command: { resume }, config: mended, raiseError: false });

    const some = [
      [{ action: "adjust", state: { doubled: "changed" } }, { signed: "changed by nobody" }],
      [{ action: "provide", result: { signed: "by hand" } }, { signed: "by hand" }],
      [{ action: "rollback" }, { signed: "abab by nobody" }],
      [[{ type: "accept", args: null }], { signed: "abab by nobody" }],
    ] as const;
    const others = [
      [{ action: "retry" }, { signed: "abab by nobody" }],
      [{ action: "fallback", step: "unsigned" }, { signed: "unsigned" }],
      [[{ type: "response", args: "fallback unsigned: not today" }], { signed: "unsigned" }],
      [{ decisions: [{ type: "approve" }] }, { signed: "abab by nobody" }],
    ] as const;
    it.each([...some, ...(thorough ? others : [])])("%j", async (given, values) => {
      expect(await answer(await asked(), given)).toMatchObject(values);
    });

    it("escalate, to somebody who then aborts", async () => {
      const id = await asked();
      const handedOn = await answer(id, { action: "escalate", to: "lead", by: "ann" });
      expect(handedOn).toMatchObject({
        __interrupt__: [{ value: { decisions: [{ action: "escalate", to: "lead" }] } }],
      });
      await answer(id, { action: "abort", by: "lead", reason: "not today" });
      expect((await server.client.threads.get(id)).status).toBe("error");
      expect((await server.client.threads.getState(id)).values).not.toHaveProperty("filed");
    });

    it("one that does not fit is refused, and the next counts", async () => {
      const id = await asked();
      await answer(id, { action: "dance" });
      const state = await server.client.threads.getState(id);
      expect(state.tasks[0]?.interrupts).toHaveLength(1);
      expect(await answer(id, { action: "retry" })).toMatchObject({ signed: "abab by nobody" });
    });
  });

  it("lets other processes at the threads as the database allows", async () => {
    await whileItRuns(lgr, NAME);
  });

  it("stops without leaving a process behind; what was run there is in lgr", async () => {
    expect(await server.stop()).toBe(0);
    expect(await answers(server.url)).toBe(false);
    const threads = (await lgr("--json", "threads")).objects();
    expect(threads).toContainEqual(expect.objectContaining({ threadId, graph: "tiny", status: "succeeded" }));
    expect(threads).toContainEqual(expect.objectContaining({ name: NAME, status: "succeeded" }));
    expect((await lgr("--json", "history", threadId)).objects().length).toBeGreaterThan(4);
  });
}

describe("the development server on the embedded Postgres", () => {
  const folder = createFolder();
  afterAll(() => folder.remove());
  const db = embeddedAt(join(folder.path, "data"));
  studio(
    () => db,
    async (lgr) => {
      const refused = await lgr("threads");
      expect(refused.code).toBe(6);
      expect(refused.stderr).toMatch(/in use by process \d+/);
    },
  );
});

describeThoroughlyOnPostgres("the development server on PostgreSQL", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase();
  });
  afterAll(() => database.drop());
  studio(
    () => database.url,
    async (lgr, thread) => {
      const [newest] = (await lgr("--json", "threads")).objects();
      expect(newest).toMatchObject({ name: thread, status: "succeeded" });
    },
  );
});

describe("npm run dev", () => {
  it("leaves no server behind when npm is told to stop", async () => {
    const port = await freePort();
    const npm = startNpmRun("dev", ["--config", TINY_IN_CLONE, "--db", "memory:", "--port", String(port)]);
    const url = `http://127.0.0.1:${port}`;
    await untilPrinted(npm, /Server running at|Registering graph|Starting \d+ workers/);
    await untilAnswers(url);
    npm.kill("SIGTERM");
    for (let tries = 0; await answers(url); tries += 1) {
      expect(tries, "the server still answers").toBeLessThan(300);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  });
});

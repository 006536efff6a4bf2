/** `lgr effects`, in this process. */
import { userInfo } from "node:os";
import { Annotation, START, StateGraph } from "@langchain/langgraph";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { z } from "zod";
import { type EffectsFlags, effects } from "../../../src/cli/actions/effects.js";
import { EXIT, exitCodeOf } from "../../../src/cli/exit-codes.js";
import type { EffectLedger, StoredEffect } from "../../../src/core/effect-ports.js";
import type { Persistence } from "../../../src/core/ports.js";
import { type ProcessIdentity, processIdentity } from "../../../src/core/process-identity.js";
import { threadIdOf } from "../../../src/core/thread-id.js";
import { defineEffect } from "../../../src/langgraph/effects/define-effect.js";
import { listEffects } from "../../../src/langgraph/effects/ledger-of-thread.js";
import { installRecovery } from "../../../src/langgraph/install-recovery.js";
import { resilient } from "../../../src/langgraph/resilient.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { createDatabase, describeOnPostgres, type TestDatabase } from "../../support/databases.js";
import { TINY_IN_CLONE } from "../../support/run-lgr.js";
import { effectOn, newWorld, type World } from "./world.js";

const State = Annotation.Root({ cents: Annotation<number>(), paid: Annotation<string>() });
type S = typeof State.State;

describeOnPostgres("lgr effects", () => {
  let database: TestDatabase;
  let persistence: Persistence;
  let world: World;
  beforeAll(async () => {
    database = await createDatabase();
    persistence = openPersistence(database.url);
  });
  beforeEach(() => {
    world = newWorld();
  });
  afterEach(() => void vi.restoreAllMocks());
  afterAll(async () => {
    await persistence.close();
    await database.drop();
  });

  const lgr = async (thread: string, flags: EffectsFlags = {}, json = false): Promise<string> => {
    let text = "";
    vi.spyOn(process.stdout, "write").mockImplementation((chunk) => {
      text += String(chunk);
      return true;
    });
    try {
      await effects(thread, flags, { config: TINY_IN_CLONE, db: database.url, json });
    } finally {
      vi.restoreAllMocks();
    }
    return text;
  };
  const refusal = (thread: string, flags: EffectsFlags) =>
    lgr(thread, flags).then(
      () => undefined,
      (error: Error) => ({ message: error.message, exit: exitCodeOf(error) }),
    );

  const mail = defineEffect({
    name: "mail",
    kind: "irreversible",
    input: z.object({}),
    output: z.object({ id: z.string(), apiToken: z.string() }),
    run: () => ({ id: "m-1", apiToken: "s3cret" }),
  });
  /** No langgraph.json names it: it mails, then charges. */
  const shop = () => {
    const charge = effectOn(world);
    const builder = new StateGraph(State)
      .addNode(
        "pay",
        resilient(async ({ cents }: S, config) => {
          await mail({}, config);
          return { paid: (await charge({ cents }, config)).id };
        }),
      )
      .addEdge(START, "pay");
    installRecovery(builder);
    return builder.compile({ checkpointer: persistence.checkpointer });
  };
  const keyOf = (listing: string, effect: string) =>
    new RegExp(` ${effect} +pay +([0-9a-f]{12}) `).exec(listing)?.[1] ?? "no such line";

  it("shows what was done and how to settle what is not known; then the thread goes on", async () => {
    const graph = shop();
    world.script.push("reset after");
    const asked = await runThread(graph, { cents: 5 }, { threadId: "order 17" });
    expect(asked.status).toBe("waiting_human");
    expect(asked.waitingFor[0]?.request).toMatchObject({
      effects: [
        { effect: "mail", state: "confirmed", node: "pay", receipt: { id: "m-1", apiToken: "[redacted]" } },
        { effect: "charge", state: "unknown", node: "pay" },
      ],
      suggestion: { action: "retry", reason: expect.stringContaining("npx lgr effects 'order 17' --settle ") },
    });
    const listing = await lgr("order 17");
    const key = keyOf(listing, "charge");
    const [, mailed, charged] = listing.split("\n");
    expect(mailed).toMatch(/^confirmed +mail +pay +[0-9a-f]{12} +1 +20.+Z +{"id":"m-1","apiToken":"\[redacted\]"}$/);
    expect(charged).toMatch(/^unknown +charge +pay +[0-9a-f]{12} +1 +20.+Z +socket hang up$/);
    expect(listing).toContain('It is not known whether effect "charge" happened.');
    expect(listing).toMatch(new RegExp(`^ {2}(npx )?lgr effects 'order 17' --settle ${key} --did-not-happen$`, "m"));

    const happened = '{"id":"ch_1","cents":5}';
    const said = await lgr("order 17", { settle: key, happened, as: "ada", reason: "in the books" });
    expect(said).toContain(`Effect "charge" (${key}) is confirmed: it happened, says ada.`);
    expect(said).toMatch(/lgr resume 'order 17' --action retry\n$/);
    expect((await resumeThread(graph, "order 17", { action: "retry" })).values.paid).toBe("ch_1");
    expect(world.asked).toHaveLength(1);
    const after = await lgr("order 17");
    expect(after).toMatch(/^confirmed +charge .* says ada: {"id":"ch_1","cents":5}$/m);
    expect(after).not.toContain("--settle");
  });

  it("gives machines each entry whole, without secrets, and says whose branch it is of", async () => {
    const graph = shop();
    await runThread(graph, { cents: 7 }, { threadId: "forked" });
    let before: string | undefined;
    for await (const { next, config } of graph.getStateHistory({ configurable: { thread_id: threadIdOf("forked") } }))
      if (next.includes("pay")) before = config.configurable?.checkpoint_id;
    await resumeThread(graph, "forked", undefined, { from: String(before) });
    const entries = (await lgr("forked", {}, true))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(entries.map(({ type, effect, state }) => [type, effect, state])).toEqual([
      ["effect", "mail", "confirmed"],
      ["effect", "charge", "confirmed"],
      ["effect", "mail", "confirmed"],
      ["effect", "charge", "confirmed"],
    ]);
    expect(entries[0]).toMatchObject({
      kind: "irreversible",
      calls: 1,
      receipt: { id: "m-1", apiToken: "[redacted]" },
    });
    expect(entries[3]).toMatchObject({ input: { cents: 7 }, origin: { key: entries[1].key, epoch: 0 } });
    expect(await lgr("forked")).toContain(`of branch ${entries[1].key.slice(0, 12)}: {"id":"receipt of`);
  });

  it("leaves a call to the process that makes it, and asks a person once that has died", async () => {
    await runThread(shop(), { cents: 5 }, { threadId: "in flight" });
    const [, charged] = await listEffects(persistence, "in flight");
    const { seq: _, receipt: __, ...like } = charged as StoredEffect;
    const under = async (key: string, identity: ProcessIdentity) => {
      const caller = { process: JSON.stringify(identity), until: Date.now() + 60_000 };
      await persistence.ledger?.move({ ...like, key, state: "dispatched", caller, change: key }, []);
    };
    await under("alive", processIdentity());
    expect(await lgr("in flight")).not.toContain("--settle");
    expect(await refusal("in flight", { settle: "alive", didNotHappen: true })).toMatchObject({
      message: expect.stringContaining("a process is doing it right now"),
    });
    await under("dead", { ...processIdentity(), startedAt: "before" });
    expect(await lgr("in flight")).toMatch(/--settle dead --did-not-happen$/m);
    expect(await lgr("in flight", { settle: "dead", happened: true })).toContain("is confirmed");
  });

  it("is no condition for asking a person: without a ledger to read, the question is put without effects", async () => {
    const graph = shop();
    world.script.push("reset after");
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
    vi.spyOn(persistence.ledger as EffectLedger, "list").mockRejectedValueOnce(new Error("connection lost"));
    const { status, waitingFor } = await runThread(graph, { cents: 5 }, { threadId: "blind" });
    expect(status).toBe("waiting_human");
    expect(waitingFor[0]?.request).not.toHaveProperty("effects");
    expect(warned.mock.calls.map(([text]) => String(text))).toEqual([expect.stringContaining("connection lost")]);
    const again = await resumeThread(graph, "blind", { action: "escalate", to: "ada" });
    expect(again.waitingFor[0]?.request?.effects).toHaveLength(2);
  });

  it("refuses what it cannot mean, and what is settled already", async () => {
    const graph = shop();
    world.script.push("reset after");
    await runThread(graph, { cents: 5 }, { threadId: "t" });
    const key = keyOf(await lgr("t"), "charge");
    const happened = "{}";
    for (const [flags, words] of [
      [{ happened }, "--happened goes with --settle <key>"],
      [{ didNotHappen: true }, "--did-not-happen goes with --settle <key>"],
      [{ as: "ada" }, "--as goes with --settle <key>"],
      [{ reason: "so" }, "--reason goes with --settle <key>"],
      [{ settle: key }, `--settle ${key}: say what came of it`],
      [{ settle: key, happened: "no JSON" }, "--happened is not JSON"],
      [{ settle: "zzz", didNotHappen: true }, 'No effect of thread "t" has a key that begins with "zzz"'],
      [{ settle: "", didNotHappen: true }, "No effect of thread"],
    ] as const)
      expect(await refusal("t", flags)).toEqual({ message: expect.stringContaining(words), exit: EXIT.usage });
    expect(await refusal("no such thread", {})).toMatchObject({ exit: EXIT.notFound });
    expect(await lgr("t", { settle: key, didNotHappen: true })).toContain(`says ${userInfo().username}.`);
    expect(await refusal("t", { settle: key, didNotHappen: true })).toEqual({
      message: `Effect "charge" (${key}) cannot be settled: it is "failed"`,
      exit: EXIT.usage,
    });
    await persistence.threads.record({ threadId: threadIdOf("idle"), name: "idle" });
    expect(await lgr("idle")).toContain("Thread idle has no recorded effects in ");
  });
});

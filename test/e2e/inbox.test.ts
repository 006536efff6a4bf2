/** `lgr inbox` as people use it, each command in a process of its own, on one database. */
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { InboxItem } from "../../src/core/inbox-ports.js";
import type { Persistence } from "../../src/core/ports.js";
import { openPersistence } from "../../src/persistence/open.js";
import { newInboxItem } from "../../src/testing/samples.js";
import { createDatabase, createFolder, embeddedAt, hasPostgres, type TestDatabase } from "../support/databases.js";
import { thorough } from "../support/depth.js";
import { runLgr, startLgr, TINY, untilPrinted } from "../support/run-lgr.js";

const folder = createFolder();
let database: TestDatabase | undefined;
let db = "";
beforeAll(async () => {
  if (hasPostgres) database = await createDatabase();
  db = database?.url ?? embeddedAt(join(folder.path, "data"));
});
afterAll(async () => {
  await database?.drop();
  folder.remove();
});

const base = () => ["--config", TINY, "--db", db];
const lgr = (...parameters: string[]) => runLgr([...base(), ...parameters]);
const inbox = (...parameters: string[]) => lgr("inbox", ...parameters);

async function inDatabase<T>(work: (persistence: Persistence) => Promise<T>): Promise<T> {
  const persistence = openPersistence(db);
  try {
    return await work(persistence);
  } finally {
    await persistence.close();
  }
}

/** What waits for somebody who never comes. */
const silent: Partial<InboxItem> = {
  id: "5117e000aaaaaaaa",
  thread: "silent",
  node: "approve",
  openedAt: Date.now() - 3_600_000,
  plan: { levels: [{ to: ["ada"], deadlineMs: 60_000 }, { to: ["bob"] }] },
  dueAt: Date.now() - 300_000,
  sweepAt: Date.now() - 300_000,
};

describe("lgr inbox", () => {
  let id = "";

  it("lists what waits over all threads, the oldest first", async () => {
    await inDatabase(async ({ inbox: store }) => store?.open(newInboxItem(silent)));
    const run = await lgr("run", "tiny", "--thread", "one", "--input", '{"text":"ab"}', "--fail", "sign");
    expect(run.stdout).toMatch(/With the open questions of all threads: +(npx )?lgr inbox\n/);
    const listed = await inbox();
    expect(listed.stdout).toMatch(/^ID +AGE +DUE .*SUMMARY\n5117e000 +60m +5m late +silent .*approve .*ada/);
    [, id = ""] = /^([0-9a-f]{8}) +\d+s +one +tiny +sign +intervention +anyone/m.exec(listed.stdout) ?? [];
    expect(id).not.toBe("");
    expect(listed.stdout).toContain("lgr inbox show 5117e000");
  });

  it("keeps a question for whoever claims it, takes the answer, and shows both to who watches", async () => {
    // A folder has one owner: nobody can watch it beside another.
    const watching = hasPostgres ? startLgr([...base(), "inbox", "watch", "--every", "0.1s"]) : undefined;
    const exit = watching && once(watching, "exit");
    onTestFinished(() => void watching?.kill("SIGKILL"));
    if (watching !== undefined) await untilPrinted(watching, /Watching/);
    const sawClaim = watching && untilPrinted(watching, /of thread one +claimed by ada/);
    expect((await inbox("claim", id, "--as", "ada")).stdout).toMatch(/of thread one is kept for ada until 20/);
    await sawClaim;
    const refused = await inbox("resolve", id, "--action", "retry", "--as", "bob");
    expect(refused.stderr).toMatch(/ada works on question .* lgr inbox claim .* --force/);
    expect(refused.code).toBe(2);
    const sawAnswer = watching && untilPrinted(watching, /resolved: ada answered it with "fallback"/);
    const answered = await inbox("resolve", id.slice(0, 6), "--action", "fallback", "--as", "ada", "--json");
    expect(answered.objects().at(-1)).toMatchObject({ status: "succeeded", values: { filed: "unsigned, filed" } });
    expect(answered.code).toBe(0);
    await sawAnswer;
    watching?.kill("SIGINT");
    if (exit !== undefined) expect((await exit)[0]).toBe(0);
  });

  it("shows what became of it, and how", async () => {
    const { stdout } = await inbox("show", id);
    expect(stdout).toMatch(/Question [0-9a-f]{16} of thread one: ada answered it with "fallback"/);
    expect(stdout).toContain("its thread does not ask it any more");
    expect(stdout).toMatch(/inbox\.opened[\s\S]*ada +inbox\.claimed[\s\S]*ada +inbox\.resolved/);
    expect(stdout).not.toContain("What you can do");
  });

  it("hands on what nobody answers", async () => {
    const swept = await inbox("sweep");
    expect(swept.stdout).toContain("escalated 5117e000 of thread silent to bob\n");
    expect(swept.stdout).toMatch(/Swept: 1 escalated\.\n\d questions? ha\w+ news for people.* LGR_SMTP_URL/);
    expect(swept.code).toBe(0);
  });

  it.runIf(thorough)("tells people by the channels of the environment", async () => {
    const told: unknown[] = [];
    const receiver = createServer(async (request, response) => {
      told.push(JSON.parse(await text(request)));
      response.end();
    }).listen(0, "127.0.0.1");
    await once(receiver, "listening");
    const { port } = receiver.address() as AddressInfo;
    process.env.LGR_WEBHOOK_URL = `http://127.0.0.1:${port}/hook`;
    process.env.LGR_WEBHOOK_SECRET = `whsec_${Buffer.alloc(24, 7).toString("base64")}`;
    try {
      const sent = await inbox("sweep", "--json");
      expect(sent.objects().at(-1)).toMatchObject({ type: "sweep", told: 1, untold: 0 });
      expect(JSON.stringify(told)).toContain("5117e000aaaaaaaa");
    } finally {
      delete process.env.LGR_WEBHOOK_URL;
      delete process.env.LGR_WEBHOOK_SECRET;
      receiver.close();
    }
  });
});

describe.runIf(thorough && hasPostgres)("two people who answer one question at once", () => {
  const asked = async (thread: string, input: object = {}) => {
    const given = JSON.stringify({ text: "ab", ...input });
    await lgr("run", "tiny", "--thread", thread, "--input", given, "--fail", "sign");
    return await inDatabase(async ({ inbox: store, threads }) => {
      const record = await threads.findByName(thread);
      const [item] = (await store?.list({ threadId: record?.threadId ?? "" })) ?? [];
      return item?.id ?? "none";
    });
  };
  const answer = (id: string, by: string) => ["inbox", "resolve", id, "--action", "retry", "--as", by];

  it("are heard one, and told the other who was faster", async () => {
    const id = await asked("race");
    const results = await Promise.all(["ada", "bob"].map((by) => lgr(...answer(id, by))));
    const [winner, loser] = results.toSorted((one, other) => (one.code ?? 0) - (other.code ?? 0));
    expect([winner?.code, loser?.code]).toEqual([0, 2]);
    expect(loser?.stderr).toMatch(/(ada|bob) works on question|is not open: (ada|bob) answered it with "retry"/);
  });

  it("are told so too while the thread goes on with the first answer, and it goes on after Ctrl-C", async () => {
    const waitFor = join(folder.path, "signed");
    const id = await asked("slow", { waitFor });
    const first = startLgr([...base(), ...answer(id, "ada")]);
    const exit = once(first, "exit");
    await untilPrinted(first, /● sign/);
    const second = await lgr(...answer(id, "bob"));
    expect(second.stderr).toMatch(/ada works on question|ada answered it with "retry"/);
    expect(second.code).toBe(2);
    first.kill("SIGINT");
    await untilPrinted(first, /stopping after the step in flight/);
    writeFileSync(waitFor, "");
    expect((await exit)[0]).toBe(130);
    expect((await lgr("resume", "slow")).code).toBe(0);
  });
});

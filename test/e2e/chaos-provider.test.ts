/** `lgr chaos provider` as a user runs it. */
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { ask, contentIn, eventsIn, QUESTION, readToTheEnd } from "../integration/provider/provider.js";
import { createFolder } from "../support/databases.js";
import { runLgr, startLgr, untilPrinted } from "../support/run-lgr.js";

const folder = createFolder();
afterAll(() => folder.remove());

const written = (name: string, content: unknown) => {
  const path = join(folder.path, name);
  writeFileSync(path, JSON.stringify(content));
  return path;
};

it("serves by its script, tells of each request, records it, and ends with a summary at Ctrl-C", async () => {
  const script = written("faults.json", {
    script: [
      { kind: "status", status: 429, headers: { "Retry-After": "1" } },
      { kind: "stall", when: { model: "silent" } },
      { kind: "reset", when: { model: "nobody" } },
    ],
    byModel: { slow: { latency: { firstTokenMs: 60_000 } } },
  });
  const record = join(folder.path, "seen.ndjson");
  const child = startLgr(["--json", "chaos", "provider", "--script", script, "--record", record, "--seed", "7"]);
  const closed = once(child, "close");
  let printed = await untilPrinted(child, /"type":"provider".*\n/);
  child.stdout?.on("data", (chunk: Buffer) => {
    printed += chunk.toString();
  });
  const objects = () =>
    printed
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const { baseUrl } = objects()[0] as { baseUrl: string };

  expect((await ask(baseUrl)).headers.get("retry-after")).toBe("1");
  const answered = await (await ask(baseUrl, { ...QUESTION, stream: true })).text();
  expect(contentIn(eventsIn(answered))).toContain("offline: 23 characters read");
  const openStream = (model: string) => ask(baseUrl, { ...QUESTION, model, stream: true });
  const open = [await openStream("silent"), await openStream("slow")];
  child.kill("SIGINT");
  expect(await closed).toEqual([0, null]);
  for (const response of open) expect(await readToTheEnd(response)).toHaveProperty("error");

  const requests = objects().filter(({ type }) => type === "request");
  expect(requests.slice(0, 2)).toMatchObject([
    { id: "offline-1", model: "m-1", stream: false, fault: { kind: "status", status: 429 }, outcome: "faulted" },
    { id: "offline-2", model: "m-1", stream: true, fault: { kind: "none" }, outcome: "answered" },
  ]);
  expect(objects().at(-1)).toEqual({
    type: "summary",
    requests: 4,
    answered: 1,
    faulted: 3,
    clientGone: 0,
    unused: 1,
  });
  const recorded = readFileSync(record, "utf8");
  const lines = recorded
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { messages: object[]; outcome: string });
  expect(lines.map(({ outcome }) => outcome)).toEqual(["faulted", "answered", "faulted", "faulted"]);
  expect(lines[0]?.messages).toEqual([{ role: "user", text: "How did the quarter go?" }]);
  expect(recorded).not.toContain("sk-secret");
});

it("refuses a script with a fault there is not, by file and entry", async () => {
  const script = written("bad.json", [{ kind: "none" }, { kind: "boom" }]);
  const { code, stderr } = await runLgr(["chaos", "provider", "--script", script]);
  expect(code).toBe(2);
  expect(stderr).toContain(`${script}: option "script.1.kind" is "boom": there is no such fault; choose one of none`);
});

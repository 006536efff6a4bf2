/** A process killed in the middle of a long text: the next one has the model go on with what was saved. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { type ChatRequest, type FaultyProvider, startFaultyProvider } from "langgraph-resilience/chaos";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  createDatabase,
  createFolder,
  describeOnPostgres,
  embeddedAt,
  hasPostgres,
  type TestDatabase,
} from "../support/databases.js";
import { full } from "../support/depth.js";
import { toRun } from "../support/start-script.js";
import { GO_ON, INTERVAL, PROMPT, TEXT } from "./streams.js";

const child = toRun(new URL("streams.child.ts", import.meta.url));

/** What is generated before a process can know of it and die: one event of the stream. */
const EVENT = 32;
const CHARACTERS_PER_TOKEN = 4;

/** Begins, or goes on where the text stops that the model is shown as its own. */
function answer({ messages }: ChatRequest): string {
  const [prompt, said, goOn] = messages;
  if (prompt?.text !== PROMPT || (goOn !== undefined && goOn.text !== GO_ON)) return "what?";
  return TEXT.startsWith(said?.text ?? "") ? TEXT.slice(said?.text.length ?? 0) : "that is not what I said";
}

/** @param everywhere kill at every place, or at the one that tells most */
function textsOn(urlOf: () => string, everywhere: boolean) {
  const folder = createFolder();
  let provider: FaultyProvider;
  beforeAll(async () => {
    provider = await startFaultyProvider({ answer });
  });
  afterAll(async () => {
    await provider.close();
    folder.remove();
  });

  let threads = 0;
  /**
   * Runs a thread in one process after the other, each killed at its place.
   *
   * @returns how many tokens were generated again after each, and what the last one printed
   */
  async function killedAt(...places: string[]): Promise<{ again: number[]; printed: string }> {
    threads += 1;
    const thread = `text-${threads}`;
    const begin = provider.requests.length;
    const came: number[] = [];
    let printed = "";
    for (const [index, place] of [...places, ""].entries()) {
      const journal = join(folder.path, `${thread}-${index}`);
      const action = index === 0 ? "run" : "resume";
      const process_ = spawn(process.execPath, [...child, urlOf(), thread, provider.baseUrl, journal, place, action], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const [output, [, signal]] = await Promise.all([text(process_.stdout), once(process_, "exit")]);
      expect(signal, `killed at ${place}: ${output.slice(0, 100)}`).toBe(place === "" ? null : "SIGKILL");
      came.push(charactersIn(journal));
      printed = output;
    }
    const saved = provider.requests.slice(begin).map(({ messages }) => messages[1]?.text.length ?? 0);
    // Where the text was complete, nobody was asked for the rest of it.
    while (saved.length < came.length) saved.push(TEXT.length);
    const again = places.map((_, index) => {
      const [from = 0, to = 0] = saved.slice(index, index + 2);
      return (from + (came[index] ?? 0) - to) / CHARACTERS_PER_TOKEN;
    });
    return { again, printed };
  }

  it("killed where a save is due, the text is whole, and one interval is generated again", async () => {
    const { again, printed } = await killedAt("streams.append.before 3");
    expectWhole(printed);
    expect(again[0]).toBeGreaterThanOrEqual(INTERVAL);
    expect(again[0]).toBeLessThanOrEqual(INTERVAL + EVENT / CHARACTERS_PER_TOKEN);
  });

  it.runIf(everywhere).each([
    ["tokens 300", 300, 300],
    ["streams.append.after 1", 0, 0],
    ["streams.append.before 10", 0, INTERVAL],
    ["streams.append.after 10", 0, 0],
    ["end", 0, INTERVAL],
  ])("killed at %s, from %i to about %i tokens are generated again", async (place, least, most) => {
    const { again, printed } = await killedAt(place);
    expectWhole(printed);
    expect(again[0]).toBeGreaterThanOrEqual(least);
    // What was held back as the beginning of a word, and what came while it was saved.
    expect(again[0]).toBeLessThanOrEqual(most + (2 * EVENT) / CHARACTERS_PER_TOKEN);
  });

  it.runIf(everywhere)("killed in one process after the other, the text is whole", async () => {
    const { again, printed } = await killedAt("tokens 700", "streams.append.before 3", "end");
    expectWhole(printed);
    for (const tokens of again) expect(tokens).toBeLessThanOrEqual(INTERVAL + EVENT / CHARACTERS_PER_TOKEN);
  });
}

/** Without printing all of it where it is not. */
function expectWhole(printed: string): void {
  expect({ isWhole: printed === TEXT, begins: printed.slice(0, 300) }).toMatchObject({ isWhole: true });
}

function charactersIn(journal: string): number {
  const lines = existsSync(journal) ? readFileSync(journal, "utf8").split("\n").filter(Boolean) : [];
  return lines.reduce((sum, line) => sum + Number(line), 0);
}

describe.runIf(full || !hasPostgres)("long texts on an embedded Postgres", () => {
  const embedded = createFolder();
  beforeAll(() => void embeddedAt(join(embedded.path, "data")));
  afterAll(() => embedded.remove());
  textsOn(() => `pglite:${join(embedded.path, "data")}`, full && !hasPostgres);
});

describeOnPostgres("long texts on PostgreSQL", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase();
  });
  afterAll(() => database.drop());
  textsOn(() => database.url, full);
});

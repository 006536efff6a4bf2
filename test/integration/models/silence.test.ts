/** Models that say nothing, stop in the middle, or take their time: with the limits that hold by default. */
import { type AnswerProvenance, type ResilientChatModel, resilientModel, restartOf } from "langgraph-resilience";
import type { FaultyProvider } from "langgraph-resilience/chaos";
import { describe, expect, it } from "vitest";
import { FakeClock } from "../../support/fake-clock.js";
import {
  ANSWER,
  finishEvent,
  lines,
  misbehaving,
  OPENING,
  openAi,
  rawServer,
  streamed,
  textEvent,
  usageEvent,
} from "../../support/models.js";
import { halfOf } from "../provider/provider.js";

/** Ends the wait before the next attempt, once it has begun. */
async function waitedOut(clock: FakeClock): Promise<void> {
  while (clock.pending.length === 0) await new Promise((resolve) => setImmediate(resolve));
  await clock.advance(clock.pending[0] as number);
}

const provenance = ({ response_metadata }: { response_metadata: Record<string, unknown> }) =>
  response_metadata.resilience as AnswerProvenance;

const chain = (provider: FaultyProvider, names: readonly string[], clock: FakeClock): ResilientChatModel => {
  const [first, ...rest] = names.map((name) => openAi(provider, name));
  if (first === undefined) throw new Error("A chain has a model");
  return resilientModel([first, ...rest], { clock, random: () => 0.5 });
};

describe("a model that does not answer at all", () => {
  it("is given up after 15 s, and not asked again, where another stands in", async () => {
    const provider = await misbehaving({ script: [{ kind: "hang", times: "always", when: { model: "mute" } }] });
    const clock = new FakeClock();
    const asked = chain(provider, ["mute", "well"], clock).invoke("q");
    await provider.waitForRequest(1);
    await clock.advance(14_999);
    expect(provider.requests).toHaveLength(1);
    await clock.advance(1);
    const answer = await asked;
    expect(answer.text).toBe(ANSWER);
    expect(provider.requests.map(({ model }) => model)).toEqual(["mute", "well"]);
    expect(provenance(answer).failures).toMatchObject([{ model: "mute", category: "timeout" }]);
    await provider.waitForRequest(({ model, outcome }) => model === "mute" && outcome === "client_gone");
  });

  it("is asked a second time, and no third, where it is alone", async () => {
    const provider = await misbehaving({ script: [{ kind: "hang", times: "always" }] });
    const clock = new FakeClock();
    const asked = chain(provider, ["mute"], clock).invoke("q");
    const refused = expect(asked).rejects.toMatchObject({ name: "AttemptTimeoutError", code: "FIRST_TOKEN_TIMEOUT" });
    await provider.waitForRequest(1);
    await clock.advance(30_000);
    await waitedOut(clock);
    await provider.waitForRequest(2);
    await clock.advance(30_000);
    await refused;
    expect(provider.requests).toHaveLength(2);
  });
});

describe("a model that stops in the middle", () => {
  it("is asked once more and then left, and the reader is told twice", async () => {
    const provider = await misbehaving({ script: [{ kind: "stall", times: "always", when: { model: "sick" } }] });
    const clock = new FakeClock();
    let text = "";
    let heard: () => void = () => undefined;
    const read = async () => {
      const restarts: unknown[] = [];
      for await (const piece of await chain(provider, ["sick", "well"], clock).stream("q")) {
        const restart = restartOf(piece);
        if (restart !== undefined) restarts.push(restart);
        text = restart === undefined ? text + piece.text : "";
        heard();
      }
      return restarts;
    };
    const hearing = (wanted: string) =>
      new Promise<void>((resolve) => {
        heard = () => {
          if (text === wanted) resolve();
        };
        heard();
      });
    const asked = read();
    for (const half of [1, 2]) {
      const middle = hearing(halfOf(ANSWER));
      await provider.waitForRequest(half);
      await middle;
      await clock.advance(15_000);
      if (half === 1) await waitedOut(clock);
    }
    const restarts = await asked;
    expect(text).toBe(ANSWER);
    expect(provider.requests.map(({ model }) => model)).toEqual(["sick", "sick", "well"]);
    expect(restarts).toMatchObject([
      { model: "sick", category: "timeout" },
      { model: "sick", category: "timeout" },
    ]);
  });
});

describe("a first token after 20 s", () => {
  async function late(names: readonly [string, ...string[]]) {
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    let arrived: () => void = () => undefined;
    const begun = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const server = await rawServer(async (response, { model }) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(lines(OPENING));
      if (model === "late") {
        arrived();
        await released;
      }
      response.end(lines(textEvent(`from ${model}`), finishEvent(), usageEvent(1), "[DONE]"));
    });
    const clock = new FakeClock();
    const [first, ...rest] = names;
    const model = resilientModel([openAi(server, first), ...rest.map((name) => openAi(server, name))], { clock });
    const asked = model.invoke("q");
    asked.catch(() => undefined);
    await begun;
    await clock.advance(20_000);
    release();
    return { answer: await asked, server };
  }

  it("is waited for where no other model is left", async () => {
    const { answer, server } = await late(["late"]);
    expect([answer.text, server.requests.length]).toEqual(["from late", 1]);
  });

  it("is not waited for where another is", async () => {
    const { answer, server } = await late(["late", "well"]);
    expect([answer.text, server.requests.length]).toEqual(["from well", 2]);
  });
});

describe("the time for the whole call", () => {
  it("ends it at its deadline, whatever is left to be tried", async () => {
    const provider = await misbehaving({ script: [{ kind: "hang", times: "always" }] });
    const clock = new FakeClock();
    const model = resilientModel([openAi(provider, "a"), openAi(provider, "b")], {
      clock,
      timeout: { deadlineMs: 5000 },
    });
    const refused = expect(model.invoke("q")).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });
    await provider.waitForRequest(1);
    await clock.advance(5000);
    await refused;
    expect(provider.requests).toHaveLength(1);
  });
});

describe("a stream without its terminator", () => {
  it("is finished as soon as it is whole, with its usage", async () => {
    const provider = await misbehaving({ script: [{ kind: "no_terminator" }] });
    const clock = new FakeClock();
    const { whole } = await streamed(chain(provider, ["a"], clock));
    expect(whole).toMatchObject({ text: ANSWER, usage_metadata: { output_tokens: 16 } });
    expect(provider.requests).toHaveLength(1);
  });
});

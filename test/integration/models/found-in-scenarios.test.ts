/** What was wrong with the chain of models when it was first held against a server that misbehaves. */
import { AIMessage } from "@langchain/core/messages";
import { StringOutputParser } from "@langchain/core/output_parsers";
import { resilientModel, restartOf } from "langgraph-resilience";
import { toolCalls } from "langgraph-resilience/chaos";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { FakeClock } from "../../support/fake-clock.js";
import {
  ANSWER,
  finishEvent,
  lines,
  misbehaving,
  OPENING,
  openAi,
  rawServer,
  sendEvents,
  streamed,
  textEvent,
  usageEvent,
  withoutWaiting,
} from "../../support/models.js";

const TOKENS = ["one ", "two ", "three ", "four"].map((token) => textEvent(token));
const stream = (...events: string[]) => lines(OPENING, ...events, finishEvent(), usageEvent(4), "[DONE]");

async function once(body: string) {
  const server = await rawServer((response) => sendEvents(response, body));
  return resilientModel([openAi(server, "m")], { retry: false }).invoke("q");
}

describe("a damaged event in the place of one of the answer's", () => {
  it.each([
    ["cut JSON", lines('{"id":"c-1","cho')],
    ["the end of an event without its beginning", lines('oices":[{"delta":{"content":"three "}}]}')],
    ["a line that is no field", "this is no event\n\n"],
    ["a field whose name is damaged", `dta: ${TOKENS[2]}\n\n`],
  ])("is not passed over: %s", async (_what, damaged) => {
    const body =
      lines(OPENING, ...TOKENS.slice(0, 2)) +
      damaged +
      lines(TOKENS[3] as string, finishEvent(), usageEvent(4), "[DONE]");
    await expect(once(body)).rejects.toMatchObject({ code: "ANSWER_DAMAGED" });
  });
  it("is not passed over by the provider of ours", async () => {
    const provider = await misbehaving({ script: [{ kind: "malformed_event", instead: true }] });
    expect((await resilientModel([openAi(provider, "m")], { clock: new FakeClock() }).invoke("q")).text).toBe(ANSWER);
  });
  it("is not passed over where the server counts no tokens", async () => {
    const body = lines(
      OPENING,
      ...TOKENS.slice(0, 2),
      '{"id":"c-1","cho',
      TOKENS[3] as string,
      finishEvent(),
      usageEvent(0),
      "[DONE]",
    );
    await expect(once(body)).rejects.toMatchObject({ code: "ANSWER_DAMAGED" });
  });
  it("is not mended where a piece of a tool call is gone with it", async () => {
    const call = (fields: object) =>
      JSON.stringify({ choices: [{ index: 0, delta: { content: "", tool_calls: [{ index: 0, ...fields }] } }] });
    const piece = call({ function: { arguments: "00" } });
    const cut = piece.slice(0, piece.indexOf('"arguments"'));
    const body = stream(
      call({ id: "t", type: "function", function: { name: "pay", arguments: "" } }),
      call({ function: { arguments: '{"amount": 1' } }),
      cut,
      call({ function: { arguments: "}" } }),
    );
    await expect(once(body)).rejects.toMatchObject({ category: "malformed_output" });
  });
});

it.each(["error", "abort", "insufficient_system_resource"])("2 an answer that ended in %s is none", async (reason) => {
  await expect(
    once(lines(OPENING, ...TOKENS.slice(0, 2), finishEvent(reason), usageEvent(2), "[DONE]")),
  ).rejects.toThrow();
});

describe("a structured answer", () => {
  const schema = z.object({ city: z.string() });
  it.each([
    ["text instead of the call", () => "I would rather not"],
    ["a call of another tool", () => toolCalls([{ name: "other", args: { city: "Bern" } }])],
  ])("is never undefined: %s", async (_what, answer) => {
    const provider = await misbehaving({ answer });
    const asking = resilientModel([openAi(provider, "a"), openAi(provider, "b")]).withStructuredOutput(schema, {
      method: "functionCalling",
    });
    await expect(asking.invoke("q")).rejects.toMatchObject({ category: "malformed_output" });
  });
  it("is held against a JSON schema too", async () => {
    const provider = await misbehaving({ answer: () => ({ wrong: 1 }) });
    const json = { title: "place", type: "object", properties: { city: { type: "string" } }, required: ["city"] };
    await expect(
      resilientModel([openAi(provider, "a")])
        .withStructuredOutput(json)
        .invoke("q"),
    ).rejects.toMatchObject({ code: "MALFORMED_OUTPUT" });
  });
});

it("a parser behind the model never says what was taken back", async () => {
  const provider = await misbehaving({ script: [{ kind: "cut_stream" }] });
  let text = "";
  for await (const piece of await resilientModel([openAi(provider, "a")])
    .pipe(new StringOutputParser())
    .stream("q"))
    text += piece;
  expect(text).toBe(ANSWER);
});

it("a model of the chain answers for what the one before it could not take", async () => {
  const provider = await misbehaving({
    script: [
      { kind: "status", status: 503, times: "always", when: { model: "large" } },
      { kind: "context_length", times: "always", when: { model: "small" } },
    ],
  });
  const clock = new FakeClock();
  const model = resilientModel(
    [
      { model: openAi(provider, "large"), contextTokens: 128_000 },
      { model: openAi(provider, "small"), contextTokens: 32_000 },
      { model: openAi(provider, "other-large"), contextTokens: 128_000 },
    ],
    { clock },
  );
  expect((await withoutWaiting(clock, model.invoke("q"))).text).toBe(ANSWER);
});

it("what was wrong with the answer is in the message, not 'Connection error.'", async () => {
  const provider = await misbehaving({ script: [{ kind: "junk_body", times: "always" }] });
  await expect(resilientModel([openAi(provider, "a")], { retry: false }).invoke("q")).rejects.toThrow(
    /text\/html|doctype/,
  );
});

it("empty choices are of one category, streamed or whole", async () => {
  const provider = await misbehaving({ script: [{ kind: "empty_choices", times: "always" }] });
  await expect(resilientModel([openAi(provider, "a")], { retry: false }).invoke("q")).rejects.toMatchObject({
    code: "UNUSABLE_RESPONSE",
  });
});

it("one model that timed out twice is one failure, not ModelsFailedError", async () => {
  const provider = await misbehaving({ script: [{ kind: "hang", times: "always" }] });
  const clock = new FakeClock();
  const asked = resilientModel([{ model: openAi(provider, "a"), transport: "whole" }], { clock })
    .invoke("q")
    .catch((error: Error) => error.name);
  await provider.waitForRequest(1);
  await clock.advance(60_000);
  while (clock.pending.length === 0) await new Promise((resolve) => setImmediate(resolve));
  // The wait of half a second, with its jitter.
  await clock.advance(1000);
  await provider.waitForRequest(2);
  await clock.advance(60_000);
  expect(await asked).toBe("AttemptTimeoutError");
});

it("a last event without its empty line counts", async () => {
  const body = lines(OPENING, ...TOKENS, finishEvent()).trimEnd();
  expect((await once(body)).text).toBe("one two three four");
});

it("the whole message is no piece that restarts", async () => {
  const provider = await misbehaving({ script: [{ kind: "cut_stream" }] });
  const { whole } = await streamed(resilientModel([openAi(provider, "a")]));
  expect(AIMessage.isInstance(whole) || whole.text === ANSWER).toBe(true);
  expect(restartOf(whole)).toBeUndefined();
});

/** What the models of a chain remember from call to call, and who of them is asked: cooldown, circuit, tasks, categories. */
import {
  type AnswerProvenance,
  classifyError,
  defineService,
  failureOf,
  ModelsFailedError,
  type ResilientChatModel,
  resilientModel,
} from "langgraph-resilience";
import type { Fault, FaultyProvider, ScriptEntry } from "langgraph-resilience/chaos";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { FakeClock } from "../../support/fake-clock.js";
import { ANSWER, askedOf, misbehaving, openAi, withoutWaiting } from "../../support/models.js";

const down: Fault = { kind: "status", status: 503 };
const busy = (seconds: number): Fault => ({ kind: "status", status: 429, headers: { "retry-after": String(seconds) } });
const of = (model: string, fault: Fault, times: number | "always" = "always"): ScriptEntry => ({
  ...fault,
  when: { model },
  times,
});

async function surroundings(...script: ScriptEntry[]) {
  const provider = await misbehaving({ script });
  const clock = new FakeClock();
  return { provider, clock, own: { clock, random: () => 0.5 }, chat: (name: string) => openAi(provider, name) };
}

const answeredBy = ({ response_metadata }: { response_metadata: Record<string, unknown> }) =>
  (response_metadata.resilience as AnswerProvenance).answeredBy;

const asked = ({ requests }: FaultyProvider) => requests.map(({ model }) => model);

const errorOf = (answer: Promise<unknown>): Promise<ModelsFailedError> =>
  answer.then(
    () => Promise.reject(new Error("It was answered")),
    (error: ModelsFailedError) => error,
  );

describe("the Retry-After of one call", () => {
  it("keeps all later ones away, by whichever copy of the model, while another is left", async () => {
    const { provider, clock, own, chat } = await surroundings(of("a", busy(20), 1));
    const model = resilientModel([chat("a"), chat("b")], own);
    const copies = [model, model.bindTools([]), model.withConfig({ tags: ["x"] })];
    for (const copy of copies) expect(answeredBy(await copy.invoke("q"))).toBe("b");
    await clock.advance(19_999);
    expect(answeredBy(await model.invoke("q"))).toBe("b");
    expect(askedOf(provider, "a")).toBe(1);
    await clock.advance(1);
    expect(answeredBy(await model.invoke("q"))).toBe("a");
    expect(clock.begun).toEqual([]);
  });

  it("is waited for by later calls where no other is left, and then they are answered", async () => {
    const { provider, clock, own, chat } = await surroundings(of("a", busy(300), 1));
    const model = resilientModel([chat("a")], { ...own, retry: { maxElapsedMs: 600_000 } });
    const first = model.invoke("q");
    await provider.waitForRequest(1);
    while (clock.pending.length === 0) await clock.settle();
    await clock.advance(100_000);
    const second = model.invoke("q");
    while (clock.pending.length < 2) await clock.settle();
    expect(clock.pending).toEqual([200_000, 200_000]);
    expect(provider.requests).toHaveLength(1);
    await clock.advance(200_000);
    expect([(await first).text, (await second).text]).toEqual([ANSWER, ANSWER]);
    expect(provider.requests).toHaveLength(3);
  });

  it("longer than patienceMs sends the call on; one as long is waited for", async () => {
    const { provider, clock, own, chat } = await surroundings(of("a", busy(2), 1), of("a", busy(3), 1));
    const model = resilientModel([chat("a"), chat("b")], { ...own, retry: { patienceMs: 2000 } });
    expect(answeredBy(await withoutWaiting(clock, model.invoke("q")))).toBe("b");
    expect(clock.begun).toEqual([2000]);
    expect(asked(provider)).toEqual(["a", "a", "b"]);
  });

  it("longer than patienceMs is waited for where no other model answers for it", async () => {
    const { clock, own, chat } = await surroundings(of("a", busy(9), 1));
    const model = resilientModel([chat("a"), { model: chat("b"), when: ["context_length"] }], own);
    expect(answeredBy(await withoutWaiting(clock, model.invoke("q")))).toBe("a");
    expect(clock.begun).toEqual([9000]);
  });
});

describe("the circuit of a model", () => {
  const Place = z.object({ city: z.string() });
  const once = { retry: false } as const;

  it("is one for all copies of the chain, and closes again after two successes", async () => {
    const { provider, clock, own, chat } = await surroundings(of("a", down, 4));
    const model = resilientModel([chat("a"), chat("b")], { ...own, ...once });
    const copies: ResilientChatModel[] = [model, model.bindTools([]), model];
    for (const copy of copies) await copy.invoke("q");
    expect(askedOf(provider, "a")).toBe(3);
    // It rests now, whoever asks, and however.
    await expect(model.withStructuredOutput(Place).invoke("q")).rejects.toMatchObject({ category: "malformed_output" });
    for (const copy of copies) expect(answeredBy(await copy.invoke("q"))).toBe("b");
    expect(askedOf(provider, "a")).toBe(3);
    await clock.advance(5000);
    // One tries it, in vain: it rests again.
    for (const copy of copies) expect(answeredBy(await copy.invoke("q"))).toBe("b");
    expect(askedOf(provider, "a")).toBe(4);
    await clock.advance(5000);
    const served = [];
    for (const copy of copies) served.push(answeredBy(await copy.invoke("q")));
    expect(served).toEqual(["a", "a", "a"]);
    // Closed, it takes three failures to open it.
    provider.setFault(down, { model: "a" });
    for (const _ of [1, 2, 3, 4]) await model.invoke("q");
    expect(askedOf(provider, "a")).toBe(10);
  });

  it("of a named service is that of all chains that name it", async () => {
    const { provider, clock, own, chat } = await surroundings(of("a", down));
    const service = defineService("the one provider", {
      clock,
      circuitBreaker: { trip: { kind: "consecutive", failures: 2 }, recoveryMs: 1000 },
    });
    const chainOf = (last: string) => resilientModel([{ model: chat("a"), service }, chat(last)], { ...own, ...once });
    const [one, other] = [chainOf("b"), chainOf("c")];
    expect([answeredBy(await one.invoke("q")), answeredBy(await other.invoke("q"))]).toEqual(["b", "c"]);
    expect([answeredBy(await one.invoke("q")), answeredBy(await other.invoke("q"))]).toEqual(["b", "c"]);
    expect(askedOf(provider, "a")).toBe(2);
    // By its name it is the same.
    const named = resilientModel([{ model: chat("a"), service: "the one provider" }, chat("d")], { ...own, ...once });
    expect(answeredBy(await named.invoke("q"))).toBe("d");
    expect(askedOf(provider, "a")).toBe(2);
  });

  it("is left alone by answers that speak of the question and not of the model", async () => {
    const { provider, own, chat } = await surroundings(of("a", { kind: "context_length" }));
    const model = resilientModel([chat("a"), chat("b")], own);
    for (const _ of [1, 2, 3, 4]) expect(answeredBy(await model.invoke("q"))).toBe("b");
    expect(askedOf(provider, "a")).toBe(4);
  });

  it("of the last model never opens by default", async () => {
    const { provider, own, chat } = await surroundings(of("a", down));
    const model = resilientModel([chat("a")], { ...own, ...once });
    for (const _ of [1, 2, 3, 4, 5]) await expect(model.invoke("q")).rejects.toMatchObject({ status: 503 });
    expect(askedOf(provider, "a")).toBe(5);
  });
});

describe("a task type", () => {
  const tasks = async (...script: ScriptEntry[]) => {
    const { provider, own, chat } = await surroundings(...script);
    const models = [
      chat("any"),
      { model: chat("thinker"), tasks: ["proof", "plan"] },
      { model: chat("poet"), tasks: ["verse"] },
    ] as const;
    return { provider, own, models, model: resilientModel(models, { ...own, retry: false }) };
  };

  it("is served by the models declared for it first, then by those for all, and by no others", async () => {
    const { provider, model } = await tasks(of("thinker", down), of("any", down));
    const error = await errorOf(model.invoke("q", { taskType: "plan" }));
    expect(error.failures.map(({ model: name }) => name)).toEqual(["thinker", "any"]);
    await errorOf(model.invoke("q"));
    expect(answeredBy(await model.invoke("q", { taskType: "verse" }))).toBe("poet");
    expect(asked(provider)).toEqual(["thinker", "any", "any", "poet"]);
  });

  it("is that of the chain where a call names none, and holds for streams", async () => {
    const { models, own, model } = await tasks();
    const poetic = resilientModel(models, { ...own, taskType: "verse" });
    expect(answeredBy(await poetic.invoke("q"))).toBe("poet");
    expect(answeredBy(await poetic.invoke("q", { taskType: "proof" }))).toBe("thinker");
    const pieces = [];
    for await (const piece of await model.stream("q", { taskType: "proof" })) pieces.push(piece);
    expect(answeredBy(pieces.at(-1) as never)).toBe("thinker");
  });

  it("that no model serves is a fault of the program, said at once", async () => {
    const { provider, own, chat } = await surroundings();
    const model = resilientModel([{ model: chat("a"), tasks: ["proof"] }], own);
    await expect(model.invoke("q", { taskType: "verse" })).rejects.toThrow(
      'resilientModel(a): no model serves the task type "verse"; those declared are: proof. Add it to the "tasks" of a model, or leave "tasks" out of one',
    );
    await expect(model.invoke("q")).rejects.toMatchObject({ code: "CONFIG" });
    expect(provider.requests).toHaveLength(0);
  });
});

describe("which failures a model answers for", () => {
  it("is what `when` says, in place of what is usual", async () => {
    const { provider, own, chat } = await surroundings(
      of("a", { kind: "content_filter" }, 1),
      of("a", { kind: "status", status: 401 }, 1),
      of("a", down, 1),
    );
    const model = resilientModel([chat("a"), { model: chat("b"), when: ["content_policy", "auth"] }], {
      ...own,
      retry: false,
    });
    expect([answeredBy(await model.invoke("q")), answeredBy(await model.invoke("q"))]).toEqual(["b", "b"]);
    await expect(model.invoke("q")).rejects.toMatchObject({ status: 503 });
    expect(asked(provider)).toEqual(["a", "b", "a", "b", "a"]);
  });

  it("is not a question too long for a model that is known to take no less", async () => {
    const sizes = async (first: number | undefined, second: number | undefined) => {
      const { provider, own, chat } = await surroundings(of("a", { kind: "context_length" }));
      const sized = (name: string, contextTokens: number | undefined) =>
        contextTokens === undefined ? chat(name) : { model: chat(name), contextTokens };
      await resilientModel([sized("a", first), sized("b", second)], own)
        .invoke("q")
        .catch(() => undefined);
      return asked(provider);
    };
    expect(await sizes(8000, 8000)).toEqual(["a"]);
    expect(await sizes(8000, 4000)).toEqual(["a"]);
    expect(await sizes(8000, 8001)).toEqual(["a", "b"]);
    expect(await sizes(8000, undefined)).toEqual(["a", "b"]);
    expect(await sizes(undefined, 8000)).toEqual(["a", "b"]);
  });
});

describe("the error of several models that failed", () => {
  it("lists the last failure of each, and is of the first one's kind", async () => {
    const { own, chat } = await surroundings(of("a", busy(60)), of("b", { kind: "status", status: 500 }));
    const error = await errorOf(resilientModel([chat("a"), chat("b")], { ...own, retry: false }).invoke("q"));
    expect(error).toBeInstanceOf(ModelsFailedError);
    expect(error).toMatchObject({
      code: "MODELS_FAILED",
      category: "rate_limit",
      status: 429,
      retryAfterMs: 60_000,
      failures: [
        { model: "a", category: "rate_limit" },
        { model: "b", category: "server_error" },
      ],
      cause: { status: 429 },
    });
    expect(error.message).toMatch(/^No model answered\. a \(rate_limit\): 429 .*; b \(server_error\): 500 /);
    expect(classifyError(error)).toMatchObject({ category: "rate_limit", status: 429, retryAfterMs: 60_000 });
    expect(failureOf(error)).toMatchObject({
      node: "a",
      report: { code: "MODELS_FAILED" },
      attempts: [{ step: "node" }, { step: "b" }],
    });
  });

  it.each([
    ["rests", down, "CIRCUIT_OPEN", "model_unavailable", 3],
    ["asked to be left alone", busy(60), "COOLING_DOWN", "rate_limit", 1],
  ] as const)(
    "is that of the second where the first %s and was not asked",
    async (_why, fault, code, category, calls) => {
      const { provider, own, chat } = await surroundings(of("a", fault));
      const model = resilientModel([chat("a"), chat("b")], { ...own, retry: false });
      for (let call = 0; call < calls; call += 1) await model.invoke("q");
      provider.setFault({ kind: "status", status: 404 }, { model: "b" });
      const error = await errorOf(model.invoke("q"));
      expect(error).toMatchObject({
        category: "model_unavailable",
        status: 404,
        failures: [{ model: "a", category }, { model: "b" }],
        cause: { status: 404 },
      });
      expect(failureOf(error)?.attempts.map(({ report }) => report.code)).toEqual([code, expect.anything()]);
    },
  );

  it("names the limit that each model overran", async () => {
    const { provider, clock, own, chat } = await surroundings({ kind: "hang", times: "always" });
    const failed = errorOf(resilientModel([chat("a"), chat("b")], { ...own, retry: false }).invoke("q"));
    await provider.waitForRequest(1);
    await clock.advance(15_000);
    await provider.waitForRequest(2);
    await clock.advance(30_000);
    expect(await failed).toMatchObject({
      category: "timeout",
      failures: [
        { model: "a", message: expect.stringContaining('Model "a" gave no sign of life within 15000 ms') },
        { model: "b", message: expect.stringContaining("within 30000 ms") },
      ],
      cause: { code: "FIRST_TOKEN_TIMEOUT" },
    });
  });

  it("is the failure itself where only one model was tried", async () => {
    const { own, chat } = await surroundings(of("a", { kind: "status", status: 400 }));
    const error = await errorOf(resilientModel([chat("a"), chat("b")], own).invoke("q"));
    expect(error).not.toBeInstanceOf(ModelsFailedError);
    expect(classifyError(error)).toMatchObject({ category: "invalid_input", status: 400 });
  });
});

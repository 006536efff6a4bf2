/** A chain with the defaults against each way a server misbehaves: streamed, whole and by `invoke`. */
import type { AIMessage } from "@langchain/core/messages";
import { type AnswerProvenance, type Category, classifyError, resilientModel } from "langgraph-resilience";
import type { Fault } from "langgraph-resilience/chaos";
import { describe, expect, it } from "vitest";
import { FakeClock } from "../../support/fake-clock.js";
import { ANSWER, askedOf, misbehaving, openAi, streamed, tally, withoutWaiting } from "../../support/models.js";

const WAYS = ["invoke", "stream", "whole"] as const;
type Way = (typeof WAYS)[number];

interface Met {
  readonly category: Category;
  /** Requests to the sick model: while another is left, and alone. */
  readonly asked: readonly [number, number];
  /** Milliseconds waited between attempts: while another is left, and alone. */
  readonly waited: readonly [number, number];
}

interface Scenario extends Met {
  readonly fault: Fault;
  /** Where the way of asking makes a difference. */
  readonly whole?: Met;
}

/** With jitter in its middle: 500 ms before the one retry; 1, 2 and 4 s alone. */
const quick = (category: Category): Met => ({ category, asked: [2, 4], waited: [500, 7000] });
const MALFORMED: Met = { category: "malformed_output", asked: [3, 3], waited: [0, 0] };

const scenarios: Record<string, Scenario> = {
  "429 without Retry-After": {
    fault: { kind: "status", status: 429 },
    category: "rate_limit",
    asked: [2, 4],
    waited: [1000, 14_000],
  },
  "429 with a Retry-After of 2 s": {
    fault: { kind: "status", status: 429, headers: { "retry-after": "2" } },
    category: "rate_limit",
    asked: [2, 4],
    waited: [2000, 14_000],
  },
  "429 with a Retry-After of 7 s": {
    fault: { kind: "status", status: 429, headers: { "retry-after": "7" } },
    category: "rate_limit",
    asked: [1, 4],
    waited: [0, 22_000],
  },
  "429 with a Retry-After of ten minutes": {
    fault: { kind: "status", status: 429, headers: { "retry-after": "600" } },
    category: "rate_limit",
    asked: [1, 1],
    waited: [0, 0],
  },
  "503 for ever": { fault: { kind: "status", status: 503 }, ...quick("server_error") },
  "a reset before the headers": { fault: { kind: "reset" }, ...quick("network") },
  "a reset in the middle": { fault: { kind: "reset_stream" }, ...quick("network") },
  "a cut in the middle": { fault: { kind: "cut_stream" }, ...MALFORMED, whole: quick("server_error") },
  "a page of a proxy with status 200": { fault: { kind: "junk_body" }, ...quick("server_error") },
  "JSON that is no completion": {
    fault: { kind: "junk_body", body: "[1, 2]", contentType: "application/json" },
    ...quick("server_error"),
  },
  "plain text with status 200": {
    fault: { kind: "junk_body", body: "upstream error", contentType: "text/plain" },
    ...quick("server_error"),
  },
  "status 200 without a body": {
    fault: { kind: "junk_body", body: "", contentType: "application/json" },
    ...quick("server_error"),
  },
  "an answer without a word": { fault: { kind: "empty" }, ...MALFORMED },
};

async function meeting(
  { fault }: Scenario,
  way: Way,
  { times, hasFallback = true }: { times: 1 | "always"; hasFallback?: boolean },
) {
  const provider = await misbehaving({ script: [{ ...fault, times, when: { model: "sick" } }] });
  const clock = new FakeClock();
  const transport = way === "whole" ? ({ transport: "whole" } as const) : {};
  const sick = { model: openAi(provider, "sick"), ...transport };
  const well = { model: openAi(provider, "well"), ...transport };
  const model = resilientModel(hasFallback ? [sick, well] : [sick], { clock, random: () => 0.5 });
  const { told, handler } = tally();
  const options = { callbacks: [handler] };
  const answer = async () =>
    way === "stream" ? (await streamed(model, "q", options)).whole : await model.invoke("q", options);
  const startedAt = clock.now();
  const outcome = await withoutWaiting(clock, answer()).then(
    (message) => ({ message: message as AIMessage }),
    (error: unknown) => ({ error }),
  );
  return { provider, told, outcome, waitedMs: clock.now() - startedAt };
}

describe.each(Object.entries(scenarios))("%s", (_name, scenario) => {
  describe.each(WAYS)("asked by %s", (way) => {
    const met = (way === "whole" ? scenario.whole : undefined) ?? scenario;

    it("is answered in full by the model that stands in", async () => {
      const { provider, told, outcome, waitedMs } = await meeting(scenario, way, { times: "always" });
      expect(outcome).toMatchObject({ message: { text: ANSWER } });
      const { response_metadata: metadata, usage_metadata: usage } = (outcome as { message: AIMessage }).message;
      const { answeredBy, attempts, failures } = metadata.resilience as AnswerProvenance;
      expect({ answeredBy, attempts }).toEqual({ answeredBy: "well", attempts: met.asked[0] + 1 });
      expect(failures).toHaveLength(met.asked[0]);
      for (const failure of failures) expect(failure).toMatchObject({ model: "sick", category: met.category });
      expect(metadata.model_name).toBe("offline-well");
      // What the answer cost, and not what was spent on those that were none.
      expect(usage).toMatchObject({ input_tokens: 1, output_tokens: 16 });
      expect([askedOf(provider, "sick"), askedOf(provider, "well"), waitedMs]).toEqual([
        met.asked[0],
        1,
        met.waited[0],
      ]);
      expect(told).toEqual({ starts: 1, ends: 1, errors: 0 });
    });

    it("is a clear error where no model stands in", async () => {
      const { provider, told, outcome, waitedMs } = await meeting(scenario, way, {
        times: "always",
        hasFallback: false,
      });
      expect(outcome).toHaveProperty("error");
      expect(classifyError((outcome as { error: unknown }).error).category).toBe(met.category);
      expect([askedOf(provider, "sick"), waitedMs]).toEqual([met.asked[1], met.waited[1]]);
      expect(told).toEqual({ starts: 1, ends: 0, errors: 1 });
    });
  });
});

describe.each(WAYS)("what happens once, asked by %s,", (way) => {
  it.each(["503 for ever", "a reset before the headers", "a reset in the middle", "a cut in the middle"])(
    "is passed over by the same model: %s",
    async (name) => {
      const { provider, outcome } = await meeting(scenarios[name] as Scenario, way, { times: 1 });
      expect(outcome).toMatchObject({ message: { text: ANSWER, response_metadata: { model_name: "offline-sick" } } });
      expect(provider.requests.map(({ model }) => model)).toEqual(["sick", "sick"]);
    },
  );
});

describe.each(["invoke", "stream"] as const)(
  "a damaged event in a stream that is whole otherwise, asked by %s,",
  (way) => {
    const metOnce = (fault: Fault) => meeting({ fault, ...MALFORMED }, way, { times: 1 });

    it("costs nothing where it came beside those of the answer", async () => {
      const { provider, told, outcome, waitedMs } = await metOnce({ kind: "malformed_event" });
      expect(outcome).toMatchObject({
        message: { text: ANSWER, response_metadata: { resilience: { answeredBy: "sick", attempts: 1, failures: [] } } },
      });
      expect([askedOf(provider, "sick"), provider.requests.length, waitedMs]).toEqual([1, 1, 0]);
      expect(told).toEqual({ starts: 1, ends: 1, errors: 0 });
    });

    it("is asked for again where it came in the place of one", async () => {
      const { provider, told, outcome, waitedMs } = await metOnce({ kind: "malformed_event", instead: true });
      expect(outcome).toMatchObject({
        message: {
          text: ANSWER,
          response_metadata: {
            resilience: {
              answeredBy: "sick",
              attempts: 2,
              failures: [{ model: "sick", category: "malformed_output" }],
            },
          },
        },
      });
      expect([askedOf(provider, "sick"), provider.requests.length, waitedMs]).toEqual([2, 2, 0]);
      expect(told).toEqual({ starts: 1, ends: 1, errors: 0 });
    });
  },
);

describe.each(WAYS)("a question that is refused, asked by %s,", (way) => {
  it("goes to the next model at once where it was too long for this one", async () => {
    const { provider, outcome } = await meeting({ fault: { kind: "context_length" }, ...MALFORMED }, way, {
      times: "always",
    });
    expect(outcome).toMatchObject({ message: { text: ANSWER } });
    expect(provider.requests.map(({ model }) => model)).toEqual(["sick", "well"]);
  });

  it.each([
    ["the prompt", { kind: "content_filter", reason: "violence" }, /content management policy/],
    ["the answer", { kind: "finish", reason: "content_filter" }, /declined to answer.*content_filter/],
  ] as const)("is asked once, and the reason kept, where a filter withheld %s", async (_what, fault, said) => {
    const { provider, outcome } = await meeting({ fault, ...MALFORMED }, way, { times: "always" });
    const { error } = outcome as { error: Error };
    expect(classifyError(error).category).toBe("content_policy");
    expect(error.message).toMatch(said);
    expect(provider.requests).toHaveLength(1);
  });
});

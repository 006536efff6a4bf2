/** A first model that is down for a minute, while a request comes every second. */
import { type AnswerProvenance, resilientModel } from "langgraph-resilience";
import type { Fault } from "langgraph-resilience/chaos";
import { describe, expect, it } from "vitest";
import { FakeClock } from "../../support/fake-clock.js";
import { ANSWER, misbehaving, openAi } from "../../support/models.js";

const DOWN_AT = 3;
const UP_AT = 63;
const END = 80;

/** @returns for each second who answered its request, and how often the sick model was asked while it was down */
async function minuteOf(fault: Fault) {
  const provider = await misbehaving();
  const clock = new FakeClock();
  const model = resilientModel([openAi(provider, "first"), openAi(provider, "second")], { clock, random: () => 0.5 });
  const answers: Promise<string>[] = [];
  let settledCount = 0;
  const openTo = (name: string) =>
    provider.requests.filter((seen) => seen.model === name && seen.outcome === undefined).length;
  let probesAtOnce = 0;
  for (let second = 0; second < END; second += 1) {
    if (second === DOWN_AT) provider.setFault(fault, { model: "first" });
    if (second === UP_AT) provider.setFault(undefined, { model: "first" });
    const answer = model.invoke("q").then((message) => {
      expect(message.text).toBe(ANSWER);
      return (message.response_metadata.resilience as AnswerProvenance).answeredBy;
    });
    answers.push(
      answer.finally(() => {
        settledCount += 1;
      }),
    );
    // Whatever needs no time is done within its second: only silence and retry waits are left to wait for.
    const isIdle = () => settledCount === answers.length || clock.pending.length > 0 || openTo("first") > 0;
    while (!isIdle()) await new Promise((resolve) => setImmediate(resolve));
    if (second > UP_AT - 30 && second < UP_AT) probesAtOnce = Math.max(probesAtOnce, openTo("first"));
    await clock.advance(1000);
  }
  let isOver = false;
  const all = Promise.all(answers).finally(() => {
    isOver = true;
  });
  while (!isOver) {
    await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(1000);
  }
  const sick = provider.requests.filter(
    ({ fault: met, model: name }) => name === "first" && met.kind !== "none",
  ).length;
  return { by: await all, sick, probesAtOnce };
}

describe.each([
  ["refuses with 503", { kind: "status", status: 503 }, 20],
  ["resets connections", { kind: "reset" }, 20],
  // Until three of those asked first have waited 15 s in vain, everyone asks it.
  ["does not answer", { kind: "hang" }, 25],
] as const)("a first model that %s for a minute", (_how, fault, most) => {
  it("is stood in for meanwhile, looked after now and then, and returned to within 10 s", async () => {
    const { by, sick, probesAtOnce } = await minuteOf(fault);
    expect(new Set(by.slice(0, DOWN_AT))).toEqual(new Set(["first"]));
    expect(new Set(by.slice(DOWN_AT, UP_AT))).toEqual(new Set(["second"]));
    expect(new Set(by.slice(UP_AT + 10))).toEqual(new Set(["first"]));
    expect(sick).toBeLessThanOrEqual(most);
    expect(probesAtOnce).toBeLessThanOrEqual(1);
  });
});

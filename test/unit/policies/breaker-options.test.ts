import { describe, expect, it } from "vitest";
import { parseOptions } from "../../../src/core/options.js";
import { type BreakerOptions, breakerSchema } from "../../../src/policies/breaker/breaker-options.js";

const parse = (given: unknown) => parseOptions("breaker", breakerSchema, given);

describe("the options of a circuit breaker", () => {
  it("are by default five failures in a row, a minute of recovery and three probes", () => {
    expect(parse({})).toEqual({
      trip: [{ kind: "consecutive", failures: 5 }],
      recoveryMs: 60_000,
      halfOpenSuccesses: 3,
      probeLeaseMs: 60_000,
      counts: ["network", "timeout", "server_error", "model_unavailable", "tool_execution"],
    });
  });

  it("fill in what a trip leaves out, alone or among several", () => {
    const window = { ms: 60_000 };
    expect(parse({ trip: { kind: "ratio" } }).trip).toEqual([{ kind: "ratio", ratio: 0.5, minimumCalls: 20, window }]);
    const several: BreakerOptions = { trip: [{ kind: "consecutive" }, { kind: "slow", slowCallMs: 900 }] };
    expect(parse(several).trip).toEqual([
      { kind: "consecutive", failures: 5 },
      { kind: "slow", slowCallMs: 900, ratio: 0.5, minimumCalls: 20, window },
    ]);
  });

  it.each([
    [{ trip: { kind: "consecutive", failures: 0 } }, /"trip.failures" is 0/],
    [{ trip: [{ kind: "consecutive" }, { kind: "ratio", ratio: 2 }] }, /"trip.1.ratio" is 2/],
    [{ trip: { kind: "ratio", ratio: 0 } }, /"trip.ratio" is 0/],
    [{ trip: { kind: "ratio", window: { calls: 10 } } }, /"trip.window" is \{"calls":10\}: must hold at least minimum/],
    [{ trip: { kind: "ratio", window: { calls: 5000 } } }, /"trip.window.calls" is 5000/],
    [{ trip: { kind: "ratio", window: 60 } }, /"trip.window" is 60: must be \{ calls: 1 to 1000 \} or \{ ms: /],
    [{ trip: { kind: "slow" } }, /"trip.slowCallMs" is undefined/],
    [{ trip: { kind: "sometimes" } }, /"trip.kind" is "sometimes"/],
    [{ trip: [] }, /"trip" is \[\]/],
    [{ recoveryMs: -1 }, /"recoveryMs" is -1/],
    [{ recoveryMs: Number.POSITIVE_INFINITY }, /"recoveryMs"/],
    [{ halfOpenSuccesses: 0 }, /"halfOpenSuccesses" is 0/],
    [{ counts: ["weather"] }, /"counts.0" is "weather"/],
    [{ cooldown: 3 }, /cooldown/],
  ])("%j are refused with the name and the value at fault", (given, message) => {
    expect(() => parse(given)).toThrow(message);
  });
});

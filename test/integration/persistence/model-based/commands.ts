/** What random histories of a graph's threads are made of, as data. */
import fc from "fast-check";
import { SINGLE_STEPS, STEPS, type Step } from "./graph.js";
import { anyChange, anyText, anyValue, plainText, type ValueSpec } from "./values.js";

const DURABILITIES = ["sync", "async", "exit"] as const;

export interface OnThread {
  readonly thread: number;
  /** Which of its checkpoints, counted from the newest; the head where it is absent. */
  readonly back?: number | undefined;
}
interface Run extends OnThread {
  readonly durability: (typeof DURABILITIES)[number];
  /** How many times something fails before it succeeds. */
  readonly failures: number;
}

export type HistoryCommand =
  | (Run & { readonly do: "invoke"; readonly plan: readonly Step[]; readonly note: string })
  | (Run & { readonly do: "resume"; readonly answer: ValueSpec })
  | (Run & { readonly do: "go on" })
  | (Run & { readonly do: "go to"; readonly node: string; readonly text: string })
  | (OnThread & { readonly do: "update"; readonly asNode: string; readonly value: ValueSpec; readonly n: number })
  | (OnThread & { readonly do: "look"; readonly limit: number; readonly note: string })
  | (OnThread & { readonly do: "delete" });

/** What the histories are made of. */
export interface HistoryKind {
  /** Go back to older checkpoints, which makes branches. */
  readonly forks: boolean;
  /** Let several tasks write in one superstep. */
  readonly parallel: boolean;
  /** Let texts that the stock saver cannot store stand in identifiers and metadata. */
  readonly oddTexts: boolean;
}
export const EVERYTHING: HistoryKind = { forks: true, parallel: true, oddTexts: true };

export const THREADS = 2;
const AS_NODES = [
  "",
  "next",
  "say",
  "left",
  "ask",
  "inner",
  "overwrite",
  "__end__",
  "__copy__",
  "__input__",
  "nothing",
];

export function anyHistory(
  { forks, parallel, oddTexts }: HistoryKind,
  { minLength = 5, maxLength = 12 } = {},
): fc.Arbitrary<HistoryCommand[]> {
  const step: fc.Arbitrary<Step> = fc.record({
    kind: fc.constantFrom(...(parallel ? STEPS : SINGLE_STEPS)),
    change: anyChange,
    n: fc.nat(9),
  });
  const on = {
    thread: fc.nat(THREADS - 1),
    back: forks ? fc.option(fc.nat(40), { nil: undefined, freq: 3 }) : fc.constant(undefined),
  };
  const run = { ...on, durability: fc.constantFrom(...DURABILITIES), failures: fc.constantFrom(0, 0, 1, 2) };
  const note = oddTexts ? anyText : plainText;
  const plan = fc.array(step, { minLength: 1, maxLength: 3 });
  const asNode = fc.constantFrom(...AS_NODES.filter((name) => forks || name !== "__copy__"));
  const command: fc.Arbitrary<HistoryCommand> = fc.oneof(
    { weight: 8, arbitrary: fc.record({ ...run, do: fc.constant("invoke" as const), plan, note }) },
    { weight: 3, arbitrary: fc.record({ ...run, do: fc.constant("resume" as const), answer: anyValue }) },
    { weight: 3, arbitrary: fc.record({ ...run, do: fc.constant("go on" as const) }) },
    {
      weight: 1,
      arbitrary: fc.record({
        ...run,
        do: fc.constant("go to" as const),
        node: fc.constantFrom("say", "next", "flaky"),
        text: anyText,
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({ ...on, do: fc.constant("update" as const), asNode, value: anyValue, n: fc.nat(9) }),
    },
    { weight: 2, arbitrary: fc.record({ ...on, do: fc.constant("look" as const), limit: fc.nat(6), note }) },
    { weight: 1, arbitrary: fc.record({ ...on, do: fc.constant("delete" as const) }) },
  );
  return fc.array(command, { minLength, maxLength, size: "max" });
}

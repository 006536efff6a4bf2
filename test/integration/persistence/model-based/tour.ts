/** A history that comes by everything once, so that nothing depends on what is drawn. */

import type { HistoryCommand } from "./commands.js";
import type { Step, StepKind } from "./graph.js";
import type { ChangeSpec, ValueSpec } from "./values.js";

const value = (kind: ValueSpec["kind"], text: string, n = 0): ValueSpec => ({ kind, text, n });
const long = 'A long text with " quotes and \\ backslashes, \0 and 😀. '.repeat(5);

const step = (kind: StepKind, n = 0, how: ChangeSpec["how"] = "set", with_ = value("text", long)): Step => ({
  kind,
  n,
  change: { how, value: with_ },
});
const invoke = (plan: readonly Step[], more: object = {}): HistoryCommand => ({
  do: "invoke",
  thread: 0,
  durability: "async",
  failures: 0,
  note: "note",
  plan,
  ...more,
});
const goOn = (more: object = {}): HistoryCommand => ({
  do: "go on",
  thread: 0,
  durability: "sync",
  failures: 0,
  ...more,
});
const resume = (more: object = {}): HistoryCommand => ({
  do: "resume",
  thread: 0,
  durability: "sync",
  failures: 0,
  answer: value("object", "yes"),
  ...more,
});
const update = (asNode: string, more: object = {}): HistoryCommand => ({
  do: "update",
  thread: 0,
  asNode,
  value: value("bytes", long),
  n: 1,
  ...more,
});
const look = (more: object = {}): HistoryCommand => ({ do: "look", thread: 0, limit: 3, note: "note", ...more });

export const tour: readonly HistoryCommand[] = [
  invoke([step("say"), step("parallel", 1), step("workers", 3), step("say", 2, "append")]),
  invoke([step("inner", 0), step("keeper", 0), step("keeper", 3), step("overwrite", 1), step("parallel", 4)]),
  look(),
  look({ back: 5 }),
  invoke([step("together", 2)], { failures: 1 }),
  goOn({ failures: 1 }),
  goOn(),
  resume(),
  resume({ durability: "exit" }),
  invoke([step("ask", 3), step("forget"), step("parallel")], { durability: "exit" }),
  resume(),
  resume({ durability: "exit" }),
  update("say"),
  update("", { n: 0 }),
  update("__copy__", { n: 0, back: 2 }),
  update("__input__", { back: 1 }),
  update("left", { back: 6 }),
  goOn({ durability: "async" }),
  goOn({ back: 9 }),
  invoke([step("parallel", 2), step("keeper", 1)], { back: 12, failures: 1 }),
  goOn(),
  invoke([step("say", 0, "swap a surrogate")], { back: 4, durability: "exit" }),
  { do: "go to", thread: 0, durability: "sync", failures: 0, node: "say", text: long },
  look({ limit: 2 }),
  invoke([step("parallel"), step("ask")], { thread: 1 }),
  update("nothing", { thread: 1 }),
  { do: "delete", thread: 1 },
  invoke([step("workers", 2), step("flaky")], { thread: 1, failures: 2 }),
];

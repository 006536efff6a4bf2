import { describe, expect, it } from "vitest";
import { type PlanRow, planThread } from "../../../src/persistence/retention/plan.js";

type Given = Partial<PlanRow> & { readonly id: string };

/** The rows of one namespace, oldest first. */
function namespace(ns: string, ...given: readonly Given[]): PlanRow[] {
  return given.map((row, n) => ({
    ns,
    parent: given[n - 1]?.id ?? null,
    place: given.length - n,
    source: "loop",
    parents: ns === "" ? {} : null,
    needsParent: false,
    pinned: false,
    waits: false,
    damaged: false,
    ...row,
  }));
}

const ids = (...all: string[]): Given[] => all.map((id) => ({ id }));
const kept = (rows: readonly PlanRow[], keepLast: number) =>
  planThread(rows, keepLast).kept.map(({ ns, id }) => (ns === "" ? id : `${ns}/${id}`));

describe("of a thread's checkpoints", () => {
  it("the newest stay, and the others go, newest first", () => {
    const rows = namespace("", ...ids("1", "2", "3", "4"));
    expect(kept(rows, 2)).toEqual(["3", "4"]);
    expect(planThread(rows, 2).gone.map(({ id }) => id)).toEqual(["2", "1"]);
    expect(kept(rows, 100)).toEqual(["1", "2", "3", "4"]);
  });

  it("pinned ones stay, and those with a question that has no answer", () => {
    expect(
      kept(namespace("", { id: "1", waits: true }, { id: "2", pinned: true }, { id: "3" }, { id: "4" }), 1),
    ).toEqual(["1", "2", "4"]);
  });

  it("damaged ones do not count among the newest, for nobody can go on from them", () => {
    expect(kept(namespace("", ...ids("1", "2"), { id: "3", damaged: true }), 1)).toEqual(["2", "3"]);
  });

  it("the ancestors stay that the value of a delta channel is made of, and theirs", () => {
    const needs = (id: string) => ({ id, needsParent: true });
    const rows = namespace("", { id: "1" }, { id: "2" }, needs("3"), needs("4"), { id: "5", pinned: true }, needs("6"));
    expect(kept(rows, 1)).toEqual(["5", "6"]);
    expect(
      kept(
        rows.map((row) => (row.id === "5" ? { ...row, needsParent: true } : row)),
        1,
      ),
    ).toEqual(["2", "3", "4", "5", "6"]);
  });
});

describe("of a subgraph's checkpoints", () => {
  const of = (root: string, ...all: string[]): Given[] => all.map((id) => ({ id, parents: { "": root } }));

  it("those of a kept root checkpoint stay, the others go", () => {
    const rows = [
      ...namespace("", ...ids("10", "20", "30")),
      ...namespace("n:1", ...of("10", "11", "12")),
      ...namespace("n:2", ...of("20", "21")),
    ];
    expect(kept(rows, 2)).toEqual(["20", "30", "n:2/21"]);
  });

  it("those of a root checkpoint that is newer than all stay: its own is not stored yet", () => {
    const rows = [...namespace("", ...ids("10", "20")), ...namespace("n:3", ...of("30", "31"))];
    expect(kept(rows, 1)).toEqual(["20", "n:3/31"]);
  });

  it("of a history over all runs the newest stays, and what was the newest at each kept root checkpoint", () => {
    const rows = [
      ...namespace("", { id: "10" }, { id: "20", pinned: true }, { id: "30" }, { id: "40" }),
      ...namespace("keeper", ...of("10", "11", "12"), ...of("20", "21", "22"), ...of("30", "31")),
    ];
    expect(kept(rows, 1)).toEqual(["20", "40", "keeper/12", "keeper/21", "keeper/22", "keeper/31"]);
  });

  it("and those of its own subgraphs with each", () => {
    const rows = [
      ...namespace("", ...ids("10", "20")),
      ...namespace("keeper", ...of("10", "11")),
      ...namespace("keeper|deep:1", { id: "12", parents: { "": "10", keeper: "11" } }),
    ];
    expect(kept(rows, 1)).toEqual(["20", "keeper/11", "keeper|deep:1/12"]);
  });

  it("what asks a person stays with the checkpoints around it", () => {
    const rows = [
      ...namespace("", ...ids("10", "20")),
      ...namespace("n:1", { id: "11", parents: { "": "10" }, waits: true }),
    ];
    expect(kept(rows, 1)).toEqual(["10", "20", "n:1/11"]);
  });

  it("all stay where no root checkpoint is stored", () => {
    expect(kept(namespace("n:1", ...of("10", "11", "12")), 1)).toEqual(["n:1/11", "n:1/12"]);
  });
});

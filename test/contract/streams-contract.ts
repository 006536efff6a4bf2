/** What the store of generated texts must do in every persistence plugin. */
import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { Persistence } from "../../src/core/ports.js";
import type { StreamPart, StreamScope, StreamStore } from "../../src/core/store-ports.js";
import { oddTexts } from "./odd-texts.js";

export const newStream = (): StreamScope => ({
  threadId: randomUUID(),
  node: "write",
  step: "checkpoint-1",
  stream: "question",
});

/** Part number `seq` of writer "w", after one of its own. */
export const part = (seq: number, fields: Partial<StreamPart> = {}): StreamPart => ({
  seq,
  text: `part ${seq}. `,
  tokens: 2,
  writer: "w",
  ...(seq === 0 ? {} : { after: "w" }),
  ...fields,
});

export function streamsContract(store: () => StreamStore, opened: () => Persistence): void {
  const write = async (scope: StreamScope, ...parts: StreamPart[]): Promise<boolean[]> => {
    const written = [];
    for (const one of parts) written.push(await store().append(scope, one));
    return written;
  };
  const text = async (scope: StreamScope) => (await store().load(scope))?.text;

  describe("generated texts", () => {
    it("are given back as far as they were saved", async () => {
      const scope = newStream();
      expect(await store().load(scope)).toBeUndefined();
      expect(await write(scope, part(0), part(1), part(2))).toEqual([true, true, true]);
      expect(await store().load(scope)).toEqual({
        text: "part 0. part 1. part 2. ",
        tokens: 6,
        parts: 3,
        writer: "w",
      });
    });

    it("are complete with the part that ends them", async () => {
      const scope = newStream();
      const end = { id: "run-1", response_metadata: { finish_reason: "stop" }, odd: oddTexts };
      await write(scope, part(0), part(1, { text: "", tokens: 0, end }));
      expect(await store().load(scope)).toEqual({ text: "part 0. ", tokens: 2, parts: 2, writer: "w", end });
    });

    it("have a part once, however often and whatever the same writer says again", async () => {
      const scope = newStream();
      await write(scope, part(0), part(1));
      expect(await write(scope, part(1, { text: "other" }), part(0))).toEqual([true, true]);
      await Promise.all(Array.from({ length: 20 }, () => store().append(scope, part(2))));
      expect(await text(scope)).toBe("part 0. part 1. part 2. ");
    });

    it("are gone on with by one of all who would, and the others are told", async () => {
      const scope = newStream();
      await write(scope, part(0));
      const writers = Array.from({ length: 12 }, (_, index) => `w${index}`);
      const told = await Promise.all(
        writers.map((writer) => store().append(scope, part(1, { writer, text: `${writer} ` }))),
      );
      const [winner, ...more] = writers.filter((_, index) => told[index]);
      expect(more).toEqual([]);
      expect(await text(scope)).toBe(`part 0. ${winner} `);
      const loser = winner === "w0" ? "w1" : "w0";
      expect(await write(scope, part(2, { writer: loser, after: loser }))).toEqual([false]);
      expect(await write(scope, part(2, { writer: loser, after: winner as string }))).toEqual([true]);
    });

    it("have no gaps: what was to come after a part that is not there is refused", async () => {
      const scope = newStream();
      expect(await write(scope, part(1), part(0), part(2))).toEqual([false, true, false]);
      expect(await text(scope)).toBe("part 0. ");
    });

    it("lose what their writer takes back, and no other's", async () => {
      const scope = newStream();
      await write(scope, part(0), part(1, { writer: "x" }), part(2, { writer: "x", after: "x" }));
      await store().truncate(scope, 1, "y");
      expect(await text(scope)).toBe("part 0. part 1. part 2. ");
      await store().truncate(scope, 1, "x");
      await store().truncate(scope, 1, "x");
      expect(await text(scope)).toBe("part 0. ");
      expect(await write(scope, part(1, { writer: "z", text: "anew" }))).toEqual([true]);
      await store().truncate(scope, 0, "w");
      expect(await store().load(scope)).toBeUndefined();
    });

    it("are given back no further than where what came before was taken back by a writer that was thought dead", async () => {
      const scope = newStream();
      await write(scope, part(0), part(1, { writer: "x" }), part(2, { writer: "y", after: "x" }));
      await store().truncate(scope, 1, "x");
      expect(await text(scope)).toBe("part 0. ");
      expect(await write(scope, part(1, { writer: "z", text: "anew" }))).toEqual([true]);
      expect(await text(scope)).toBe("part 0. anew");
    });

    it("are cleared one by one", async () => {
      const [scope, other] = [newStream(), { ...newStream(), stream: "other" }];
      await store().clear(scope);
      await write(scope, part(0), part(1));
      await write(other, part(0));
      await store().clear(scope);
      expect([await text(scope), await text(other)]).toEqual([undefined, "part 0. "]);
      expect(await write(scope, part(1), part(0))).toEqual([false, true]);
    });

    it("of other steps of the node can be cleared", async () => {
      const scope = newStream();
      const scopes = [
        scope,
        { ...scope, stream: "another question" },
        { ...scope, step: "checkpoint-0" },
        { ...scope, step: "checkpoint-2", stream: "another question" },
        { ...scope, step: "checkpoint-0", node: "rewrite" },
        { ...scope, step: "checkpoint-0", threadId: randomUUID() },
      ];
      for (const one of scopes) await write(one, part(0), part(1));
      await store().clearOtherSteps(scope);
      const left = await Promise.all(scopes.map(async (one) => (await text(one)) !== undefined));
      expect(left).toEqual([true, true, false, false, true, true]);
    });

    it("of a deleted thread are forgotten, and of no other", async () => {
      const [gone, kept] = [newStream(), newStream()];
      for (const scope of [gone, { ...gone, step: "checkpoint-2" }, kept]) await write(scope, part(0));
      await opened().checkpointer.deleteThread(gone.threadId);
      expect(await store().load(gone)).toBeUndefined();
      expect(await store().load({ ...gone, step: "checkpoint-2" })).toBeUndefined();
      expect(await text(kept)).toBe("part 0. ");
    });

    it.each(oddTexts)("keep %j in names and texts", async (odd) => {
      const scope = { threadId: `${randomUUID()}${odd}`, node: odd, step: odd, stream: odd };
      const writer = `${odd}w`;
      expect(await write(scope, part(0, { text: odd, writer }), part(1, { text: odd, writer, after: writer }))).toEqual(
        [true, true],
      );
      expect(await store().load(scope)).toEqual({ text: `${odd}${odd}`, tokens: 4, parts: 2, writer });
    });

    it("keep a pair of surrogates together that was cut between two parts", async () => {
      const scope = newStream();
      await write(scope, part(0, { text: "\ud83e" }), part(1, { text: "\udde8" }));
      expect(await text(scope)).toBe("🧨");
    });
  });
}

/** What the store of growing texts must do. */
import { randomUUID } from "node:crypto";
import type { StreamPart, StreamScope, StreamStore } from "../core/store-ports.js";
import type { Contract } from "./contract.js";
import { equals } from "./expectations.js";
import { oddTexts } from "./odd-texts.js";
import { newStream, streamPart as part } from "./samples.js";

export function streamCases({ describe, it, opened }: Contract): void {
  const store = () => opened().streams as StreamStore;
  const write = async (scope: StreamScope, ...parts: StreamPart[]): Promise<boolean[]> => {
    const written = [];
    for (const one of parts) written.push(await store().append(scope, one));
    return written;
  };
  const text = async (scope: StreamScope) => (await store().load(scope))?.text;

  describe("generated texts", () => {
    it("are given back as far as they were saved", async () => {
      const scope = newStream();
      equals(await store().load(scope), undefined);
      equals(await write(scope, part(0), part(1), part(2)), [true, true, true]);
      const whole = "part 0. part 1. part 2. ";
      equals(await store().load(scope), { text: whole, tokens: 6, parts: 3, writer: "w" });
    });

    it("are complete with the part that ends them", async () => {
      const scope = newStream();
      const end = { id: "run-1", response_metadata: { finish_reason: "stop" }, odd: oddTexts };
      await write(scope, part(0), part(1, { text: "", tokens: 0, end }));
      equals(await store().load(scope), { text: "part 0. ", tokens: 2, parts: 2, writer: "w", end });
    });

    it("have a part once, however often and whatever the same writer says again", async () => {
      const scope = newStream();
      await write(scope, part(0), part(1));
      equals(await write(scope, part(1, { text: "other" }), part(0)), [true, true]);
      await Promise.all(Array.from({ length: 20 }, () => store().append(scope, part(2))));
      equals(await text(scope), "part 0. part 1. part 2. ");
    });

    it("are gone on with by one of all who would, and the others are told", async () => {
      const scope = newStream();
      await write(scope, part(0));
      const writers = Array.from({ length: 12 }, (_, index) => `w${index}`);
      const told = await Promise.all(
        writers.map((writer) => store().append(scope, part(1, { writer, text: `${writer} ` }))),
      );
      const winners = writers.filter((_, index) => told[index]);
      equals(winners.length, 1);
      const winner = winners[0] ?? "";
      equals(await text(scope), `part 0. ${winner} `);
      const loser = winner === "w0" ? "w1" : "w0";
      equals(await write(scope, part(2, { writer: loser, after: loser })), [false]);
      equals(await write(scope, part(2, { writer: loser, after: winner })), [true]);
    });

    it("have no gaps: what was to come after a part that is not there is refused", async () => {
      const scope = newStream();
      equals(await write(scope, part(1), part(0), part(2)), [false, true, false]);
      equals(await text(scope), "part 0. ");
    });

    it("lose what their writer takes back, and no other's", async () => {
      const scope = newStream();
      await write(scope, part(0), part(1, { writer: "x" }), part(2, { writer: "x", after: "x" }));
      await store().truncate(scope, 1, "y");
      equals(await text(scope), "part 0. part 1. part 2. ");
      await store().truncate(scope, 1, "x");
      await store().truncate(scope, 1, "x");
      equals(await text(scope), "part 0. ");
      equals(await write(scope, part(1, { writer: "z", text: "anew" })), [true]);
      await store().truncate(scope, 0, "w");
      equals(await store().load(scope), undefined);
    });

    it("end where a writer that was thought dead took back what came before", async () => {
      const scope = newStream();
      await write(scope, part(0), part(1, { writer: "x" }), part(2, { writer: "y", after: "x" }));
      await store().truncate(scope, 1, "x");
      equals(await text(scope), "part 0. ");
      equals(await write(scope, part(1, { writer: "z", text: "anew" })), [true]);
      equals(await text(scope), "part 0. anew");
    });

    it("are cleared one by one", async () => {
      const [scope, other] = [newStream(), { ...newStream(), stream: "other" }];
      await store().clear(scope);
      await write(scope, part(0), part(1));
      await write(other, part(0));
      await store().clear(scope);
      equals([await text(scope), await text(other)], [undefined, "part 0. "]);
      equals(await write(scope, part(1), part(0)), [false, true]);
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
      equals(left, [true, true, false, false, true, true]);
    });

    it("of a deleted thread are forgotten, and of no other", async () => {
      const [gone, kept] = [newStream(), newStream()];
      for (const scope of [gone, { ...gone, step: "checkpoint-2" }, kept]) await write(scope, part(0));
      await opened().checkpointer.deleteThread(gone.threadId);
      equals(await store().load(gone), undefined);
      equals(await store().load({ ...gone, step: "checkpoint-2" }), undefined);
      equals(await text(kept), "part 0. ");
    });

    for (const odd of oddTexts) {
      it(`keep ${JSON.stringify(odd)} in names and texts`, async () => {
        const scope = { threadId: `${randomUUID()}${odd}`, node: odd, step: odd, stream: odd };
        const writer = `${odd}w`;
        const parts = [part(0, { text: odd, writer }), part(1, { text: odd, writer, after: writer })];
        equals(await write(scope, ...parts), [true, true]);
        equals(await store().load(scope), { text: `${odd}${odd}`, tokens: 4, parts: 2, writer });
      });
    }

    it("keep a pair of surrogates together that was cut between two parts", async () => {
      const scope = newStream();
      await write(scope, part(0, { text: "\ud83e" }), part(1, { text: "\udde8" }));
      equals(await text(scope), "🧨");
    });
  });
}

/** What the store of failed attempts must do. */
import { randomUUID } from "node:crypto";
import type { AttemptScope, AttemptStore } from "../core/store-ports.js";
import type { Contract } from "./contract.js";
import { equals } from "./expectations.js";
import { oddTexts } from "./odd-texts.js";
import { failedAttempt as failed, newScope } from "./samples.js";

export function attemptCases({ describe, it, opened }: Contract): void {
  const store = () => opened().attempts as AttemptStore;
  const numbers = async (scope: AttemptScope) => (await store().load(scope))?.attempts.map(({ number }) => number);
  const state = async (scope: AttemptScope) => (await store().load(scope))?.state;

  describe("attempts", () => {
    it("are given back as they were, by number, and leave the step open", async () => {
      const scope = newScope();
      equals(await store().load(scope), undefined);
      for (const number of [2, 10, 1]) await store().append(scope, failed(number));
      equals(await store().load(scope), { attempts: [failed(1), failed(2), failed(10)], state: "open" });
    });

    it("are added once, whatever is said the second time, which then changes no state either", async () => {
      const scope = newScope();
      await store().append(scope, failed(1, "first report"));
      await store().append(scope, failed(1, "second report"));
      await store().mark(scope, "paused");
      await store().append(scope, failed(1, "third report"));
      equals(await store().load(scope), { attempts: [failed(1, "first report")], state: "paused" });
    });

    it("are added when many are told at once, and one of them many times", async () => {
      const scope = newScope();
      const told = Array.from({ length: 20 }, (_, at) => failed(at + 1));
      const again = Array.from({ length: 20 }, () => failed(7));
      await Promise.all([...told, ...told, ...again].map((one) => store().append(scope, one)));
      equals((await store().load(scope))?.attempts, told);
    });

    it("keep how the step was left, until another attempt opens it again", async () => {
      const scope = newScope();
      await store().append(scope, failed(1));
      for (const left of ["paused", "ended", "open", "ended"] as const) {
        await store().mark(scope, left);
        equals(await state(scope), left);
      }
      await store().append(scope, failed(2));
      equals(await state(scope), "open");
      await store().mark(scope, "paused");
      equals(await state(scope), "paused");
    });

    it("open the step also with a lower number than those before", async () => {
      const scope = newScope();
      await store().append(scope, failed(5));
      await store().mark(scope, "ended");
      await store().append(scope, failed(4));
      equals(await state(scope), "open");
    });

    it("are not made by a mark where there are none", async () => {
      const scope = newScope();
      await store().mark(scope, "ended");
      equals(await store().load(scope), undefined);
    });

    it("of one step can be cleared, which then counts from the beginning", async () => {
      const scope = newScope();
      await store().clear(scope);
      await store().append(scope, failed(1));
      await store().append(scope, failed(2));
      await store().mark(scope, "ended");
      await store().clear(scope);
      equals(await store().load(scope), undefined);
      await store().append(scope, failed(1));
      equals(await store().load(scope), { attempts: [failed(1)], state: "open" });
    });

    it("of other threads and steps are others", async () => {
      const [one, other] = [randomUUID(), randomUUID()];
      const scopes = [one, other].flatMap((threadId) => ["a", "b"].map((step): AttemptScope => ({ threadId, step })));
      for (const [at, scope] of scopes.entries()) await store().append(scope, failed(at + 1));
      await store().mark({ threadId: one, step: "b" }, "ended");
      await store().clear({ threadId: one, step: "a" });
      equals(await Promise.all(scopes.map(numbers)), [undefined, [2], [3], [4]]);
      equals(await Promise.all(scopes.map(state)), [undefined, "ended", "open", "open"]);
    });

    it("of a deleted thread are forgotten, and of no other", async () => {
      const [gone, kept] = [newScope(), newScope()];
      for (const scope of [gone, { ...gone, step: "other" }, kept]) await store().append(scope, failed(1));
      await opened().checkpointer.deleteThread(gone.threadId);
      equals(await store().load(gone), undefined);
      equals(await store().load({ ...gone, step: "other" }), undefined);
      equals(await numbers(kept), [1]);
    });

    for (const text of oddTexts) {
      it(`keep ${JSON.stringify(text)} in threads, steps and messages`, async () => {
        const scope = { threadId: `${randomUUID()}${text}`, step: text };
        await store().append(scope, failed(1, text));
        await store().mark(scope, "paused");
        equals(await store().load(scope), { attempts: [failed(1, text)], state: "paused" });
        await store().clear(scope);
        equals(await store().load(scope), undefined);
      });
    }

    it("keep no secret that a message repeats", async () => {
      const scope = newScope();
      const { report, ...rest } = failed(1, "401 for Bearer abcdef123456");
      await store().append(scope, { ...rest, report: { ...report, cause: ["Error: postgres://u:hunter2@db/x"] } });
      const [kept] = (await store().load(scope))?.attempts ?? [];
      const cause = ["Error: postgres://u:[redacted]@db/x"];
      equals(kept?.report, { ...report, message: "401 for Bearer [redacted]", cause });
    });
  });
}

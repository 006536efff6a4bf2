/** What leases must do, and what a checkpointer must refuse to a run that has lost its own. */
import { randomUUID } from "node:crypto";
import type { RunnableConfig } from "@langchain/core/runnables";
import { type HeldLease, RUN_HOLD, type RunHold } from "../core/run-hold.js";
import type { LeaseAnswer, LeaseStore } from "../core/store-ports.js";
import type { Contract } from "./contract.js";
import { contains, equals, eventually, isTrue, rejects } from "./expectations.js";
import { oddTexts } from "./odd-texts.js";
import { metadata, newCheckpoint } from "./samples.js";

const aMinute = 60_000;
const aMoment = 20;

export function lockCases(contract: Contract): void {
  leaseCases(contract);
  fencingCases(contract);
}

const locksOf = ({ opened }: Contract) => opened().locks as LeaseStore;

/** @throws when another holds it */
function tokenOf(answer: LeaseAnswer): number {
  equals(answer.kind, "held");
  return answer.token;
}

function leaseCases(contract: Contract): void {
  const { describe, it } = contract;
  const locks = () => locksOf(contract);
  const takeOnceOver = async (name: string, holder: string): Promise<number> => {
    let answer = await locks().acquire(name, holder, aMinute);
    await eventually("the lease has run out", async () => {
      if (answer.kind === "busy") answer = await locks().acquire(name, holder, aMinute);
      return answer.kind === "held";
    });
    return answer.token;
  };

  describe("leases", () => {
    it("are held by one, and others are told by whom and for how long", async () => {
      const name = randomUUID();
      const token = tokenOf(await locks().acquire(name, "first", aMinute));
      const answer = await locks().acquire(name, "second", aMinute);
      contains(answer, { kind: "busy", holder: "first", token });
      const { expiresInMs = Number.NaN } = answer as { expiresInMs?: number };
      isTrue(expiresInMs > 0 && expiresInMs <= aMinute, `the lease is said to run for another ${expiresInMs} ms`);
      tokenOf(await locks().acquire(randomUUID(), "second", aMinute));
    });

    it("are taken by one of many who ask at once", async () => {
      const name = randomUUID();
      const holders = Array.from({ length: 20 }, (_, index) => `holder ${index}`);
      const answers = await Promise.all(holders.map((holder) => locks().acquire(name, holder, aMinute)));
      const held = answers.filter(({ kind }) => kind === "held");
      equals(held.length, 1);
      const winner = holders[answers.findIndex(({ kind }) => kind === "held")];
      contains(await locks().acquire(name, "late", aMinute), { kind: "busy", holder: winner, token: held[0]?.token });
    });

    it("are given again to a holder that asks again, under the same token", async () => {
      const name = randomUUID();
      const token = tokenOf(await locks().acquire(name, "first", aMinute));
      equals(tokenOf(await locks().acquire(name, "first", aMinute)), token);
    });

    it("are free once they are released, and the next holder has a greater token", async () => {
      const name = randomUUID();
      const first = tokenOf(await locks().acquire(name, "first", aMinute));
      await locks().release(name, first + 1000);
      contains(await locks().acquire(name, "second", aMinute), { kind: "busy", holder: "first" });
      await locks().release(name, first);
      await locks().release(name, first);
      const second = tokenOf(await locks().acquire(name, "second", aMinute));
      isTrue(second > first, `token ${second} came after ${first}`);
      await locks().release(name, first);
      contains(await locks().acquire(name, "third", aMinute), { kind: "busy", holder: "second" });
    });

    it("are free once their time is over, and then the earlier holder's token counts for nothing", async () => {
      const name = randomUUID();
      const first = tokenOf(await locks().acquire(name, "first", aMoment));
      const second = await takeOnceOver(name, "second");
      isTrue(second > first, `token ${second} came after ${first}`);
      equals(await locks().renew(name, first, aMinute), false);
      await locks().release(name, first);
      contains(await locks().acquire(name, "first", aMinute), { kind: "busy", holder: "second", token: second });
    });

    it("run on when they are renewed, also late, if nobody took them meanwhile", async () => {
      const name = randomUUID();
      const token = tokenOf(await locks().acquire(name, "first", 0));
      equals(await locks().renew(name, token, aMinute), true);
      contains(await locks().acquire(name, "second", aMinute), { kind: "busy", holder: "first", token });
    });

    it("cannot be renewed when they are not there", async () => {
      equals(await locks().renew(randomUUID(), 1, aMinute), false);
    });

    it("can be taken over before their time, by who knows the token that is to end", async () => {
      const name = randomUUID();
      const first = tokenOf(await locks().acquire(name, "gone", aMinute));
      contains(await locks().takeOver(name, first + 1000, "second", aMinute), { kind: "busy", holder: "gone" });
      const second = tokenOf(await locks().takeOver(name, first, "second", aMinute));
      isTrue(second > first, `token ${second} came after ${first}`);
      contains(await locks().takeOver(name, first, "third", aMinute), { kind: "busy", holder: "second" });
      equals(await locks().renew(name, first, aMinute), false);
    });

    for (const text of oddTexts) {
      it(`keep ${JSON.stringify(text)} in names and holders`, async () => {
        const name = `${randomUUID()}${text}`;
        const holder = `holder ${text}`;
        tokenOf(await locks().acquire(name, holder, aMinute));
        contains(await locks().acquire(name, "another", aMinute), { kind: "busy", holder });
      });
    }
  });
}

function fencingCases(contract: Contract): void {
  const { describe, it, opened } = contract;
  const locks = () => locksOf(contract);
  const saver = () => opened().checkpointer;
  const writesUnder = (lease: HeldLease, threadId = randomUUID()) => {
    const hold: RunHold = { lease, abort() {} };
    const config: RunnableConfig = { configurable: { thread_id: threadId, checkpoint_ns: "", [RUN_HOLD]: hold } };
    return {
      threadId,
      put: () => saver().put(config, newCheckpoint(), metadata, {}),
      write: (at: RunnableConfig) =>
        saver().putWrites({ configurable: { ...config.configurable, ...at.configurable } }, [["a", 1]], "task"),
    };
  };

  describe("a run that holds a lease", () => {
    it("writes while it holds it, and nothing once another has it", async () => {
      const name = randomUUID();
      const first = tokenOf(await locks().acquire(name, "first", aMinute));
      const { threadId, put, write } = writesUnder({ name, token: first });
      const at = await put();
      await write(at);
      const before = await saver().getTuple({ configurable: { thread_id: threadId } });
      equals(before?.pendingWrites?.length, 1);
      const second = tokenOf(await locks().takeOver(name, first, "second", aMinute));
      await rejects(put(), { code: "LEASE_LOST" });
      await rejects(write({ configurable: { checkpoint_id: at.configurable?.checkpoint_id } }), { code: "LEASE_LOST" });
      equals(await saver().getTuple({ configurable: { thread_id: threadId } }), before);
      await writesUnder({ name, token: second }, threadId).put();
    });

    it("writes nothing once the lease is released or its time is over", async () => {
      const [released, over] = [randomUUID(), randomUUID()];
      const tokens = [
        tokenOf(await locks().acquire(released, "first", aMinute)),
        tokenOf(await locks().acquire(over, "first", 0)),
      ] as const;
      await locks().release(released, tokens[0]);
      for (const lease of [
        { name: released, token: tokens[0] },
        { name: over, token: tokens[1] },
      ]) {
        const { threadId, put, write } = writesUnder(lease);
        await rejects(put(), { code: "LEASE_LOST" });
        await rejects(write({ configurable: { checkpoint_id: "of nothing" } }), { code: "LEASE_LOST" });
        equals(await saver().getTuple({ configurable: { thread_id: threadId } }), undefined);
      }
    });
  });
}

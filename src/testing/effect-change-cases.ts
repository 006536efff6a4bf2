/** What the ledger of effects must do about changes: each is made once, from where it may be made, by who may make it. */
import { randomUUID } from "node:crypto";
import type { EffectEntry, EffectLedger, EffectState } from "../core/effect-ports.js";
import type { HeldLease } from "../core/run-hold.js";
import type { Contract } from "./contract.js";
import { contains, equals } from "./expectations.js";
import { oddTexts } from "./odd-texts.js";
import { newEffect, changedEffect as next } from "./samples.js";

const aMinute = 60_000;

/** Each way that an effect may go, from its intent. */
const ways: readonly (readonly EffectState[])[] = [
  ["intended", "dispatched", "confirmed", "compensating", "compensated"],
  ["intended", "dispatched", "failed"],
  ["intended", "dispatched", "unknown", "dispatched", "unknown", "confirmed"],
  ["intended", "dispatched", "unknown", "failed", "dispatched", "confirmed"],
  ["intended", "dispatched", "confirmed", "compensating", "compensation_failed", "compensating", "compensated"],
  ["intended", "dispatched", "unknown", "compensating", "compensation_failed", "compensated"],
  ["dispatched", "confirmed"],
  ["confirmed"],
];

export function effectChangeCases(contract: Contract): void {
  moveCases(contract);
  leaseCases(contract);
}

const toolsOf = ({ opened }: Contract) => {
  const ledger = () => opened().ledger as EffectLedger;
  const stored = async ({ threadId }: EffectEntry): Promise<EffectEntry[]> =>
    (await ledger().list(threadId)).map(({ seq, ...entry }) => entry);
  return { ledger, stored };
};

function moveCases(contract: Contract): void {
  const { describe, it } = contract;
  const { ledger, stored } = toolsOf(contract);

  describe("changes of an effect", () => {
    for (const way of ways) {
      it(`take it through ${way.join(", ")}`, async () => {
        const entry = newEffect();
        let last: EffectState | undefined;
        for (const state of way) {
          const moved = next(entry, state);
          equals(await ledger().move(moved, last === undefined ? [] : [last]), "moved", `to ${state}`);
          equals(await stored(entry), [moved]);
          last = state;
        }
      });
    }

    it("are refused where the stored state is none of those asked for, and then change nothing", async () => {
      const entry = newEffect();
      equals(await ledger().move(next(entry, "dispatched"), ["intended", "unknown"]), "refused");
      equals(await stored(entry), []);
      equals(await ledger().move(entry, []), "moved");
      equals(await ledger().move(next(entry, "intended"), []), "refused");
      equals(await ledger().move(next(entry, "confirmed"), ["dispatched", "unknown"]), "refused");
      equals(await ledger().move(next(entry, "dispatched", { epoch: 1 }), ["intended"]), "refused");
      equals(await ledger().move(next(entry, "dispatched", { key: "another" }), ["intended"]), "refused");
      equals(await stored(entry), [entry]);
      const moved = next(entry, "dispatched");
      equals(await ledger().move(moved, ["unknown", "intended", "failed"]), "moved");
      equals(await stored(entry), [moved]);
    });

    it("are known when they are told again, and then change nothing", async () => {
      const entry = newEffect();
      const dispatched = next(entry, "dispatched", { calls: 1 });
      equals(await ledger().move(entry, []), "moved");
      equals(await ledger().move({ ...entry, input: "another" }, []), "moved");
      equals(await stored(entry), [entry]);
      for (const calls of [1, 2]) equals(await ledger().move({ ...dispatched, calls }, ["intended"]), "moved");
      equals(await stored(entry), [dispatched]);
      equals(await ledger().move(entry, []), "refused");
    });

    it("are known also when they are told many times at once", async () => {
      const entry = newEffect();
      const dispatched = next(entry, "dispatched");
      const twentyTimes = (move: () => Promise<string>) => Promise.all(Array.from({ length: 20 }, move));
      equals([...new Set(await twentyTimes(() => ledger().move(entry, [])))], ["moved"]);
      equals([...new Set(await twentyTimes(() => ledger().move(dispatched, ["intended"])))], ["moved"]);
      equals(await stored(entry), [dispatched]);
    });

    it("are made by one of many who intend it at once, and by one of many who go on", async () => {
      const entry = newEffect();
      const oneOf = async (state: EffectState, from: readonly EffectState[]): Promise<EffectEntry | undefined> => {
        const asked = Array.from({ length: 20 }, () => next(entry, state));
        const answers = await Promise.all(asked.map((one) => ledger().move(one, from)));
        equals([...answers].sort(), ["moved", ...Array.from({ length: 19 }, () => "refused")]);
        return asked[answers.indexOf("moved")];
      };
      equals(await stored(entry), []);
      const intended = await oneOf("intended", []);
      equals(await stored(entry), [intended]);
      const dispatched = await oneOf("dispatched", ["intended"]);
      equals(await stored(entry), [dispatched]);
    });
  });
}

function leaseCases(contract: Contract): void {
  const { describe, it, opened } = contract;
  const { ledger, stored } = toolsOf(contract);
  const lease = async (leaseMs = aMinute): Promise<HeldLease | undefined> => {
    const name = `${randomUUID()} ${oddTexts.join()}`;
    const answer = await opened().locks?.acquire(name, "first", leaseMs);
    return answer && { name, token: answer.token };
  };

  describe("effects of a run that holds a lease", () => {
    it("are stored while it holds it", async () => {
      const held = await lease();
      if (held === undefined) return;
      const entry = newEffect();
      const dispatched = next(entry, "dispatched");
      equals(await ledger().move(entry, [], held), "moved");
      equals(await ledger().move(dispatched, ["intended"], held), "moved");
      equals(await ledger().move(next(entry, "confirmed"), ["intended"], held), "refused");
      equals(await stored(entry), [dispatched]);
    });

    it("are changed by one of many who would at once", async () => {
      const held = await lease();
      if (held === undefined) return;
      const entry = newEffect();
      equals(await ledger().move(entry, [], held), "moved");
      const asked = Array.from({ length: 20 }, () => next(entry, "dispatched"));
      const answers = await Promise.all(asked.map((one) => ledger().move(one, ["intended"], held)));
      equals(
        answers.filter((came) => came !== "refused"),
        ["moved"],
      );
      equals(await stored(entry), [asked[answers.indexOf("moved")]]);
    });

    it("are not stored once it is released, over or another's, nor under another token", async () => {
      const [released, over, taken, other] = await Promise.all([lease(), lease(0), lease(), lease()]);
      if (!released || !over || !taken || !other) return;
      await opened().locks?.release(released.name, released.token);
      contains(await opened().locks?.takeOver(taken.name, taken.token, "second", aMinute), { kind: "held" });
      const lost = [released, over, taken, { ...other, token: other.token + 1000 }, { ...other, name: "of nobody" }];
      for (const held of lost) {
        const entry = newEffect();
        equals(await ledger().move(entry, [], held), "lease lost");
        equals(await stored(entry), []);
        equals(await ledger().move(entry, []), "moved");
        equals(await ledger().move(next(entry, "dispatched"), ["intended"], held), "lease lost");
        // Told again it is no longer the run's to go on with, stored though it is.
        equals(await ledger().move(entry, [], held), "lease lost");
        equals(await stored(entry), [entry]);
      }
    });
  });
}

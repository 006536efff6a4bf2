/** What becomes of an entry in the audit log that goes with a change of an effect: it is there if the change was made. */
import { randomUUID } from "node:crypto";
import type { AuditEntry, AuditLog } from "../core/audit-ports.js";
import type { EffectEntry, EffectLedger } from "../core/effect-ports.js";
import type { Contract } from "./contract.js";
import { equals, rejects } from "./expectations.js";
import { newAuditEntry, newEffect, changedEffect as next } from "./samples.js";

export function auditMoveCases({ describe, it, opened }: Contract): void {
  /** The ledger; a plugin may have an audit log without one. */
  const ledger = (): EffectLedger | undefined => opened().ledger;
  const saidOf = ({ threadId }: EffectEntry, what = "effect.settled"): AuditEntry => newAuditEntry({ threadId, what });
  const logged = async ({ threadId }: EffectEntry): Promise<AuditEntry[]> =>
    (await (opened().audit as AuditLog).list({ threadId })).map(({ seq, ...entry }) => entry);

  describe("a change of an effect with an entry for the audit log", () => {
    it("writes it with the change, the first as any other", async () => {
      const entry = newEffect();
      const [intended, dispatched] = [saidOf(entry, "effect.approved"), saidOf(entry)];
      if (ledger() === undefined) return;
      equals(await ledger()?.move(entry, [], undefined, intended), "moved");
      equals(await logged(entry), [intended]);
      equals(await ledger()?.move(next(entry, "dispatched"), ["intended"], undefined, dispatched), "moved");
      equals(await logged(entry), [dispatched, intended]);
      equals((await ledger()?.list(entry.threadId))?.[0]?.state, "dispatched");
      equals(await ledger()?.move(next(entry, "confirmed"), ["dispatched"]), "moved");
      equals(await logged(entry), [dispatched, intended]);
    });

    it("writes nothing where the change is refused", async () => {
      const entry = newEffect();
      if (ledger() === undefined) return;
      equals(await ledger()?.move(next(entry, "dispatched"), ["intended"], undefined, saidOf(entry)), "refused");
      equals(await ledger()?.move(entry, []), "moved");
      equals(await ledger()?.move(next(entry, "intended"), [], undefined, saidOf(entry)), "refused");
      equals(await ledger()?.move(next(entry, "confirmed"), ["unknown"], undefined, saidOf(entry)), "refused");
      equals(await logged(entry), []);
    });

    it("writes it once, however often and by how many the change is told again", async () => {
      const entry = newEffect();
      if (ledger() === undefined) return;
      const [first, second] = [saidOf(entry), saidOf(entry)];
      const dispatched = next(entry, "dispatched");
      const twentyTimes = (move: () => Promise<unknown> | undefined) => Promise.all(Array.from({ length: 20 }, move));
      await twentyTimes(() => ledger()?.move(entry, [], undefined, first));
      await twentyTimes(() => ledger()?.move(dispatched, ["intended"], undefined, second));
      equals(await ledger()?.move(dispatched, ["intended"], undefined, second), "moved");
      equals(await logged(entry), [second, first]);
    });

    it("writes that of one of many who would make the change at once", async () => {
      const entry = newEffect();
      if (ledger() === undefined) return;
      equals(await ledger()?.move(entry, []), "moved");
      const asked = Array.from({ length: 20 }, () => saidOf(entry));
      const answers = await Promise.all(
        asked.map((said) => ledger()?.move(next(entry, "dispatched"), ["intended"], undefined, said)),
      );
      equals(await logged(entry), [asked[answers.indexOf("moved")]]);
    });

    it("writes nothing once the lease is lost, and it while the lease is held", async () => {
      const name = randomUUID();
      const answer = await opened().locks?.acquire(name, "first", 60_000);
      if (ledger() === undefined || answer === undefined) return;
      const entry = newEffect();
      const held = { name, token: answer.token };
      const said = saidOf(entry);
      equals(await ledger()?.move(entry, [], held, said), "moved");
      await opened().locks?.release(name, answer.token);
      equals(await ledger()?.move(next(entry, "dispatched"), ["intended"], held, saidOf(entry)), "lease lost");
      equals(await ledger()?.move(newEffect({ ...entry, epoch: 1 }), [], held, saidOf(entry)), "lease lost");
      equals(await logged(entry), [said]);
    });

    it("is not made with an entry that cannot be stored", async () => {
      const entry = newEffect();
      const move = ledger()?.move(entry, [], undefined, { ...saidOf(entry), details: { one: 1n } });
      if (move === undefined) return;
      await rejects(move, { code: "INVALID_INPUT" });
      equals(await ledger()?.list(entry.threadId), []);
    });

    it("keeps no secret in it", async () => {
      const entry = newEffect();
      const said = { ...saidOf(entry), details: { apiKey: "abc" } };
      if ((await ledger()?.move(entry, [], undefined, said)) === undefined) return;
      equals((await logged(entry))[0]?.details, { apiKey: "[redacted]" });
    });
  });
}

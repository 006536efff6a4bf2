/**
 * What the stores of this package's own plugins do beyond the suite for all plugins (src/testing): they pass a crash
 * point before and after each durable write.
 */
import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type CrashPoint, onCrashPoint } from "../../src/core/crash-points.js";
import type { Persistence } from "../../src/core/ports.js";
import type { LaterStores } from "../../src/core/store-ports.js";
import {
  changedEffect,
  failedAttempt,
  newAuditEntry,
  newEffect,
  newInboxItem,
  newScope,
  newStream,
  streamPart,
} from "../../src/testing/samples.js";

/** The stores that each of them has. */
export const ownStores = ["attempts", "audit", "breakers", "cache", "inbox", "ledger", "locks", "streams"] as const;

type OwnStores = Required<Pick<LaterStores, (typeof ownStores)[number]>>;

/** @throws when the plugin lacks one of them */
export function storesOf(persistence: Persistence): OwnStores {
  const { attempts, audit, breakers, cache, inbox, ledger, locks, streams } = persistence;
  if (!attempts || !audit || !breakers || !cache || !inbox || !ledger || !locks || !streams)
    throw new Error("The plugin lacks one of its stores");
  return { attempts, audit, breakers, cache, inbox, ledger, locks, streams };
}

/** @param close closes it and removes what it left */
export function crashPointsContract(
  name: string,
  open: () => Persistence | Promise<Persistence>,
  close: (persistence: Persistence) => Promise<void> = (persistence) => persistence.close(),
): void {
  const scope = newScope();
  const key = randomUUID();
  const stream = newStream();
  const intended = newEffect();
  const dispatched = changedEffect(intended, "dispatched");
  const confirmed = changedEffect(intended, "confirmed");
  const said = newAuditEntry();
  const question = newInboxItem();
  const laterStep = { ...stream, step: "checkpoint-2" };
  let persistence: Persistence;
  let token = 0;
  const stores = () => storesOf(persistence);
  const parts = async () => (await stores().streams.load(stream))?.parts ?? 0;
  const effectState = async () => (await stores().ledger.list(intended.threadId))[0]?.state;
  const loggedOf = (threadId: string) => async () => (await stores().audit.list({ threadId })).length;
  const held = async (holder: string, forMs = 0): Promise<boolean> => {
    const answer = await stores().locks.acquire(key, "somebody else", 0);
    if (answer.kind === "held") {
      await stores().locks.release(key, answer.token);
      return false;
    }
    token = answer.token;
    return answer.holder === holder && answer.expiresInMs > forMs;
  };
  const writes: readonly (readonly [name: string, write: () => Promise<unknown>, done: () => Promise<unknown>])[] = [
    ["attempts.append", () => stores().attempts.append(scope, failedAttempt(1)), () => stores().attempts.load(scope)],
    [
      "attempts.mark",
      () => stores().attempts.mark(scope, "ended"),
      async () => (await stores().attempts.load(scope))?.state === "ended",
    ],
    [
      "attempts.clear",
      () => stores().attempts.clear(scope),
      async () => (await stores().attempts.load(scope)) === undefined,
    ],
    ["audit.append", () => stores().audit.append(said), loggedOf(said.threadId)],
    [
      "breakers.write",
      () => stores().breakers.write(key, 1, 0),
      async () => (await stores().breakers.read(key)).version,
    ],
    ["cache.put", () => stores().cache.put(key, 1, 60_000), () => stores().cache.get(key)],
    ["cache.delete", () => stores().cache.delete(key), async () => (await stores().cache.get(key)) === undefined],
    ["inbox.open", () => stores().inbox.open(question), () => stores().inbox.get(question.id)],
    [
      "inbox.change",
      () =>
        stores().inbox.change({ ...question, state: "resolved" }, 1, newAuditEntry({ threadId: question.threadId })),
      async () =>
        (await stores().inbox.get(question.id))?.state === "resolved" && (await loggedOf(question.threadId)()) === 1,
    ],
    ["ledger.move.intended", () => stores().ledger.move(intended, []), effectState],
    [
      "ledger.move.dispatched",
      () => stores().ledger.move(dispatched, ["intended"]),
      async () => (await effectState()) === "dispatched",
    ],
    [
      "ledger.move.confirmed",
      () => stores().ledger.move(confirmed, ["dispatched"], undefined, newAuditEntry({ threadId: intended.threadId })),
      loggedOf(intended.threadId),
    ],
    ["locks.acquire", () => stores().locks.acquire(key, "first", 60_000), () => held("first")],
    ["locks.takeOver", () => stores().locks.takeOver(key, token, "second", 60_000), () => held("second")],
    ["locks.renew", () => stores().locks.renew(key, token, 120_000), () => held("second", 60_000)],
    ["locks.release", () => stores().locks.release(key, token), async () => !(await held("second"))],
    ["streams.append", () => stores().streams.append(stream, streamPart(0)), parts],
    ["streams.append", () => stores().streams.append(stream, streamPart(1)), async () => (await parts()) === 2],
    ["streams.truncate", () => stores().streams.truncate(stream, 1, "w"), async () => (await parts()) === 1],
    ["streams.clearOtherSteps", () => stores().streams.clearOtherSteps(laterStep), async () => (await parts()) === 0],
    ["streams.append", () => stores().streams.append(stream, streamPart(0)), parts],
    ["streams.clear", () => stores().streams.clear(stream), async () => (await parts()) === 0],
  ];

  describe(`${name} a process that dies at a write of a store`, () => {
    beforeAll(async () => {
      persistence = await open();
      await persistence.ready();
    }, 60_000);
    afterEach(() => onCrashPoint(undefined));
    afterAll(() => close(persistence));

    // In this order each write has something to change.
    it.each(writes)("%s: has written nothing before it, and all of it after", async (point, write, done) => {
      const passed: CrashPoint[] = [];
      const dyingAt = (moment: "before" | "after") => (at: CrashPoint) => {
        passed.push(at);
        if (at.endsWith(`.${moment}`)) throw new Error("the process died");
      };
      expect(await done()).toBeFalsy();
      onCrashPoint(dyingAt("before"));
      await expect(write()).rejects.toThrow("the process died");
      onCrashPoint(undefined);
      expect(await done()).toBeFalsy();
      onCrashPoint(dyingAt("after"));
      await expect(write()).rejects.toThrow("the process died");
      onCrashPoint(undefined);
      expect(await done()).toBeTruthy();
      expect(passed).toEqual([`${point}.before`, `${point}.before`, `${point}.after`]);
    });
  });
}

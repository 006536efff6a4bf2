/** What holds for the stores of every plugin: crash points around each durable write, and no secrets where people look. */
import type { AuditLog } from "../core/audit-ports.js";
import { crashPoint } from "../core/crash-points.js";
import type { EffectLedger } from "../core/effect-ports.js";
import type { InboxStore } from "../core/inbox-ports.js";
import { redactText } from "../core/redact.js";
import type { AttemptStore, LeaseStore, ResultCache, StreamStore, VersionedStore } from "../core/store-ports.js";
import type { ErrorReport } from "../errors/report.js";
import { storableAuditEntry } from "./audit-rules.js";
import { inboxVersion, storableInboxItem } from "./inbox-rules.js";

export interface PlainStores {
  readonly attempts: AttemptStore;
  readonly audit: AuditLog;
  readonly breakers: VersionedStore;
  readonly cache: ResultCache;
  readonly inbox: InboxStore;
  readonly ledger: EffectLedger;
  readonly locks: LeaseStore;
  readonly streams: StreamStore;
}

/** The stores as a plugin hands them out. */
export function byTheRules(plain: PlainStores): PlainStores {
  const { attempts, audit, breakers, cache, inbox, ledger, locks, streams } = plain;
  return {
    attempts: {
      load: (scope) => attempts.load(scope),
      append: (scope, attempt) =>
        written("attempts.append", () =>
          attempts.append(scope, { ...attempt, report: withoutSecrets(attempt.report) }),
        ),
      mark: (scope, state) => written("attempts.mark", () => attempts.mark(scope, state)),
      clear: (scope) => written("attempts.clear", () => attempts.clear(scope)),
    },
    audit: {
      append: (entry) => written("audit.append", async () => audit.append(storableAuditEntry(entry))),
      list: (filter) => audit.list(filter),
    },
    breakers: {
      read: (key) => breakers.read(key),
      list: () => breakers.list(),
      write: (key, value, expectedVersion) =>
        written("breakers.write", () => breakers.write(key, value, expectedVersion)),
    },
    cache: {
      get: (key) => cache.get(key),
      put: (key, value, keepMs) => written("cache.put", () => cache.put(key, value, keepMs)),
      delete: (key) => written("cache.delete", () => cache.delete(key)),
    },
    inbox: {
      open: (item, note) =>
        written("inbox.open", async () => inbox.open(storableInboxItem(item), note && storableAuditEntry(note))),
      get: (id) => inbox.get(id),
      change: (item, version, note) =>
        written("inbox.change", async () =>
          inbox.change(storableInboxItem(item), inboxVersion(item.id, version), note && storableAuditEntry(note)),
        ),
      list: (filter) => inbox.list(filter),
      due: (nowMs, limit) => inbox.due(nowMs, limit),
      unsent: (nowMs, limit) => inbox.unsent(nowMs, limit),
    },
    // Input and receipt as they came: the effect is repeated with the one, and its step goes on with the other.
    ledger: {
      look: (threadId, key, like) => ledger.look(threadId, key, like),
      list: (threadId) => ledger.list(threadId),
      ...(ledger.way === undefined ? {} : { way: ledger.way.bind(ledger) }),
      move: (entry, from, lease, said) =>
        written(`ledger.move.${entry.state}`, async () =>
          ledger.move(
            entry.error === undefined ? entry : { ...entry, error: withoutSecrets(entry.error) },
            from,
            lease,
            said && storableAuditEntry(said),
          ),
        ),
    },
    locks: {
      acquire: (name, holder, leaseMs) => written("locks.acquire", () => locks.acquire(name, holder, leaseMs)),
      takeOver: (name, token, holder, leaseMs) =>
        written("locks.takeOver", () => locks.takeOver(name, token, holder, leaseMs)),
      renew: (name, token, leaseMs) => written("locks.renew", () => locks.renew(name, token, leaseMs)),
      release: (name, token) => written("locks.release", () => locks.release(name, token)),
    },
    // The text as it came: with anything taken out of it, a model would go on from another one.
    streams: {
      load: (scope) => streams.load(scope),
      append: (scope, part) => written("streams.append", () => streams.append(scope, part)),
      truncate: (scope, seq, writer) => written("streams.truncate", () => streams.truncate(scope, seq, writer)),
      clear: (scope) => written("streams.clear", () => streams.clear(scope)),
      clearOtherSteps: (scope) => written("streams.clearOtherSteps", () => streams.clearOtherSteps(scope)),
    },
  };
}

async function written<T>(what: `${keyof PlainStores}.${string}`, write: () => Promise<T>): Promise<T> {
  crashPoint(`${what}.before`);
  const result = await write();
  crashPoint(`${what}.after`);
  return result;
}

/** Messages of other programs repeat what they were given: headers, addresses with passwords, whole requests. */
function withoutSecrets(report: ErrorReport): ErrorReport {
  const { cause } = report;
  return {
    ...report,
    message: redactText(report.message),
    ...(cause === undefined ? {} : { cause: cause.map((line) => redactText(line)) }),
  };
}

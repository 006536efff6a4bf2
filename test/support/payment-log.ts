/** What a payment server knows, and the file that it knows it from: one JSON line for each thing it did. */
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";

/** Something that was done to the outside world, or taken back. */
export interface PaymentEntry {
  readonly kind: "effect" | "undo";
  /** Of an undo: its own, and not that of what it undoes. */
  readonly id: string;
  readonly name: string;
  /** The Idempotency-Key it came with. */
  readonly key?: string;
  /** Of an undo: `{ id }` of the effect. */
  readonly input: unknown;
}

export interface PaymentLog {
  readonly entries: readonly PaymentEntry[];
  /** Returns when it is on the disk. */
  append(entry: Omit<PaymentEntry, "id">): PaymentEntry;
  /** The first thing that was done under the key. */
  byKey(key: string): PaymentEntry | undefined;
  /** The effect of that name and ID. */
  effect(name: string, id: string): PaymentEntry | undefined;
  undoOf(effect: PaymentEntry): PaymentEntry | undefined;
  close(): void;
}

/** Goes on with the file if there is one. */
export function openPaymentLog(file: string): PaymentLog {
  const entries = existsSync(file) ? readPaymentLog(file) : [];
  const descriptor = openSync(file, "a");
  return {
    entries,
    append(given) {
      const id = `${given.kind}-${entries.length + 1}`;
      const entry = { ...given, id };
      writeSync(descriptor, `${JSON.stringify(entry)}\n`);
      fsyncSync(descriptor);
      entries.push(entry);
      return entry;
    },
    byKey: (key) => entries.find((entry) => entry.key === key),
    effect: (name, id) => entries.find((entry) => entry.kind === "effect" && entry.name === name && entry.id === id),
    undoOf: ({ id }) => entries.find(({ kind, input }) => kind === "undo" && (input as { id?: unknown }).id === id),
    close: () => closeSync(descriptor),
  };
}

/** A last line that a crash has cut was never acknowledged, and is taken off. */
function readPaymentLog(file: string): PaymentEntry[] {
  const text = readFileSync(file, "utf8");
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  if (whole !== text) writeFileSync(file, whole);
  return whole
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as PaymentEntry);
}

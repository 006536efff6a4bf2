/** Effects that the payment server does and takes back, and what its log says of an order by then. */
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { defineEffect } from "langgraph-resilience";
import { z } from "zod";
import type { PaymentEntry } from "../support/payment-log.js";

const Input = z.object({ order: z.string() });
const Receipt = z.object({ id: z.string() });

export interface UndoableOptions {
  /** Whether the server is asked if it is undone already, before a call that died is made again. */
  readonly asksFirst?: boolean;
  /** It is done, and the answer gets lost. */
  readonly losesAnswer?: boolean;
  readonly refusesDoing?: () => boolean;
  readonly refusesUndoing?: () => boolean;
}

export type Undoable = (input: { order: string }, config: LangGraphRunnableConfig) => Promise<{ id: string }>;

export function undoable(server: string, name: string, options: UndoableOptions = {}): Undoable {
  const { asksFirst, losesAnswer, refusesDoing, refusesUndoing } = options;
  const path = `${server}/effects/${name}`;
  return defineEffect({
    name,
    kind: "reversible",
    input: Input,
    output: Receipt,
    async run(input, { idempotencyKey, signal }) {
      // Of those that nobody but a person mends.
      if (refusesDoing?.() === true) throw Object.assign(new Error(`no ${name} for you`), { status: 403 });
      const receipt = await post(path, { input }, idempotencyKey, signal);
      if (losesAnswer === true) throw new TypeError("fetch failed");
      return receipt;
    },
    async probe(_, { idempotencyKey, signal }) {
      const response = await fetch(`${server}/effects/by-key/${encodeURIComponent(idempotencyKey)}`, { signal });
      if (response.status === 404) return { happened: false };
      return { happened: true, receipt: Receipt.parse(await response.json()) };
    },
    compensate({ id }, { idempotencyKey, signal }) {
      // A server that honours keys refuses the key of another request with 422.
      const key = refusesUndoing?.() === true ? idempotencyKey.replace(/-undo$/, "") : idempotencyKey;
      return post(`${path}/undo`, { id }, key, signal);
    },
    ...(asksFirst === true
      ? {
          undone: async ({ id }: { id: string }) =>
            (await entriesOf(server)).some(({ kind, input }) => kind === "undo" && (input as { id: string }).id === id),
        }
      : {}),
  });
}

async function post(url: string, body: object, key: string, signal: AbortSignal) {
  const headers = { "Idempotency-Key": key };
  const response = await fetch(url, { method: "POST", body: JSON.stringify(body), headers, signal });
  if (!response.ok) throw Object.assign(new Error(await response.text()), { status: response.status });
  return Receipt.parse(await response.json());
}

async function entriesOf(server: string): Promise<readonly PaymentEntry[]> {
  return (await (await fetch(`${server}/log`)).json()) as readonly PaymentEntry[];
}

export interface OrderLog {
  /** What took effect, in order: "charge 1", "undo charge 1", "charge 2", … */
  readonly lines: readonly string[];
  /** What was done and not undone. */
  readonly standing: readonly string[];
  /** What of `lines` a receipt is of. */
  lineOf(id: string): string | undefined;
}

export async function orderLog(server: string, order: string): Promise<OrderLog> {
  const times = new Map<string, number>();
  const lineById = new Map<string, string>();
  const lines: string[] = [];
  for (const { kind, id, name, input } of await entriesOf(server)) {
    const { order: itsOrder, id: undoneId } = input as { order?: string; id?: string };
    if (kind === "effect" && itsOrder === order) {
      times.set(name, (times.get(name) ?? 0) + 1);
      lineById.set(id, `${name} ${times.get(name)}`);
      lines.push(`${name} ${times.get(name)}`);
    } else if (undoneId !== undefined && lineById.has(undoneId)) lines.push(`undo ${lineById.get(undoneId)}`);
  }
  const standing = lines.filter((line) => !line.startsWith("undo ") && !lines.includes(`undo ${line}`));
  return { lines, standing, lineOf: (id) => lineById.get(id) };
}

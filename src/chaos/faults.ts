/** The table of all faults: what may be asked for, what to print about it, and playing it. */
import { z } from "zod";
import type { Exchange } from "./exchange.js";
import type { Fault, FaultKind, FaultRow, FaultRows } from "./fault.js";
import { CONTENT } from "./fault-rows/content.js";
import { FORM } from "./fault-rows/form.js";
import { REFUSALS } from "./fault-rows/refusals.js";
import { TRANSPORT } from "./fault-rows/transport.js";

export type { Fault, FaultKind } from "./fault.js";

const FAULTS: FaultRows<FaultKind> = { ...TRANSPORT, ...REFUSALS, ...FORM, ...CONTENT };
const KINDS = Object.keys(FAULTS) as FaultKind[];

/** A fault of any kind as a script or a file has it; fields it does not know are refused. */
export const FaultSchema = faultWith<Fault>({});

/** The same with fields of its own beside those of the fault. */
export function faultWith<F extends Fault>(beside: z.ZodRawShape): z.ZodType<F> {
  const kinds = KINDS.map((kind) => z.strictObject({ kind: z.literal(kind), ...FAULTS[kind].options, ...beside }));
  const [first, ...others] = kinds as unknown as [z.ZodObject, ...z.ZodObject[]];
  const union = z.discriminatedUnion("kind", [first, ...others], {
    error: ({ code }) =>
      code === "invalid_union" ? `there is no such fault; choose one of ${KINDS.join(", ")}` : undefined,
  });
  // The rows carry the options of their kind, which a union over a table cannot express.
  return union as unknown as z.ZodType<F>;
}

export function describeFault(fault: Fault): string {
  return rowOf(fault).describe(fault);
}

export async function playFault(exchange: Exchange, fault: Fault): Promise<void> {
  await rowOf(fault).play(exchange, fault);
}

/** Whether the client gets the right answer with this fault all the same. */
export function isProper(exchange: Exchange, fault: Fault): boolean {
  return rowOf(fault).proper?.(exchange) ?? false;
}

// The table pairs each kind with its own fault, which an index by a union cannot express.
function rowOf(fault: Fault): FaultRow<FaultKind> {
  return FAULTS[fault.kind] as FaultRow<FaultKind>;
}

/** What goes wrong in the shop on purpose, for demonstrations and tests: ORDER_SAGA_FAULT, read at each request. */
import { ConfigError } from "langgraph-resilience";

const FAULTS = [
  /** A charge is booked, and the connection is cut before the answer. */
  "charge-lost-reply",
  /** A charge is booked, and answered 5 seconds later. */
  "charge-slow",
  /** Every card is declined. */
  "charge-declined",
  /** Nothing of mails works: 503, also where it is asked whether one was sent. */
  "mail-down",
] as const;
export type ShopFault = (typeof FAULTS)[number];

/** @throws ConfigError for a word that is none of them */
export function shopFault(): ShopFault | undefined {
  const given = process.env.ORDER_SAGA_FAULT;
  if (!given) return undefined;
  const fault = FAULTS.find((name) => name === given);
  if (fault !== undefined) return fault;
  throw new ConfigError(`ORDER_SAGA_FAULT is "${given}"; it can be ${FAULTS.join(", ")}`);
}

import { InvalidInputError } from "langgraph-resilience";
import { Order } from "./order.js";

/** What is ordered where nothing is given at all, so that the graph can be tried without typing. */
const SAMPLE = {
  customer: { name: "Ada Sample", mail: "ada@example.com" },
  items: [
    { sku: "tea-assam-250g", quantity: 2, cents: 790 },
    { sku: "teapot-1l", quantity: 1, cents: 3450 },
  ],
};

/**
 * Nothing given is the sample order; what is given has to be whole.
 *
 * @throws InvalidInputError naming each field that is missing or wrong
 */
export function parseOrder(given: {
  readonly customer?: unknown;
  readonly items?: unknown;
  readonly card?: unknown;
}): Order {
  const { customer, items, card } = given;
  const isSample = customer === undefined && items === undefined;
  const parsed = Order.safeParse(
    isSample ? { ...SAMPLE, ...(card === undefined ? {} : { card }) } : { customer, items, card },
  );
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  throw new InvalidInputError(`The order cannot be taken: ${faults.join("; ")}`, { details: { faults } });
}

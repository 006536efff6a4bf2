/** Books the same as another process at the same time: one order a key, all of one journal. Prints the receipts' IDs. */
import { once } from "node:events";
import { book } from "../../../../graphs/order-saga/shop/books.js";

const [journal = "", count = "0"] = process.argv.slice(2);
const customer = { name: "Ada", mail: "ada@example.com" };
const items = [{ sku: "tea", quantity: 1, cents: 100 }];

process.stdout.write("ready\n");
await once(process.stdin, "data");
const ids: string[] = [];
for (let n = 0; n < Number(count); n += 1) {
  const answer = book(journal, { what: "orders", key: `key-${n}`, request: { customer, items } });
  ids.push(answer.kind === "refused" ? answer.reason : answer.booking.id);
}
process.stdout.write(`${JSON.stringify(ids)}\n`);
process.exit(0);

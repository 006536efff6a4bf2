/** What LangGraph's long-term store must do. */
import { randomUUID } from "node:crypto";
import type { Contract } from "./contract.js";
import { equals } from "./expectations.js";

export function storeCases({ describe, it, opened }: Contract): void {
  describe("store", () => {
    it("puts, gets, lists and deletes, also when first used by many at once", async () => {
      const { store } = opened();
      const root = randomUUID();
      await Promise.all(["a", "b", "c"].map((key) => store.put([root, "friends"], key, { name: key })));
      equals((await store.get([root, "friends"], "b"))?.value, { name: "b" });
      equals((await store.search([root])).length, 3);
      equals(await store.listNamespaces({ prefix: [root] }), [[root, "friends"]]);
      await store.delete([root, "friends"], "b");
      equals((await store.get([root, "friends"], "b")) ?? undefined, undefined);
      equals((await store.search([root])).length, 2);
    });
  });
}

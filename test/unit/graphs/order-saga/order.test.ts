import { describe, expect, it } from "vitest";
import { parseOrder } from "../../../../graphs/order-saga/parse-order.js";
import {
  confirmationPrompt,
  paidOrder,
  paidOrderIn,
  plainConfirmation,
} from "../../../../graphs/order-saga/prompts.js";
import { DECLINED_CARD } from "../../../../graphs/order-saga/shop/books.js";

const customer = { name: "Ada", mail: "ada@example.com" };
const items = [{ sku: "tea", quantity: 2, cents: 790 }];

describe("the order that is given", () => {
  it("is a sample where nothing is, with the card that is given", () => {
    expect(parseOrder({})).toMatchObject({ customer: { mail: "ada@example.com" }, card: "tok_visa" });
    expect(parseOrder({ card: DECLINED_CARD })).toMatchObject({ items: expect.any(Array), card: DECLINED_CARD });
  });

  it("has to be whole where anything is", () => {
    expect(parseOrder({ customer, items })).toEqual({ customer, items, card: "tok_visa" });
    expect(() => parseOrder({ customer })).toThrow(/The order cannot be taken: items: /);
    expect(() => parseOrder({ items })).toThrow(/customer: /);
  });

  it.each([
    ["customer.mail", { customer: { name: "Ada", mail: "nobody" }, items }],
    ["items.0.quantity", { customer, items: [{ sku: "tea", quantity: 1.5, cents: 1 }] }],
    ["items.0.cents", { customer, items: [{ sku: "tea", quantity: 1, cents: 0 }] }],
    ["items", { customer, items: [] }],
  ])("is refused with the field that is wrong: %s", (field, given) => {
    expect(() => parseOrder(given)).toThrow(`${field}: `);
  });
});

describe("the confirmation", () => {
  it("is written offline from what the prompt says", () => {
    const paid = paidOrder({ customer, items, card: "tok_visa" }, "order_1", 1580);
    const prompt = confirmationPrompt(paid)
      .map(({ content }) => content)
      .join("\n");
    expect(paidOrderIn(prompt)).toEqual(paid);
    expect(paidOrderIn("no order")).toBeUndefined();
    expect(plainConfirmation(paid)).toMatch(/Dear Ada,[\s\S]*order_1[\s\S]*15\.80[\s\S]*2 x tea/);
    expect(prompt).not.toContain("tok_visa");
    expect(prompt).not.toContain("ada@example.com");
  });
});

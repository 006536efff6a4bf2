import { describe, expect, it } from "vitest";
import { mailIdentity } from "../../../src/notifications/mail-identity.js";
import { mailAddress, recipientsOf } from "../../../src/notifications/recipients.js";
import { notice } from "./sample-notice.js";

const boss = { name: "", address: "boss@example.com" };
const told = (to: string[], people: Record<string, string> = {}, byDefault = [boss]) =>
  recipientsOf("mailChannel(mail)", to, people, byDefault);

describe("a mail address", () => {
  it.each([
    ["anna@example.com", "", "anna@example.com"],
    [" anna@example.com ", "", "anna@example.com"],
    ["Anna B. <anna@example.com>", "Anna B.", "anna@example.com"],
    ['"B, Anna" <anna@example.com>', "B, Anna", "anna@example.com"],
    ["<anna@example.com>", "", "anna@example.com"],
    ["Anna\r\nBcc: evil@example.com <anna@example.com>", "Anna Bcc: evil@example.com", "anna@example.com"],
  ])("is found in %j", (text, name, address) => expect(mailAddress(text)).toEqual({ name, address }));

  it.each(["anna", "", "@example.com", "anna@", "a@b@c", "a@b.c, d@e.f", "a@b.c\r\nBcc: d@e.f", "<a@b.c> <d@e.f>"])(
    "is not found in %j",
    (text) => expect(mailAddress(text)).toBeUndefined(),
  );
});

describe("a mail goes", () => {
  it("to the addresses of the notice, each once", () => {
    const { addresses, unknown } = told(["anna@example.com", "Anna <ANNA@example.com>", "Bo <bo@example.com>"]);
    expect(addresses.map(({ address }) => address)).toEqual(["ANNA@example.com", "bo@example.com"]);
    expect(unknown).toEqual([]);
  });

  it("to the people of the notice by their names", () => {
    expect(told(["anna"], { anna: "Anna <anna@example.com>" })).toEqual({
      addresses: [{ name: "Anna", address: "anna@example.com" }],
      unknown: [],
    });
  });

  it("to those who have an address, and names the others", () => {
    expect(told(["anna@example.com", "carl", "toString"])).toMatchObject({
      addresses: [{ address: "anna@example.com" }],
      unknown: ["carl", "toString"],
    });
  });

  it("to the default recipients where nobody is named, or nobody of them has an address", () => {
    expect(told([])).toEqual({ addresses: [boss], unknown: [] });
    expect(told(["carl"])).toEqual({ addresses: [boss], unknown: ["carl"] });
  });

  it("nowhere, and says whom it could not tell, where nobody is left", () => {
    expect(() => told(["carl", "dora"], {}, [])).toThrow(/no address is known of carl, dora; .*"people"/);
    expect(() => told([], {}, [])).toThrow(/names nobody; .*"to"/);
  });
});

describe("the Message-ID", () => {
  it("is the same each time a notice is sent, and another for another notice", () => {
    const reminder = notice({ event: "reminder", id: "r1" });
    expect(mailIdentity(reminder)).toEqual(mailIdentity(reminder));
    expect(mailIdentity(reminder).messageId).not.toBe(mailIdentity({ ...reminder, id: "r2" }).messageId);
  });

  it("of the opening is what all later mails of the question answer, whoever sends them", () => {
    const opening = mailIdentity(notice());
    expect(opening.inReplyTo).toBeUndefined();
    for (const event of ["reminder", "escalated", "resolved"] as const)
      expect(mailIdentity(notice({ event, id: event })).inReplyTo).toBe(opening.messageId);
    expect(mailIdentity(notice({ event: "reminder" }, { id: "another question" })).inReplyTo).not.toBe(
      opening.messageId,
    );
  });

  it("cannot break a header, whatever the notice is called", () => {
    const { messageId } = mailIdentity(notice({ event: "reminder", id: "x>\r\nBcc: evil@example.com" }));
    expect(messageId).toMatch(/^<[0-9a-f]{40}@[a-z.-]+>$/);
  });
});

import { ConfigError } from "../errors/own-errors.js";
import { oneLine } from "./plain-text.js";

/** As nodemailer takes it: the name is then encoded, and cannot bring in another address. */
export interface MailAddress {
  readonly name: string;
  readonly address: string;
}

/** Local part and domain without what separates addresses (RFC 5322, section 3.4.1, without quoted local parts). */
const ADDRESS = /^[^\s\p{Cc}@<>()[\]\\,;:"]+@[^\s\p{Cc}@<>()[\]\\,;:"]+$/u;

/** `anna@example.com`, `Anna <anna@example.com>` or `"Anna" <anna@example.com>`; undefined for anything else. */
export function mailAddress(text: string): MailAddress | undefined {
  const [, quoted, plain, inside] = /^\s*(?:"([^"]*)"|([^"<>]*?))\s*<\s*([^<>]*?)\s*>\s*$/.exec(text) ?? [];
  const address = inside ?? text.trim();
  return ADDRESS.test(address) ? { name: oneLine(quoted ?? plain ?? "", 100), address } : undefined;
}

export interface Recipients {
  /** No address twice. */
  readonly addresses: readonly MailAddress[];
  /** Names that were to be told and have no address here. */
  readonly unknown: readonly string[];
}

/**
 * Who gets the mail: the people of the notice, by address or by `people`; where there are none, or none of them has an
 * address, the default ones.
 *
 * @throws ConfigError naming them where nobody is left to tell
 */
export function recipientsOf(
  owner: string,
  to: readonly string[],
  people: Readonly<Record<string, string>>,
  byDefault: readonly MailAddress[],
): Recipients {
  const found: MailAddress[] = [];
  const unknown: string[] = [];
  for (const person of to) {
    const address = mailAddress(Object.hasOwn(people, person) ? (people[person] as string) : person);
    if (address === undefined) unknown.push(oneLine(person, 100));
    else found.push(address);
  }
  const chosen = found.length > 0 ? found : byDefault;
  if (chosen.length === 0)
    throw new ConfigError(
      unknown.length === 0
        ? `${owner}: the notice names nobody; give default recipients in the option "to"`
        : `${owner}: no address is known of ${unknown.join(", ")}; give it in the option "people", or default recipients in "to"`,
    );
  return { addresses: [...new Map(chosen.map((one) => [one.address.toLowerCase(), one])).values()], unknown };
}

/**
 * One value of a channel as an object: in full, or as what changed since the channel's earlier value. The list of a
 * conversation so costs its new messages at each turn, however long it has become.
 */
import { putTogether, reference, takeApart } from "./skeleton.js";
import { type StoredObject, storedObject } from "./stored-object.js";
import { changeBetween, type TextChange } from "./text-change.js";
import { isPlain } from "./value-text.js";

const mark = { full: "f", change: "d", wrapped: "w" } as const;

/** Characters from which a change is worth its row of its own in each read. */
const smallestBase = 512;

/** What following one link costs a read, in characters of text that could be read instead. */
const linkCost = 64;

/** How much more than its own text a value may have to read, before it is stored in full again. */
const patience = 8192;

/** A value that is stored, and what a change against it needs to know. */
export interface StandingValue {
  readonly hash: string;
  readonly text: string;
  /** Characters that a read of it goes through. */
  readonly weight: number;
}

export interface StoredValue extends StandingValue {
  /** The value's own object first, then those it needs that may not be stored yet. */
  readonly objects: readonly StoredObject[];
  /** Whether it stands on an object that must be there already. */
  readonly standsOn: boolean;
}

/** A value so short without its long strings that it needs no object: it stands where it is referred to. */
export interface InlineValue {
  readonly skeleton: string;
  readonly objects: readonly StoredObject[];
}

/** Characters up to which a skeleton stands in its checkpoint's row itself. */
const inlineUpTo = 120;

/**
 * @param earlier an earlier value of the channel, where one is known: its text, and its object if it has one
 */
export function storeValue(
  text: string,
  earlier: StandingValue | Pick<StandingValue, "text"> | undefined,
): StoredValue | InlineValue {
  if (!isPlain(text)) return inFull(text, storedObject([], mark.wrapped + text), []);
  const change = earlier === undefined || text.length < smallestBase ? undefined : changeFrom(earlier.text, text);
  const changed = change === undefined || earlier === undefined ? undefined : asChange(text, earlier, change);
  if (changed !== undefined) return changed;
  const { text: skeleton, strings } = takeApart(text);
  // A long string that grows is given an object after all, for the next change to stand on.
  if (skeleton.length <= inlineUpTo && change === undefined) return { skeleton, objects: strings };
  return inFull(text, storedObject(hashesOf(strings), mark.full + skeleton), strings);
}

export function isInline(value: StoredValue | InlineValue): value is InlineValue {
  return "skeleton" in value;
}

/** The text of an inline value. */
export function readInline(skeleton: string, links: readonly string[], find: FindObject): string {
  return putTogether(skeleton, (n) => mustFind(links[n] ?? "", find).body);
}

/** How many links an inline value has. */
export const linksIn = (skeleton: string): number => skeleton.split(reference).length - 1;

function changeFrom(before: string, after: string): TextChange | undefined {
  if (!isPlain(before)) return undefined;
  const change = changeBetween(before, after);
  return change.prefix + change.suffix < after.length / 2 ? undefined : change;
}

function asChange(
  text: string,
  base: StandingValue | Pick<StandingValue, "text">,
  { prefix, suffix, middle }: TextChange,
): StoredValue | undefined {
  if (!("hash" in base)) return undefined;
  const { text: skeleton, strings } = takeApart(middle);
  const weight = base.weight + skeleton.length + linkCost;
  if (weight > 2 * text.length + patience) return undefined;
  const object = storedObject([base.hash, ...hashesOf(strings)], `${mark.change}${prefix},${suffix}\x01${skeleton}`);
  return { hash: object.hash, text, weight, objects: [object, ...strings], standsOn: true };
}

function inFull(text: string, object: StoredObject, strings: readonly StoredObject[]): StoredValue {
  const weight = object.body.length + linkCost;
  return { hash: object.hash, text, weight, objects: [object, ...strings], standsOn: false };
}

function hashesOf(objects: readonly StoredObject[]): string[] {
  return objects.map((object) => object.hash);
}

/** What is stored, as it was read; a missing object is undefined. */
export type FindObject = (hash: string) => Pick<StoredObject, "links" | "body"> | undefined;

export class MissingObject extends Error {
  constructor(hash: string) {
    super(`the stored content ${hash} is missing`);
  }
}

/**
 * @param known texts that need not be put together again
 * @throws MissingObject
 */
export function readValue(
  hash: string,
  find: FindObject,
  known: (hash: string) => StandingValue | undefined,
): StandingValue {
  const changes: { readonly hash: string; readonly links: readonly string[]; readonly body: string }[] = [];
  let standing = known(hash);
  for (let at = hash; standing === undefined; ) {
    const object = mustFind(at, find);
    if (object.body.startsWith(mark.change)) {
      changes.push({ hash: at, ...object });
      at = object.links[0] ?? "";
      standing = known(at);
    } else standing = readInFull(at, object, find);
  }
  if (changes.length === 0) return standing;
  const text = { pieces: [standing.text], length: standing.text.length };
  let { weight } = standing;
  for (const { body, links } of changes.reverse()) {
    const end = body.indexOf("\x01");
    const [prefix = 0, suffix = 0] = body.slice(1, end).split(",").map(Number);
    const skeleton = body.slice(end + 1);
    change(
      text,
      prefix,
      suffix,
      putTogether(skeleton, (n) => mustFind(links[n + 1] ?? "", find).body),
    );
    weight += skeleton.length + linkCost;
  }
  return { hash, text: text.pieces.join(""), weight };
}

function readInFull(
  hash: string,
  { links, body }: Pick<StoredObject, "links" | "body">,
  find: FindObject,
): StandingValue {
  const text = body.startsWith(mark.wrapped)
    ? body.slice(1)
    : putTogether(body.slice(1), (n) => mustFind(links[n] ?? "", find).body);
  return { hash, text, weight: body.length + linkCost };
}

/** A text in pieces, for joining them at each change would copy the whole each time. */
interface Pieces {
  readonly pieces: string[];
  length: number;
}

function change(text: Pieces, prefix: number, suffix: number, middle: string): void {
  const end = lastCharacters(text.pieces, suffix);
  for (let surplus = text.length - prefix; surplus > 0; ) {
    const last = text.pieces.pop() ?? "";
    if (last.length > surplus) text.pieces.push(last.slice(0, last.length - surplus));
    surplus -= last.length;
  }
  text.pieces.push(middle, end);
  text.length = prefix + middle.length + end.length;
}

function lastCharacters(pieces: readonly string[], count: number): string {
  let end = "";
  for (let n = pieces.length - 1; n >= 0 && end.length < count; n -= 1) end = (pieces[n] ?? "") + end;
  return count === 0 ? "" : end.slice(-count);
}

function mustFind(hash: string, find: FindObject): Pick<StoredObject, "links" | "body"> {
  const object = find(hash);
  if (object === undefined) throw new MissingObject(hash);
  return object;
}

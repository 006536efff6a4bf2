/** The law of strict state: what is accepted reads back equal, and what would not is refused. */
import { isDeepStrictEqual } from "node:util";
import { AIMessage, HumanMessage, ToolMessage } from "@langchain/core/messages";
import { Overwrite, Send } from "@langchain/langgraph";
import { DeltaSnapshot, JsonPlusSerializer } from "@langchain/langgraph-checkpoint";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { refuseUnstorable } from "../../src/persistence/strict-state.js";

const serializer = new JsonPlusSerializer();
const readBack = async (value: unknown) => {
  const [type, bytes] = await serializer.dumpsTyped(value);
  return serializer.loadsTyped(type, bytes);
};

class Point {
  readonly x = 1;
}
class NamedMap extends Map {}
class OwnMessage extends AIMessage {}
const circle: unknown[] = [];
circle.push({ back: circle });
const withHole = [1, 2, 3];
delete withHole[1];

/** Sound values, and here and there one that does not come back. */
const leaf = fc.oneof(
  { weight: 8, arbitrary: fc.oneof(fc.string({ unit: "binary" }), fc.boolean(), fc.integer(), fc.constant(null)) },
  { weight: 4, arbitrary: fc.double({ noDefaultInfinity: true, noNaN: true }).map((n) => n + 0) },
  { weight: 3, arbitrary: fc.uint8Array().map((bytes) => new Uint8Array(bytes)) },
  { weight: 2, arbitrary: fc.string().map((text) => new HumanMessage({ content: text, id: text })) },
  { weight: 2, arbitrary: fc.constantFrom(undefined, /a\/b/gi) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      Number.NaN,
      Number.POSITIVE_INFINITY,
      1n,
      new Date(0),
      new Point(),
      Buffer.from("x"),
      withHole,
    ),
  },
  { weight: 1, arbitrary: fc.constantFrom({ lc: 2, type: "undefined" }, new NamedMap(), new Date(Number.NaN), circle) },
);
const anyState = fc.letrec((tie) => ({
  value: fc.oneof({ maxDepth: 4 }, leaf, tie("list"), tie("object"), tie("map"), tie("set")),
  list: fc.array(tie("value"), { maxLength: 4 }),
  object: fc.dictionary(fc.string(), tie("value"), { maxKeys: 4, noNullPrototype: true }),
  map: fc.array(fc.tuple(tie("value"), tie("value")), { maxLength: 3 }).map((entries) => new Map(entries)),
  set: fc.array(tie("value"), { maxLength: 3 }).map((values) => new Set(values)),
})).value;

describe("strict state", () => {
  it("accepts only what reads back equal in depth", async () => {
    let [accepted, refused] = [0, 0];
    const property = fc.asyncProperty(anyState, async (value) => {
      try {
        refuseUnstorable("value", value);
      } catch {
        refused += 1;
        return;
      }
      accepted += 1;
      expect(isDeepStrictEqual(await readBack(value), value)).toBe(true);
    });
    await fc.assert(property, { numRuns: 1000 });
    expect(Math.min(accepted, refused)).toBeGreaterThan(100);
  });

  const toolCall = { name: "look", args: { deep: [1, { a: null }] }, id: "call 1", type: "tool_call" as const };
  it.each([
    [
      "messages",
      [new AIMessage({ content: "x", tool_calls: [toolCall] }), new ToolMessage({ content: "y", tool_call_id: "1" })],
    ],
    ["a message with parts", new HumanMessage({ content: [{ type: "text", text: "x" }], name: "Ann" })],
    ["an Error", new Error("no")],
    ["a snapshot of a delta channel", new DeltaSnapshot([new Map([["a", 1]])])],
    ["an object that stands in two places", [[withHole.slice(0, 1)], [withHole.slice(0, 1)]]],
    ["nothing", undefined],
  ])("accepts %s", async (_, value) => {
    expect(() => refuseUnstorable("value", value)).not.toThrow();
    expect(await readBack(value)).toEqual(value);
  });

  it.each([
    ["a task to be sent", new Send("node", { text: "x" })],
    ["a value that takes another's place", new Overwrite(["x"])],
    ["-0", -0],
    ["an object without a prototype", Object.assign(Object.create(null), { a: 1 })],
  ])("accepts %s, which LangGraph takes for what it was", (_, value) => {
    expect(() => refuseUnstorable("value", value)).not.toThrow();
  });

  it.each([
    ["a Date", { at: [new Date(0)] }, "at at[0] there is a Date, which would come back as a text"],
    ["an instance", { "a b": { point: new Point() } }, 'at ["a b"].point there is a Point, which would come back'],
    ["a number that JSON has not", [1, Number.NaN], "at [1] there is the number NaN, which would come back as null"],
    ["a bigint", 10n, "it is a bigint"],
    ["a function", { run: () => 1 }, "at run there is a function"],
    ["a symbol", { key: Symbol("s") }, "at key there is a symbol"],
    ["a key that is a symbol", { [Symbol("s")]: 1 }, "a property under Symbol(s)"],
    ["a circle", circle, "at [0].back there is a reference back"],
    ["a hole", { list: withHole }, "at list there is a list with holes"],
    ["a list with a name", Object.assign([1], { name: "x" }), "it is a list with holes or with properties of its own"],
    ["a kind of Map of its own", new Map([["in", new NamedMap()]]), "at [0][1] there is a NamedMap"],
    ["a Map with a property", Object.assign(new Map(), { size2: 1 }), "a Map with properties of its own (size2)"],
    ["a kind of Error", { e: new TypeError("x") }, "at e there is a TypeError"],
    [
      "an Error with a code",
      Object.assign(new Error("x"), { code: "E" }),
      "an Error with properties of its own (code)",
    ],
    ["a RegExp in use", Object.assign(/x/g, { lastIndex: 2 }), "a RegExp in use"],
    ["a Buffer", { bytes: Buffer.from("x") }, "at bytes there is a Buffer"],
    ["other numbers in a row", new Float64Array(2), "a Float64Array"],
    ["a kind of message of its own", [new OwnMessage("x")], "at [0] there is an OwnMessage"],
    [
      "a Map in a message",
      new AIMessage({ content: "x", additional_kwargs: { m: new Map() } }),
      "at additional_kwargs.m there is a Map",
    ],
    ["a message named afterwards", Object.assign(new AIMessage("x"), { id: "late" }), "given its id afterwards"],
    ["what looks serialized", { lc: 2, type: "undefined" }, "looks like a serialized one"],
    ["an object that serializes itself", { toJSON: () => 1 }, "a method toJSON"],
    ["a property named __proto__", JSON.parse('{"__proto__": {"a": 1}}'), "a property named __proto__"],
  ])("refuses %s, and says where it is", async (_, value, says) => {
    expect(() => refuseUnstorable("value", value)).toThrow(
      expect.objectContaining({ code: "INVALID_INPUT", message: expect.stringContaining(says) }),
    );
    expect(() => refuseUnstorable("value", value)).toThrow('Channel "value" cannot be stored as it is');
    const back = await readBack(value).catch((error: unknown) => error);
    expect(isDeepStrictEqual(back, value)).toBe(false);
  });

  it("leaves LangGraph's own channels alone", () => {
    expect(() => refuseUnstorable("__error__", { at: new Date() })).not.toThrow();
  });
});

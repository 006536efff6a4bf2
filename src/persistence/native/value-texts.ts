/** Serializes values to the texts that are stored: at once with the stock serializer, which every value goes through. */
import { JsonPlusSerializer, type SerializerProtocol } from "@langchain/langgraph-checkpoint";
import { valueText } from "./value-text.js";

/**
 * What of the stock serializer is used beside its protocol. Its `dumpsTyped` is async in name only, and a promise for
 * each value of each step is most of what storing a small value costs.
 */
interface SyncSerializer {
  _dumps(value: unknown): Uint8Array;
}

export class ValueTexts {
  readonly #serde: SerializerProtocol;
  readonly #sync: SyncSerializer | undefined;

  constructor(serde: SerializerProtocol) {
    this.#serde = serde;
    this.#sync = isStock(serde) ? serde : undefined;
  }

  /** A promise only with a serializer of someone's own. */
  of(value: unknown): string | Promise<string> {
    if (this.#sync === undefined) return this.#slow(value);
    switch (typeof value) {
      case "string":
      case "number":
      case "boolean":
        return JSON.stringify(value);
      default:
        if (value === null) return "null";
        return value instanceof Uint8Array ? valueText("bytes", value) : valueText("json", this.#sync._dumps(value));
    }
  }

  /** The JSON of a checkpoint's metadata. */
  json(value: unknown): string | Promise<string> {
    if (this.#sync !== undefined) return decoded(this.#sync._dumps(value));
    return this.#serde.dumpsTyped(value).then(([, bytes]) => decoded(bytes));
  }

  async #slow(value: unknown): Promise<string> {
    const [type, bytes] = await this.#serde.dumpsTyped(value);
    return valueText(type, bytes);
  }
}

function isStock(serde: SerializerProtocol): serde is SerializerProtocol & SyncSerializer {
  return (
    serde.dumpsTyped === JsonPlusSerializer.prototype.dumpsTyped &&
    "_dumps" in serde &&
    serde._dumps === (JsonPlusSerializer.prototype as unknown as SyncSerializer)._dumps &&
    typeof serde._dumps === "function"
  );
}

function decoded(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
}

import {
  type BaseMessage,
  isBaseMessage,
  mapStoredMessagesToChatMessages,
  RemoveMessage,
  type StoredMessage,
} from "@langchain/core/messages";
import type { CacheCodec } from "../policies/cache.js";

const MESSAGE = "__lgr_message";

/** Keeps the messages in a node's answer as plain data: a copy would make plain objects of them. */
export const messageCodec: CacheCodec = { pack, unpack };

/** @throws for a message of a class of which LangChain makes none from what is stored */
function pack(value: unknown): unknown {
  if (!isBaseMessage(value as BaseMessage)) return mapped(value, pack);
  const stored = storedForm(value as BaseMessage);
  messageOf(stored);
  return { [MESSAGE]: { ...stored, data: mapped(stored.data, pack) } };
}

function unpack(packed: unknown): unknown {
  if (!isPlain(packed) || !(MESSAGE in packed)) return mapped(packed, unpack);
  const stored = packed[MESSAGE] as StoredMessage;
  const data = mapped(stored.data, unpack) as StoredMessage["data"];
  // Under its old ID it would take the place of the message that the same answer gave a thread before.
  return messageOf({ ...stored, data: stored.type === "remove" ? data : withoutId(data) });
}

/** Its fields as they are now; `toDict` of LangChain leaves out those that were set once the message was made. */
function storedForm(message: BaseMessage): StoredMessage {
  const data = Object.fromEntries(Object.entries(message).filter(([key]) => key !== "type" && !key.startsWith("lc_")));
  return { type: message.getType(), data: data as unknown as StoredMessage["data"] };
}

function withoutId({ id: _, ...data }: StoredMessage["data"]): StoredMessage["data"] {
  return data;
}

function messageOf(stored: StoredMessage): BaseMessage {
  if (stored.type === "remove") return new RemoveMessage({ id: String((stored.data as { id?: string }).id) });
  const [message] = mapStoredMessagesToChatMessages([stored]);
  return message as BaseMessage;
}

/** Lists and plain objects with each part mapped; the same object where no part has changed. */
function mapped(value: unknown, part: (value: unknown) => unknown): unknown {
  if (Array.isArray(value)) {
    const parts = value.map(part);
    return parts.some((one, index) => one !== value[index]) ? parts : value;
  }
  if (!isPlain(value)) return value;
  const entries = Object.entries(value).map(([key, one]) => [key, part(one)] as const);
  return entries.some(([key, one]) => one !== value[key]) ? Object.fromEntries(entries) : value;
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

import {
  BaseMessage,
  isBaseMessage,
  mapChatMessagesToStoredMessages,
  mapStoredMessagesToChatMessages,
  type StoredMessage,
} from "@langchain/core/messages";
import type { CacheCodec } from "../policies/cache.js";

const MESSAGE = "__lgr_message";

/** Keeps the messages in a node's answer as plain data: a copy would make plain objects of them. */
export const messageCodec: CacheCodec = { pack, unpack };

function pack(value: unknown): unknown {
  if (value instanceof BaseMessage || isBaseMessage(value as BaseMessage)) {
    const [stored] = mapChatMessagesToStoredMessages([value as BaseMessage]);
    return { [MESSAGE]: JSON.parse(JSON.stringify(stored)) };
  }
  return mapped(value, pack);
}

function unpack(packed: unknown): unknown {
  if (isPlain(packed) && MESSAGE in packed) {
    const [message] = mapStoredMessagesToChatMessages([packed[MESSAGE] as StoredMessage]);
    return message;
  }
  return mapped(packed, unpack);
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

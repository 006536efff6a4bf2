import { systemClock } from "./clock.js";
import { createEventBus, type EventBus } from "./events.js";
import type { Persistence } from "./ports.js";

const persistences = new WeakMap<object, Persistence>();
const buses = new WeakMap<object, EventBus>();

/** Called by a plugin once, so that whoever holds the checkpointer finds the rest. */
export function registerCheckpointer(checkpointer: object, persistence: Persistence): void {
  persistences.set(checkpointer, persistence);
}

export function persistenceOf(checkpointer: unknown): Persistence | undefined {
  return typeof checkpointer === "object" && checkpointer !== null ? persistences.get(checkpointer) : undefined;
}

/** The event bus of a checkpointer; a foreign saver gets one of its own on first use. */
export function eventsOf(checkpointer: object): EventBus {
  const found = persistences.get(checkpointer)?.events ?? buses.get(checkpointer);
  if (found !== undefined) return found;
  const bus = createEventBus(systemClock.now);
  buses.set(checkpointer, bus);
  return bus;
}

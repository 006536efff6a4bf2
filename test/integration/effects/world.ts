/** A service outside, as far as one process can have one: it counts what is asked of it, and knows keys. */
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, afterEach, beforeAll } from "vitest";
import { z } from "zod";
import type { Persistence } from "../../../src/core/ports.js";
import { defineEffect } from "../../../src/langgraph/effects/define-effect.js";
import type { EffectOptions } from "../../../src/langgraph/effects/effect-options.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { createDatabase, hasPostgres, type TestDatabase } from "../../support/databases.js";
import { thorough } from "../../support/depth.js";

export interface Deed {
  readonly key: string;
  readonly cents: number;
}

export interface World {
  /** What was asked, in order. */
  readonly asked: Deed[];
  /** What happened. */
  readonly deeds: Deed[];
  /** What the next calls do; each is used once. */
  readonly script: ("refuse" | "reset before" | "reset after" | "hang after" | "hang before" | "500 after")[];
}

const Input = z.object({ cents: z.number() });
export const Receipt = z.object({ id: z.string(), cents: z.number() });
type Cents = z.infer<typeof Input>;

export function newWorld(): World {
  return { asked: [], deeds: [], script: [] };
}

const receiptOf = ({ key, cents }: Deed) => ({ id: `receipt of ${key}`, cents });

/** An error as a service or a connection gives it. */
export function fault(message: string, fields: object): Error {
  return Object.assign(new Error(message), fields);
}

/** An effect on that world. */
export function effectOn(world: World, options: Partial<EffectOptions<Cents, z.infer<typeof Receipt>>> = {}) {
  return defineEffect({
    name: "charge",
    kind: "irreversible",
    input: Input,
    output: Receipt,
    timeout: { baseMs: 10_000 },
    async run({ cents }, { idempotencyKey, signal }) {
      const deed = { key: idempotencyKey, cents };
      world.asked.push(deed);
      const how = world.script.shift();
      if (how === "refuse") throw fault("card declined", { status: 402 });
      if (how === "reset before") throw fault("refused", { code: "ECONNREFUSED" });
      if (how === "hang before") await pause(20_000, undefined, { signal });
      world.deeds.push(deed);
      if (how === "reset after") throw fault("socket hang up", { code: "ECONNRESET" });
      if (how === "500 after") throw fault("internal error", { status: 500 });
      if (how === "hang after") await pause(20_000, undefined, { signal });
      return receiptOf(deed);
    },
    ...options,
  });
}

/** Asks the world itself. */
export const probeOf =
  (world: World) =>
  (_: Cents, { idempotencyKey }: { readonly idempotencyKey: string }) => {
    const deed = world.deeds.find(({ key }) => key === idempotencyKey);
    return deed === undefined ? { happened: false as const } : { happened: true as const, receipt: receiptOf(deed) };
  };

/** A persistence for a whole suite, without a thread at the beginning of each test. */
function suite(open: () => Promise<{ readonly url: string; drop?(): Promise<void> }>) {
  return () => {
    let opened: Persistence | undefined;
    let database: Pick<TestDatabase, "url"> & { drop?(): Promise<void> };
    beforeAll(async () => {
      database = await open();
      opened = openPersistence(database.url);
    });
    afterEach(async () => {
      for (const { threadId } of (await opened?.threads.list({ limit: 1000 })) ?? [])
        await opened?.checkpointer.deleteThread(threadId);
    });
    afterAll(async () => {
      await opened?.close();
      await database.drop?.();
    });
    return {
      persistence: (): Persistence => {
        if (opened === undefined) throw new Error("The suite has not begun");
        return opened;
      },
    };
  };
}

export const stores: (readonly [string, ReturnType<typeof suite>])[] = [
  ["memory", suite(async () => ({ url: "memory:" }))],
  ...(hasPostgres ? [["PostgreSQL", suite(createDatabase)] as const] : []),
];

/** By default on memory alone: what the stores themselves do is tested elsewhere. */
export const mostlyMemory = thorough ? stores : stores.slice(0, 1);

/** A whole node as one effect: what it did is undone by what it returned. */
import { AsyncLocalStorage } from "node:async_hooks";
import { isCommand, type LangGraphRunnableConfig } from "@langchain/langgraph";
import { z } from "zod";
import type { EffectCall } from "../../effects/effect.js";
import { InvalidInputError } from "../../errors/own-errors.js";
import { runInConfig } from "../attempt-internals.js";
import { NODE_KEY } from "../attempt-scope.js";
import { messageCodec } from "../message-codec.js";
import { effectOf } from "./define-effect.js";

type Work = (input: unknown, config: LangGraphRunnableConfig) => unknown;
type Compensate = (result: unknown, call: EffectCall) => unknown;

/**
 * It is run again with the same key as any node is: after a failed attempt, or a crash before its result was stored. What
 * it returned is given again after that, and to `compensate` when it is taken back.
 *
 * @param label of the node, which names the effect in the ledger
 */
export function compensatedNode(label: string, work: Work, compensate: Compensate): Work {
  const running = new AsyncLocalStorage<(call: EffectCall) => Promise<unknown>>();
  const perform = effectOf(
    {
      name: label.replaceAll(/[^\w.:-]/g, "-").slice(0, 100),
      kind: "idempotent",
      input: z.null(),
      output: z.unknown(),
      timeout: false,
      run: (_, call) => running.getStore()?.(call),
      compensate: (receipt, call) => compensate(messageCodec.unpack(receipt), call),
    },
    [work, compensate].map(String).join("\n"),
  );
  return async function compensated(input, config) {
    let fresh: { readonly result: unknown } | undefined;
    const once = async ({ idempotencyKey }: EffectCall) => {
      const own = { ...config, configurable: { ...config.configurable, [NODE_KEY]: idempotencyKey } };
      Object.defineProperty(own, "signal", { get: () => config.signal, enumerable: true, configurable: true });
      const result = await runInConfig(own, async () => work(input, own));
      if (isCommand(result))
        throw new InvalidInputError(
          `Node "${label}" declares "compensate" and returned a Command, which cannot be kept: return its update, and say by an edge where it goes`,
        );
      fresh = { result };
      return messageCodec.pack(result);
    };
    const receipt = await running.run(once, () => perform(null, config));
    return fresh === undefined ? messageCodec.unpack(receipt) : fresh.result;
  };
}

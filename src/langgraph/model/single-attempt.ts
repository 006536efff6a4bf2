/**
 * A chat model as one attempt calls it: without retries of its own, so that attempts do not multiply, and, where it is a
 * client of an OpenAI-compatible server, with every answer checked on the wire. This file is where the inner parts of
 * LangChain's models are touched; each assumption has a test.
 */
import type { Runnable } from "@langchain/core/runnables";
import { checkedFetch, type Fetch } from "./wire/checked-fetch.js";

/** What LangChain's own classes keep in their instances, as far as it is used here. */
interface ModelParts {
  readonly bound?: Runnable;
  readonly caller?: { readonly maxRetries?: unknown };
  readonly completions?: object;
  readonly responses?: object;
  /** Options of the OpenAI client, which is made of them when it is first needed. */
  readonly clientConfig?: { readonly fetch?: Fetch };
  readonly _getClientOptions?: unknown;
  readonly _getModelInstance?: (config: unknown) => Promise<unknown>;
}

const made = new WeakMap<object, object>();

/**
 * The model given stays as it is. One that cannot be wrapped so (it has private parts) is called as it is, with a warning
 * if it retries by itself.
 */
export function singleAttempt<R extends object>(model: R): R {
  const known = made.get(model);
  if (known !== undefined) return known as R;
  const derived = derive(model);
  made.set(model, derived);
  return derived as R;
}

function derive(model: object): object {
  const { bound, caller, completions, responses, clientConfig, _getClientOptions, _getModelInstance } =
    model as ModelParts;
  if (bound !== undefined)
    return Object.create(model, {
      bound: own(singleAttempt(bound)),
      // Of `withRetry`.
      ...("maxAttemptNumber" in model ? { maxAttemptNumber: own(1) } : {}),
    });
  if (hasPrivateParts(model)) {
    warnOfRetries(model, caller);
    return model;
  }
  const parts: PropertyDescriptorMap = {};
  if (caller !== undefined) {
    const once: unknown = Object.create(caller, { maxRetries: own(0) });
    parts.caller = own(once);
    // Clients of Google's models are given it too.
    for (const [name, part] of Object.entries(model) as [string, ModelParts | null | undefined][])
      if (typeof part === "object" && part?.caller === caller)
        parts[name] = own(Object.create(part, { caller: own(once) }));
  }
  if (completions !== undefined) parts.completions = own(singleAttempt(completions));
  if (responses !== undefined) parts.responses = own(singleAttempt(responses));
  if (clientConfig !== undefined && typeof _getClientOptions === "function") {
    const fetch = checkedFetch(clientConfig.fetch ?? ((...request) => globalThis.fetch(...request)));
    parts.clientConfig = own({ ...clientConfig, fetch });
    parts.client = own(undefined);
  }
  // Made by initChatModel: the model proper is made when it is first called.
  if (typeof _getModelInstance === "function")
    parts._getModelInstance = own(async (config: unknown) =>
      singleAttempt((await _getModelInstance.call(model, config)) as object),
    );
  return Object.create(model, parts);
}

function own(value: unknown): PropertyDescriptor {
  return { value, writable: true, enumerable: true, configurable: true };
}

const PRIVATE = /\bthis\.#\w|^\s*#\w+\s*[=;(]|__classPrivateField|_classPrivate|_assertClassBrand|__privateGet/m;
const withPrivateParts = new WeakMap<object, boolean>();

/** A method that reads `this.#field` works on instances only. */
function hasPrivateParts(model: object): boolean {
  for (
    let proto = Object.getPrototypeOf(model) as object | null;
    proto !== null && proto !== Object.prototype;
    proto = Object.getPrototypeOf(proto) as object | null
  ) {
    const type = proto.constructor;
    if (typeof type !== "function") continue;
    const known = withPrivateParts.get(type);
    const has = known ?? PRIVATE.test(Function.prototype.toString.call(type));
    withPrivateParts.set(type, has);
    if (has) return true;
  }
  return false;
}

function warnOfRetries(model: object, caller: ModelParts["caller"]): void {
  if (caller?.maxRetries === undefined || caller.maxRetries === 0) return;
  process.emitWarning(
    `resilientModel(): ${model.constructor.name} retries by itself (maxRetries ${String(caller.maxRetries)}), which cannot be turned off from here; construct it with maxRetries: 0`,
    "ResilienceWarning",
  );
}

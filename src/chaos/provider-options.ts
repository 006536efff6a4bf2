import { z } from "zod";
import { parseOptions } from "../core/options.js";
import type { ChatRequest } from "./chat-request.js";
import { type Distribution, DistributionSchema } from "./distributions.js";
import { type FaultRate, FaultRateSchema } from "./fault-rate.js";
import { Script, type ScriptEntry } from "./fault-script.js";
import { type FaultWindow, Windows } from "./fault-windows.js";
import type { SeenRequest } from "./request-log.js";

/** How long answers take. Refusals and resets come at once. */
export interface Latency {
  /** Before the first token of a stream, whose headers and opening event are out by then; before a whole answer. */
  readonly firstTokenMs?: Distribution;
  /** Before each event of a stream; default `chunkDelayMs`. */
  readonly betweenMs?: Distribution;
}

/** What may differ from model to model. */
export interface ModelBehaviour {
  readonly latency?: Latency;
  /** Faults at random for requests that no script entry or window is for. Default: none. */
  readonly faultRate?: FaultRate;
}

export interface FaultyProviderOptions extends ModelBehaviour {
  /**
   * Computes the right answer: text, an object that is sent as JSON, or what {@link toolCalls} makes. It labels its
   * text as offline itself.
   */
  readonly answer: (request: ChatRequest) => string | object | Promise<string | object>;
  /** Faults in order, each used up by as many requests as it is for; see {@link ScriptEntry}. Default: none. */
  readonly script?: readonly ScriptEntry[];
  /** Times during which every request meets a fault; the first that is open counts. Default: none. */
  readonly windows?: readonly FaultWindow[];
  /** What holds for one model, by its name; each field replaces the one that holds for all. */
  readonly byModel?: Readonly<Record<string, ModelBehaviour>>;
  /** Whole number behind everything random: the same order of requests meets the same. Default 1. */
  readonly seed?: number;
  /** Default 0: any free port. */
  readonly port?: number;
  /** Pause between stream events in milliseconds; default 0. */
  readonly chunkDelayMs?: number;
  /** What `GET /v1/models` lists; default `["offline-model"]`. Requests may name any model. */
  readonly models?: readonly string[];
  /** Is called when a request has ended, one way or another. */
  readonly onEnded?: (request: SeenRequest) => void;
}

const LatencySchema = z.strictObject({
  firstTokenMs: DistributionSchema.default(0),
  betweenMs: DistributionSchema.optional(),
});

const behaviour = { latency: LatencySchema.optional(), faultRate: FaultRateSchema.optional() };

const isFunction = (value: unknown) => typeof value === "function";

/** What a file may say; the rest is said in code or on the command line. */
const scripted = {
  ...behaviour,
  script: Script.default([]),
  windows: Windows.default([]),
  byModel: z.record(z.string(), z.strictObject(behaviour)).default({}),
};
const ScriptFile = z.strictObject(scripted);

const Options = z.strictObject({
  ...scripted,
  answer: z.custom<FaultyProviderOptions["answer"]>(isFunction, "expected a function"),
  onEnded: z
    .custom<NonNullable<FaultyProviderOptions["onEnded"]>>(isFunction, "expected a function")
    .default(() => () => undefined),
  seed: z.int().default(1),
  port: z.int().min(0).max(65_535).default(0),
  chunkDelayMs: z.number().min(0).max(60_000).default(0),
  models: z.array(z.string()).min(1).default(["offline-model"]),
});

export type CompiledOptions = z.output<typeof Options>;

/** @throws ConfigError naming each option at fault, such as `script.2.kind` */
export function compileOptions(options: FaultyProviderOptions): CompiledOptions {
  return parseOptions("startFaultyProvider", Options, options);
}

/**
 * What a script file says: an object of options, or the script alone as an array.
 *
 * @param name of the file, for the message
 * @throws ConfigError naming the file and the entry at fault
 */
export function parseScriptFile(name: string, json: unknown): Pick<FaultyProviderOptions, keyof typeof scripted> {
  const parsed = parseOptions(name, ScriptFile, Array.isArray(json) ? { script: json } : json);
  // Where zod's types have undefined, the field is absent.
  return parsed as Pick<FaultyProviderOptions, keyof typeof scripted>;
}

/** What holds for requests to this model. */
export function ofModel({ byModel, latency, faultRate, chunkDelayMs }: CompiledOptions, model: string) {
  // A model may be named like a member of every object.
  const own = Object.hasOwn(byModel, model) ? byModel[model] : undefined;
  const { firstTokenMs = 0, betweenMs = chunkDelayMs } = own?.latency ?? latency ?? {};
  return { firstTokenMs, betweenMs, faultRate: own?.faultRate ?? faultRate };
}

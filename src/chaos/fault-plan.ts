import type { ChatRequest } from "./chat-request.js";
import { drawFault } from "./fault-rate.js";
import { createFaultScript, type ScriptEntry } from "./fault-script.js";
import { faultInWindow } from "./fault-windows.js";
import type { Fault } from "./faults.js";
import { type CompiledOptions, ofModel } from "./provider-options.js";
import type { Random } from "./seeded-random.js";

/** Decides which fault a request meets. */
export interface FaultPlan {
  /** The one set by hand, else that of an open window, else the script's, else one drawn at random, else none. */
  faultFor(request: ChatRequest, sinceStartMs: number, random: Random): Fault;
  /** Sets or, with undefined, takes away the fault of one model, or of all that have none of their own. */
  set(fault: Fault | undefined, model: string | undefined): void;
  remaining(): readonly ScriptEntry[];
}

export function createFaultPlan(options: CompiledOptions): FaultPlan {
  const script = createFaultScript(options.script);
  const byHand = new Map<string | undefined, Fault>();
  return {
    faultFor(request, sinceStartMs, random) {
      const { model } = request;
      const drawn = drawFault(ofModel(options, model).faultRate, random);
      const held = byHand.get(model) ?? byHand.get(undefined) ?? faultInWindow(options.windows, sinceStartMs, model);
      // A script is not used up by requests that something else befalls.
      return held ?? script.next(request) ?? drawn ?? { kind: "none" };
    },
    set(fault, model) {
      if (fault === undefined) byHand.delete(model);
      else byHand.set(model, fault);
    },
    remaining: script.remaining,
  };
}

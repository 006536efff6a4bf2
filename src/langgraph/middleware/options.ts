import { z } from "zod";
import type { Clock } from "../../core/clock.js";
import { offOr } from "../../core/options.js";
import { type BudgetOptions, budgetSchema } from "../../policies/budget.js";
import { ladderShape } from "../../policies/ladder-options.js";
import { retrySchema } from "../../policies/retry-options.js";
import { timeoutSchema } from "../../policies/timeout.js";
import {
  type ModelRouteOptions,
  type ResilientModelOptions,
  resilientModelSchema,
  routeSchema,
} from "../model/model-options.js";
import type { AgentModelRoute } from "./agent-model.js";
import { FAILURE_MODES, type ToolFailureMode, type ToolPolicyOptions, toolPolicySchema } from "./tool-options.js";

export interface ResilienceMiddlewareOptions {
  /** Default "resilience". An agent refuses two middlewares of one name. */
  readonly name?: string;
  /** How model calls are protected: the options of `resilientModel`; `false` leaves models alone. */
  readonly model?: ResilientModelOptions | false;
  /** Models that may stand in for the agent's own, in order. */
  readonly fallbacks?: readonly AgentModelRoute[];
  /** What is to be different for the agent's own model: its service, its circuit breaker, its time limits, … */
  readonly primary?: Omit<ModelRouteOptions, "model" | "when">;
  /**
   * Whether an answer of which no structured response can be made (`responseFormat`) is a failure like others: the model
   * is told what is wrong, twice, and then another one is asked. Default true; `false` leaves it to the agent.
   */
  readonly structuredOutput?: boolean;
  /** How each tool is protected; `false` leaves them to the agent. Default: the retries and time limits of the matrix. */
  readonly tools?: ToolPolicyOptions | false;
  /**
   * What is different for tools by these names: each option given takes the place of that of `tools`. `false`: called as
   * it is, and what it throws ends the run, as it does beneath every middleware with a `wrapToolCall`.
   */
  readonly byTool?: Readonly<Record<string, ToolPolicyOptions | false>>;
  /**
   * What becomes of a tool call that no rung could help. `"tell_model"` (default) gives the model a message with status
   * "error", save for failures it can do nothing about: these end the run whatever this says.
   */
  readonly onToolFailure?: ToolFailureMode;
  /** Off by default. What the thread may spend on model and tool calls, checked before each attempt. */
  readonly budget?: BudgetOptions | false;
  /** Default: the system clock. Tests pass a fake one. */
  readonly clock?: Clock;
  /** Uniform in [0, 1), for jitter; default Math.random. */
  readonly random?: () => number;
}

/** Checked here, so that what is wrong with them is said at once; what is made of them depends on the place in a chain. */
const patience = { retry: offOr(retrySchema).optional(), timeout: offOr(timeoutSchema).optional() };

export const middlewareSchema = z.strictObject({
  name: z.string().min(1).default("resilience"),
  model: offOr(resilientModelSchema.extend(patience)).prefault({}),
  fallbacks: z
    .array(
      z.custom<AgentModelRoute>(
        (value) => (typeof value === "string" && value !== "") || (typeof value === "object" && value !== null),
        "must be a chat model, its name, or { model, … }",
      ),
    )
    .default([]),
  primary: routeSchema.omit({ model: true, when: true }).extend(patience).default({}),
  structuredOutput: z.boolean().default(true),
  tools: offOr(toolPolicySchema).prefault({}),
  byTool: z.record(z.string(), z.unknown()).default({}),
  onToolFailure: z.enum(FAILURE_MODES).default("tell_model"),
  budget: offOr(budgetSchema).default(false),
  clock: ladderShape.clock,
  random: ladderShape.random,
});

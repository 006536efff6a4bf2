/** `langgraph-resilience/chaos`: things that go wrong on purpose, for offline runs and for tests. */
export { type ToolCallRequest, type ToolCallsAnswer, toolCalls } from "../chaos/chat-answer.js";
export type { ChatMessage, ChatRequest, ToolCall } from "../chaos/chat-request.js";
export { armCrashPoints, crashAtPassage, passCrashPoint, traceCrashPoints } from "../chaos/crash-at.js";
export {
  type CrashOptions,
  type CrashPassage,
  type CrashPointResult,
  type CrashProgress,
  type CrashReport,
  type CrashScenario,
  CrashScenarioError,
  type CrashWorld,
} from "../chaos/crash-scenario.js";
export type { Distribution } from "../chaos/distributions.js";
export { enumerateCrashPoints } from "../chaos/enumerate-crash-points.js";
export type { FaultRate } from "../chaos/fault-rate.js";
export { describeScript, type RequestMatch, type ScriptEntry } from "../chaos/fault-script.js";
export type { FaultWindow } from "../chaos/fault-windows.js";
export type { Fault, FaultKind } from "../chaos/faults.js";
export { type FaultyProvider, startFaultyProvider } from "../chaos/faulty-provider.js";
export type { FaultyProviderOptions, Latency, ModelBehaviour } from "../chaos/provider-options.js";
export type { RequestOutcome, SeenRequest } from "../chaos/request-log.js";
export type { CrashPoint } from "../core/crash-points.js";

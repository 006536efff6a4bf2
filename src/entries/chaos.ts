/** `langgraph-resilience/chaos`: things that go wrong on purpose, for offline runs and for tests. */
export type { ChatMessage, ChatRequest } from "../chaos/chat-request.js";
export { crashAtPassage, traceCrashPoints } from "../chaos/crash-at.js";
export { describeScript, type RequestMatch, type ScriptEntry } from "../chaos/fault-script.js";
export type { Fault, FaultKind } from "../chaos/faults.js";
export {
  type FaultyProvider,
  type FaultyProviderOptions,
  type SeenRequest,
  startFaultyProvider,
} from "../chaos/faulty-provider.js";
export type { CrashPoint } from "../core/crash-points.js";

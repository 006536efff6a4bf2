/** `langgraph-resilience/nodes`: what graphs are built of. */

export { checkpointBarrier } from "langgraph-resilience";
export {
  ContentFilteredError,
  callModel,
  FEEDBACK_OPENING,
  feedback,
  type ModelAnswer,
  type ModelRequest,
  type PromptMessage,
  type StreamingModel,
} from "./call-model.js";
export { callStructured, type StructuredAnswer, type StructuredRequest } from "./call-structured.js";
export { type ChatModelOptions, chatModel, isOffline, type OfflineModel, offlineProvider } from "./chat-model.js";
export { type AnnouncedIntervention, announcedIntervention } from "./human-intervention.js";

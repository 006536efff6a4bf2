/** `langgraph-resilience/nodes`: what graphs are built of. */
export { callModel, ContentFilteredError, FEEDBACK_OPENING, feedback, type ModelAnswer, type ModelRequest, type PromptMessage, type StreamingModel } from "./call-model.js";
export { callStructured, type StructuredAnswer, type StructuredRequest } from "./call-structured.js";
export { chatModel, type ChatModelOptions, isOffline, type OfflineModel, offlineProvider } from "./chat-model.js";
export { announcedIntervention, type AnnouncedIntervention } from "./human-intervention.js";

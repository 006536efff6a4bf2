import { describeScript, type ScriptEntry } from "langgraph-resilience/chaos";
import { chatModel, isOffline, type StreamingModel } from "langgraph-resilience/nodes";
import { offlineAnalyst } from "./offline-analyst.js";
import { ANALYZE_TASK, REPORT_TASK } from "./prompts.js";

/** What goes wrong in a scripted run, in this order; the report's last failure uses its retries up. */
const SCRIPT: readonly ScriptEntry[] = [
  { kind: "status", status: 429, headers: { "Retry-After": "1" }, when: { contains: ANALYZE_TASK } },
  { kind: "invalid_structure", when: { contains: ANALYZE_TASK } },
  { kind: "status", status: 503, when: { contains: REPORT_TASK } },
  { kind: "cut_stream", when: { contains: REPORT_TASK } },
  { kind: "status", status: 503, when: { contains: REPORT_TASK } },
];

/** The graph's model. Without a key the bundled provider answers: calmly, or on the script with OFFLINE_PROVIDER=scripted. */
export function reportModel(): Promise<StreamingModel> {
  return chatModel({ offline: { name: "offline-analyst", answer: offlineAnalyst, script: script() } });
}

/** What the provider will do wrong in this process, a line each; empty for a calm run and for a real provider. */
export function describeFaults(): string[] {
  return isOffline() ? describeScript(script()) : [];
}

function script(): readonly ScriptEntry[] {
  return process.env.OFFLINE_PROVIDER === "scripted" ? SCRIPT : [];
}

/**
 * Runs a thread, or goes on with it, and dies when so many tokens have come ("tokens 300"), when the answer has come to
 * its end ("end"), or at a passage through a crash point ("streams.append.after 2"). Notes the characters that have come
 * in a journal, and prints the text.
 */
import { appendFileSync } from "node:fs";
import { openPersistence, resumeThread, runThread } from "langgraph-resilience";
import { traceCrashPoints } from "langgraph-resilience/chaos";
import { builderOf } from "./streams.js";

const [url = "", threadId = "", baseUrl = "", journal = "", place = "", action = "run"] = process.argv.slice(2);
const diesAt = (here: string) => {
  if (here === place) process.kill(process.pid, "SIGKILL");
};

const persistence = openPersistence(url);
await persistence.ready();

const passed: Record<string, number> = {};
let saved = Promise.resolve();
let isSaved = () => {};
traceCrashPoints((point) => {
  passed[point] = (passed[point] ?? 0) + 1;
  diesAt(`${point} ${passed[point]}`);
  if (point === "streams.append.before") {
    saved = new Promise((resolve) => {
      isSaved = resolve;
    });
  }
  if (point === "streams.append.after") isSaved();
});

let characters = 0;
const [, tokens = Number.POSITIVE_INFINITY] = /^tokens (\d+)$/.exec(place) ?? [];
const builder = builderOf(baseUrl, {
  came({ text, response_metadata }) {
    characters += text.length;
    appendFileSync(journal, `${text.length}\n`);
    if (characters / 4 >= Number(tokens)) diesAt(place);
    if (response_metadata.finish_reason !== undefined) diesAt("end");
  },
  ready: () => saved,
});
const graph = builder.compile({ checkpointer: persistence.checkpointer, name: "streams" });
const result = await (action === "run" ? runThread(graph, {}, { threadId }) : resumeThread(graph, threadId));
process.stdout.write(String(result.values.text ?? result.error?.stack ?? result.status));
await persistence.close();

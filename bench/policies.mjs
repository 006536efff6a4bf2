/**
 * What does a success cost that is wrapped in every policy? Against cockatiel with the same policies, in the same run.
 *
 *     npm run bench            about a minute; writes bench/results/policies.txt and policies.svg
 *     npm run bench -- --quick a few seconds, prints only
 *
 * Rounds of all contestants take turns, so that whatever else the machine does hits all of them; a figure is the median
 * of its rounds. Absolute figures are this machine's; the ratios are what travels.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { Annotation, END, MemorySaver, START, StateGraph } from "@langchain/langgraph";
import * as cockatiel from "cockatiel";
import * as echarts from "echarts";
import { defineService, installRecovery, protect, resilient } from "langgraph-resilience";

const quick = process.argv.includes("--quick");
const rounds = quick ? 3 : 11;
const callsPerRound = quick ? 2_000 : 20_000;
const heapCalls = quick ? 20_000 : 1_000_000;

/** @typedef {(state: any) => Promise<unknown>} Call */

/** @type {Call} */
const node = async (state) => state;
const service = defineService("bench", { bulkhead: { maxConcurrent: 100 }, retryBudget: {} });
const everything = {
  service,
  fallback: [{ name: "template", run: () => ({}) }],
  timeout: { baseMs: 30_000 },
};

/** @returns {Call} */
function cockatielStack() {
  const { handleAll } = cockatiel;
  const policy = cockatiel.wrap(
    cockatiel.fallback(handleAll, () => ({})),
    cockatiel.retry(handleAll, { maxAttempts: 3, backoff: new cockatiel.ExponentialBackoff() }),
    cockatiel.circuitBreaker(handleAll, { halfOpenAfter: 60_000, breaker: new cockatiel.ConsecutiveBreaker(5) }),
    cockatiel.bulkhead(100, 100),
    cockatiel.timeout(30_000, cockatiel.TimeoutStrategy.Aggressive),
  );
  return (state) => policy.execute(() => node(state));
}

/** @type {Record<string, Call>} */
const contestants = {
  "bare async function": node,
  "cockatiel: fallback, retry, breaker, bulkhead, timeout": cockatielStack(),
  "resilient(): the same, and classification, events, async-local config": resilient(node, everything),
  "resilient() with its defaults": resilient(node),
  "protect(): the same as the first, without LangGraph": protect(node, everything),
};

/** @param {number[]} values */
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

/**
 * @param {Call} call
 * @param {number} calls
 */
async function microsecondsPerCall(call, calls) {
  const began = process.hrtime.bigint();
  for (let i = 0; i < calls; i += 1) await call({ i });
  return Number(process.hrtime.bigint() - began) / calls / 1000;
}

/**
 * @param {Record<string, Call>} calls
 * @param {number} perRound
 */
async function race(calls, perRound) {
  /** @type {Record<string, number[]>} */
  const times = {};
  for (const call of Object.values(calls)) await microsecondsPerCall(call, perRound);
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, call] of Object.entries(calls)) {
      times[name] ??= [];
      times[name].push(await microsecondsPerCall(call, perRound));
    }
  }
  return Object.fromEntries(Object.entries(times).map(([name, values]) => [name, median(values)]));
}

/** @type {(fn: Call) => Call} */
const plain = (fn) => fn;

/**
 * @param {(fn: Call) => Call} decorate
 * @returns {Call}
 */
function graphOf(decorate) {
  const State = Annotation.Root({ i: Annotation() });
  const builder = new StateGraph(State).addNode("a", decorate(node)).addEdge(START, "a").addEdge("a", END);
  if (decorate !== plain) installRecovery(builder);
  const graph = builder.compile({ checkpointer: new MemorySaver() });
  let thread = 0;
  return (state) => {
    thread += 1;
    return graph.invoke(state, { configurable: { thread_id: `t${thread}` } });
  };
}
/** Live heap in KiB. */
async function liveHeap() {
  for (let i = 0; i < 3; i += 1) {
    globalThis.gc?.();
    await new Promise(setImmediate);
  }
  return process.memoryUsage().heapUsed / 1024;
}

/** @param {Call} call */
async function heapGrowth(call) {
  await microsecondsPerCall(call, callsPerRound);
  const before = await liveHeap();
  await microsecondsPerCall(call, heapCalls);
  return (await liveHeap()) - before;
}

const full = /** @type {Call} */ (contestants["resilient(): the same, and classification, events, async-local config"]);
const calls = await race(contestants, callsPerRound);
const peer = calls["cockatiel: fallback, retry, breaker, bulkhead, timeout"] ?? Number.NaN;
const graphs = await race(
  { "a graph of one bare node": graphOf(plain), "a graph of one resilient() node, with recovery": graphOf(resilient) },
  Math.ceil(callsPerRound / 200),
);
const growth = await heapGrowth(full);

/** @param {number} value */
const pad = (value, digits = 2) => value.toFixed(digits).padStart(10);
const lines = [
  `A success through every policy. Node ${process.version}, ${cpus()[0]?.model.trim()}, medians of ${rounds} rounds of ${callsPerRound} calls.`,
  "",
  "    µs/call  × cockatiel",
  ...Object.entries(calls).map(([name, us]) => `${pad(us)}  ${pad(us / peer)}  ${name}`),
  "",
  "   µs/graph run",
  ...Object.entries(graphs).map(([name, us]) => `${pad(us, 0)}  ${name}`),
  "",
  `Live heap after ${heapCalls.toLocaleString("en")} more calls of the full stack: ${growth >= 0 ? "+" : ""}${growth.toFixed(0)} KiB`,
  "",
];
console.log(lines.join("\n"));
if (!quick) {
  const folder = fileURLToPath(new URL("results/", import.meta.url));
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}policies.txt`, lines.join("\n"));
  writeFileSync(`${folder}policies.svg`, picture(calls));
}
process.exit(0);

/** @param {Record<string, number>} results */
function picture(results) {
  const chart = echarts.init(null, undefined, { renderer: "svg", ssr: true, width: 960, height: 320 });
  const entries = Object.entries(results).toReversed();
  chart.setOption({
    animation: false,
    title: { text: "A success through every policy, µs a call (less is better)" },
    grid: { left: 420, right: 60, top: 48, bottom: 24 },
    xAxis: { type: "value" },
    yAxis: { type: "category", data: entries.map(([name]) => name), axisLabel: { width: 400, overflow: "break" } },
    series: [
      {
        type: "bar",
        data: entries.map(([, us]) => Number(us.toFixed(2))),
        label: { show: true, position: "right" },
      },
    ],
  });
  return chart.renderToSVGString();
}

/** Runs the order-saga graph, or goes on with it, to its end. Dies where it is told to. */
import { armCrashPoints } from "langgraph-resilience/chaos";
import { builder } from "../../graphs/order-saga/graph.js";
import { runGraph } from "./run-graph.js";

armCrashPoints();
await runGraph("order-saga", builder);

/** A graph whose only step runs in a worker thread. */
import { END, START, StateGraph } from "@langchain/langgraph";
import { z } from "zod";
import { resilient } from "../../../src/langgraph/resilient.js";
import { isolated } from "../../../src/policies/isolated.js";
import type { addUp } from "./work.js";

const State = z.object({ numbers: z.array(z.number()), sum: z.number().optional() });

const add = isolated<typeof addUp>({ module: new URL("./work.js", import.meta.url), export: "addUp" });

export const builder = new StateGraph(State).addNode("add", resilient(add)).addEdge(START, "add").addEdge("add", END);

export const graph = builder.compile();

import { keepCheckpointer, openPersistence } from "langgraph-resilience";
import { desk } from "./desk.js";

export const builder = desk();

export const graph = builder.compile({
  checkpointer: openPersistence(process.env.DATABASE_URL, { strict: true, retention: {} }).checkpointer,
});
keepCheckpointer(graph);

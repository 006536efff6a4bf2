/** `langgraph-resilience/persistence`: the saver on its own, a drop-in for PostgresSaver. Needs pg and checkpoint-postgres. */
export { ResilientPostgresSaver, type ResilientSaverOptions } from "../persistence/saver.js";

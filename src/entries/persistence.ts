/** `langgraph-resilience/persistence`: the saver on its own, a drop-in for PostgresSaver. Needs pg and checkpoint-postgres. */
export {
  type RewriteOptions,
  type RewriteProgress,
  type RewriteResult,
  rewriteForStock,
} from "../persistence/rewrite-for-stock.js";
export { ResilientPostgresSaver, type ResilientSaverOptions } from "../persistence/saver.js";

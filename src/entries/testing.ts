/** `langgraph-resilience/testing`: the suite for persistence plugins, under the test runner of your choice. */
export {
  type OptionalStore,
  type PersistenceContractOptions,
  persistenceContract,
  type TestFunctions,
} from "../testing/persistence-contract.js";

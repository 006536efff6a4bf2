/** `langgraph-resilience/observability`: subscribers of the event bus. */
export { type ConsoleReporterOptions, consoleReporter, jsonReporter } from "../observability/console-reporter.js";

/** Errors that say on purpose what they are: our own, and LangGraph's verdicts on a step. */
import { isCategory } from "../categories.js";
import type { ErrorRule } from "../error-rule.js";
import { both, coded, either, inPass, named, row } from "./row.js";

export const OWN_RULES = inPass("own", [
  // No failure at all: should one be classified by mistake, then at least nothing is tried again.
  row(
    "control flow",
    "cancelled",
    either(
      (facts) => facts.controlFlow === true,
      named("GraphInterrupt", "NodeInterrupt", "GraphDrained", "ParentCommand"),
    ),
  ),
  {
    ...row(
      "carries its category",
      (facts) => (isCategory(facts.category) ? facts.category : undefined),
      (facts) => isCategory(facts.category),
    ),
    retryable: (facts) => facts.retryable,
  } satisfies ErrorRule,
  row("own timeout", "timeout", coded("ATTEMPT_TIMEOUT", "FIRST_TOKEN_TIMEOUT", "IDLE_TIMEOUT", "DEADLINE_EXCEEDED")),
  row("own malformed output", "malformed_output", coded("MALFORMED_OUTPUT")),
  row(
    "own invalid input",
    "invalid_input",
    coded("INVALID_INPUT", "CONFIG", "DECISION_REFUSED", "THREAD_EXISTS", "THREAD_NOT_RESUMABLE"),
  ),
  row("own not found", "not_found", coded("THREAD_NOT_FOUND")),
  row("own cancellation", "cancelled", coded("CANCELLED", "RUN_ABORTED")),
  row("owned elsewhere", "environment", coded("OWNED_ELSEWHERE")),
  row(
    "graph recursion",
    "stuck",
    either(named("GraphRecursionError"), both(named("Error"), coded("GRAPH_RECURSION_LIMIT"))),
  ),
  row("node timeout", "timeout", named("NodeTimeoutError")),
]);

/** The same errors once a checkpoint has left them name and message alone; other packages use such names alike. */
export const OWN_NAME_RULES: readonly ErrorRule[] = [
  row("timeout by name", "timeout", named("AttemptTimeoutError", "DeadlineExceededError")),
  row(
    "malformed output by name",
    "malformed_output",
    named("MalformedOutputError", "AnswerCutError", "AnswerDamagedError", "InvalidToolCallError"),
  ),
  row("content filtered by name", "content_policy", named("ContentFilteredError")),
  row("unusable response by name", "server_error", named("UnusableResponseError")),
  row("invalid input by name", "invalid_input", named("InvalidInputError", "ConfigError", "DecisionRefusedError")),
  row("cancellation by name", "cancelled", named("CancelledError", "RunAbortedError", "LeaseLostError")),
  row("owned elsewhere by name", "environment", named("OwnedElsewhereError", "CheckpointCorruptError")),
  row("thread in use by name", "conflict", named("ThreadBusyError")),
  row("open circuit by name", "model_unavailable", named("CircuitOpenError")),
  row("no room by name", "rate_limit", named("BulkheadFullError", "RateLimitedError", "CoolingDownError")),
  row("budget by name", "quota", named("BudgetExceededError")),
  row("degraded input by name", "environment", named("DegradedInputError", "NoStaleAnswerError", "IsolationError")),
  row("thread by name", "not_found", named("ThreadError")),
  // What it was that failed is not known any more; that nothing is left to try is.
  row("given up by name", "stuck", named("AttemptsUsedUpError", "NodeFailedError", "ModelsFailedError")),
];

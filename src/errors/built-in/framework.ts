/** Classes of LangChain, LangGraph and the clients beneath them. */
import type { ErrorRule } from "../error-rule.js";
import { coded, either, named, row } from "./row.js";

export const FRAMEWORK_RULES: readonly ErrorRule[] = [
  row("aborted", "cancelled", named("AbortError", "APIUserAbortError", "ModelAbortError")),
  row(
    "timeout class",
    "timeout",
    named(
      "TimeoutError",
      "APIConnectionTimeoutError",
      "ConnectTimeoutError",
      "HeadersTimeoutError",
      "BodyTimeoutError",
    ),
  ),
  row("context overflow", "context_length", named("ContextOverflowError")),
  row("refused by the model", "content_policy", named("ModelRefusalError", "ContentFilterFinishReasonError")),
  row(
    "output that cannot be parsed",
    "malformed_output",
    either(
      named(
        "OutputParserException",
        "ToolInputParsingException",
        "LengthFinishReasonError",
        "StructuredOutputParsingError",
        "MultipleStructuredOutputsError",
      ),
      coded("OUTPUT_PARSING_FAILURE", "INVALID_TOOL_RESULTS"),
    ),
  ),
  row(
    "graph definition",
    "bug",
    named(
      "InvalidUpdateError",
      "GraphValueError",
      "UnreachableNodeError",
      "StateGraphInputError",
      "EmptyChannelError",
      // the class has an s that its name lacks
      "MultipleSubgraphError",
      "MultipleSubgraphsError",
    ),
  ),
  row("graph input", "invalid_input", named("EmptyInputError", "UnknownInterruptError")),
  row("tool failed", "tool_execution", named("ToolInvocationError", "ToolException")),
];

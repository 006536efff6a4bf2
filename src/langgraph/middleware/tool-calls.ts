/** How an agent's tool calls climb the ladder: attempt → retry → fallback, and then the model is told. */
import { ToolMessage } from "@langchain/core/messages";
import type { ToolCall } from "@langchain/core/messages/tool";
import { type Command, isCommand, type LangGraphRunnableConfig } from "@langchain/langgraph";
import type { ToolCallHandler, ToolCallRequest } from "langchain";
import { takeFailure } from "../../core/failures.js";
import { rethrowControlFlow } from "../../errors/control-flow.js";
import { asError } from "../../errors/own-errors.js";
import type { ErrorReport } from "../../errors/report.js";
import { compileLadder } from "../../policies/compiled-ladder.js";
import { STALE } from "../../policies/fallback.js";
import type { FallbackPolicy } from "../../policies/ladder-options.js";
import { ambientConfig } from "../attempt-internals.js";
import { namespaceOf } from "../internals.js";
import { type DecoratedNode, entrance } from "../resilient.js";
import type { ResilientPolicy } from "../resilient-options.js";
import { classifyToolError } from "../resilient-tool.js";
import { isErrorMessage, refusedArguments, toolWithin } from "./agent-internals.js";
import { agentSignal } from "./agent-signal.js";
import { failureMessage, mayBeTold, refusalMessage, ToolAnsweredError } from "./tool-failure.js";
import type { ToolAnswer, ToolArguments, ToolFailureMode, ToolPolicy } from "./tool-options.js";

/** A tool that is called by an agent. */
type CallTool = (request: ToolCallRequest, handler: ToolCallHandler) => Promise<ToolMessage | Command>;

/** One call, as the ladder passes it from step to step. */
interface Call {
  readonly request: ToolCallRequest;
  readonly handler: ToolCallHandler;
  /** Told of the signal that a tool is called with: the agent may have one of its own. */
  readonly began: (signal: AbortSignal | undefined) => void;
}

export interface ToolCallSettings {
  readonly policy: ToolPolicy;
  /** Where the policy does not say. */
  readonly onFailure: ToolFailureMode;
  readonly shared: Pick<ResilientPolicy, "budget" | "clock" | "random">;
}

/**
 * @param owner for messages: `resilienceMiddleware()`
 * @param name the tool's, which its own guards are called by
 * @throws ConfigError for a service that cannot be what its options say
 */
export function protectedTool(owner: string, name: string, { policy, onFailure, shared }: ToolCallSettings): CallTool {
  const enter = ladderEntrance(`${owner}, tool "${name}"`, name, policy, shared);
  const mode = policy.onFailure ?? onFailure;
  return async function callTool(request, handler) {
    const config = ambientConfig();
    const agent = agentSignal(config);
    try {
      return await enter({ request, handler, began: agent.follow }, { ...config, signal: agent.signal });
    } catch (thrown) {
      // The agent's own end is no drain of the run, which LangGraph would go on from.
      if (agent.reason !== undefined) throw agent.reason;
      rethrowControlFlow(thrown);
      const error = asError(thrown);
      const report = classifyToolError(error);
      // A model that is told may call again, and an effect that was begun must not happen twice.
      if (mode === "throw" || agent.hasEffects || !mayBeTold(report)) throw error;
      const attempts = takeFailure(error, namespaceOf(config))?.attempts ?? [];
      return failureMessage({ call: request.toolCall, report, attempts });
    } finally {
      agent.dispose();
    }
  };
}

function ladderEntrance(
  owner: string,
  name: string,
  policy: ToolPolicy,
  shared: ToolCallSettings["shared"],
): DecoratedNode<Call, ToolMessage | Command> {
  const { onFailure: _, errorMessages, fallback, validate, estimateTokens, ...rest } = policy;
  const ladderPolicy: ResilientPolicy = {
    ...rest,
    ...shared,
    name,
    cache: false,
    humanAfter: "fallback",
    rollback: false,
    fallback: fallback.filter((step) => step !== STALE).map(asAnswering),
    ...(validate === undefined ? {} : { validate: exceptErrorMessages(validate) }),
    ...(estimateTokens === undefined ? {} : { estimateTokens: ofArguments(estimateTokens) }),
  };
  const work = async (input: unknown, config: LangGraphRunnableConfig) => {
    const result = await attempted(input as Call, config);
    if (errorMessages === "failure" && isErrorMessage(result) && !refused.has(result))
      throw new ToolAnsweredError(result.text);
    return result;
  };
  const ladder = compileLadder<LangGraphRunnableConfig>(owner, name, work, ladderPolicy);
  return entrance({ label: name, policy: ladderPolicy, ladder, isTool: true, classify: classifyToolError });
}

/** Answers of ours: that the tool was never called is the model's mistake, and no rung is asked. */
const refused = new WeakSet<object>();

async function attempted({ request, handler, began }: Call, config: LangGraphRunnableConfig) {
  const { tool, runtime, toolCall } = request;
  const { configurable, signal, writer } = config;
  const within = {
    ...request,
    tool: tool === undefined ? undefined : toolWithin(tool, config, began),
    runtime: { ...runtime, configurable, signal, writer },
  } as ToolCallRequest;
  try {
    return await handler(within as Parameters<ToolCallHandler>[0]);
  } catch (error) {
    rethrowControlFlow(error);
    const why = refusedArguments(error);
    if (why === undefined) throw error;
    const refusal = refusalMessage(toolCall, why);
    refused.add(refusal);
    return refusal;
  }
}

/** A fallback is given the arguments, and what it answers becomes the message that the model waits for. */
function asAnswering(step: FallbackPolicy): FallbackPolicy {
  const run = step.run as unknown as (
    args: ToolArguments,
    config: LangGraphRunnableConfig,
    failure: ErrorReport,
  ) => ToolAnswer | Promise<ToolAnswer>;
  const answering = async ({ request: { toolCall } }: Call, config: LangGraphRunnableConfig, failure: ErrorReport) =>
    answerTo(toolCall, await run(toolCall.args, config, failure), { answeredBy: step.name, because: failure.category });
  return { ...step, run: answering as unknown as FallbackPolicy["run"] };
}

function answerTo(call: ToolCall, answer: unknown, metadata: Record<string, unknown>): ToolMessage | Command {
  if (isCommand(answer)) return answer;
  const ids = { tool_call_id: call.id ?? "", name: call.name };
  if (!ToolMessage.isInstance(answer)) {
    const content = typeof answer === "string" ? answer : (JSON.stringify(answer) ?? "");
    return new ToolMessage({ content, ...ids, metadata });
  }
  const { content, artifact, status, id, additional_kwargs, response_metadata } = answer;
  const given = { content, artifact, additional_kwargs, response_metadata, ...ids };
  return new ToolMessage({
    ...given,
    ...(id === undefined ? {} : { id }),
    ...(status === undefined ? {} : { status }),
    metadata: { ...answer.metadata, ...metadata },
  });
}

function exceptErrorMessages(validate: (...given: never[]) => unknown): (result: unknown) => unknown {
  return (result) => (isErrorMessage(result) ? undefined : validate(result as never));
}

function ofArguments(estimate: (...given: never[]) => unknown): (call: Call) => unknown {
  return ({ request }) => estimate(request.toolCall.args as never);
}

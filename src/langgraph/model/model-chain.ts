/** The models of a chain as the rungs of one ladder, and one call's way up it. */
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { cancellationOf } from "../../core/abort.js";
import { recordFailure, takeFailure } from "../../core/failures.js";
import { NODE_STEP } from "../../core/records.js";
import { classifyError } from "../../errors/classify.js";
import { isControlFlow } from "../../errors/control-flow.js";
import { ModelsFailedError } from "../../errors/model-errors.js";
import { asError, ConfigError } from "../../errors/own-errors.js";
import type { ErrorReport } from "../../errors/report.js";
import type { CompiledStep } from "../../policies/compiled-ladder.js";
import { namespaceOf } from "../internals.js";
import { type DecoratedNode, entrance } from "../resilient.js";
import { type ResilientPolicy, resilientSchema } from "../resilient-options.js";
import type { AnswerMetadata } from "./answer-chunk.js";
import { askModel, type ModelAnswer, type ModelCall, type RoutedModel } from "./ask-model.js";
import type { ModelPolicy } from "./model-options.js";
import { modelNameOf } from "./route.js";

export interface ModelChain {
  /** For messages and events. */
  readonly name: string;
  readonly policy: ModelPolicy;
  readonly models: readonly RoutedModel[];
  /** @throws ModelsFailedError where several failed; else the failure as it came; LangGraph's control flow */
  answer(call: ModelCall, taskType: string, config: LangGraphRunnableConfig): Promise<ModelAnswer>;
}

type Step = CompiledStep<LangGraphRunnableConfig>;

/** The ladder of one task type. */
interface Entrance {
  readonly enter: DecoratedNode<ModelCall, ModelAnswer>;
  readonly primary: string;
}

export function createModelChain(name: string, policy: ModelPolicy, models: readonly RoutedModel[]): ModelChain {
  const ofNode = nodePolicy(name, policy);
  const entrances = new Map<string, Entrance>();
  const entranceFor = (taskType: string) => {
    const known = entrances.get(taskType);
    if (known !== undefined) return known;
    const served = serving(name, models, taskType);
    const made = { enter: enterChain(name, ofNode, served), primary: (served[0] as RoutedModel).route.name };
    entrances.set(taskType, made);
    return made;
  };
  return {
    name,
    policy,
    models,
    async answer(call, taskType, config) {
      const { enter, primary } = entranceFor(taskType);
      try {
        const answer = await enter(call, config);
        // Also where the first was not asked at all: its circuit is open, or it asked to be left alone.
        if (answer.answeredBy !== primary) cancellationOf(config.signal)?.noteDegraded();
        return answer;
      } catch (thrown) {
        if (isControlFlow(thrown) || config.signal?.aborted === true) throw thrown;
        throw summed(asError(thrown), call, primary, config);
      }
    },
  };
}

/** Who answered, who was asked before, and what became of it. */
export function metadataOf(call: ModelCall, { answeredBy, model, message }: ModelAnswer): AnswerMetadata {
  const failures = call.failures.map(({ model, report }) => ({
    model,
    category: report.category,
    message: report.message,
  }));
  const { model_name, model: ownName } = message.response_metadata as Record<string, unknown>;
  return {
    resilience: { answeredBy, attempts: call.attempts, failures },
    ...(model_name === undefined ? { model_name: typeof ownName === "string" ? ownName : modelNameOf(model) } : {}),
  };
}

/** The models that serve this task type, those first that were declared for it. @throws ConfigError when there are none */
function serving(name: string, models: readonly RoutedModel[], taskType: string): readonly RoutedModel[] {
  const declared = models.filter(({ route }) => route.tasks?.includes(taskType) === true);
  const found = [...declared, ...models.filter(({ route }) => route.tasks === undefined)];
  if (found.length > 0) return found;
  const known = [...new Set(models.flatMap(({ route }) => route.tasks ?? []))].join(", ");
  throw new ConfigError(
    `resilientModel(${name}): no model serves the task type "${taskType}"; those declared are: ${known}. Add it to the "tasks" of a model, or leave "tasks" out of one`,
  );
}

function nodePolicy(name: string, { timeout, budget, clock, random }: ModelPolicy): ResilientPolicy {
  const deadlineMs = timeout === undefined || timeout === false ? undefined : timeout.deadlineMs;
  return resilientSchema.parse({
    name,
    timeout: deadlineMs === undefined ? false : { deadlineMs },
    retry: false,
    budget,
    clock,
    random: random,
  });
}

function enterChain(
  name: string,
  policy: ResilientPolicy,
  models: readonly RoutedModel[],
): DecoratedNode<ModelCall, ModelAnswer> {
  const steps = models.map((routed, index): Step => {
    const { route } = routed;
    return {
      name: index === 0 ? NODE_STEP : route.name,
      when: route.when,
      run: (call, config) => askModel(routed, call as ModelCall, config),
      retry: route.retry,
      timeout: route.timeout,
      service: route.service,
    };
  });
  const [node, ...fallbacks] = steps as [Step, ...Step[]];
  return entrance<ModelCall, ModelAnswer>({
    label: name,
    policy,
    ladder: { node, fallbacks, retries: true, cache: undefined },
    isTool: true,
    noun: "model",
    classify: classifyError,
  });
}

/** Failures of calls that were not made: they say less than those of models that were asked. */
const NOT_ASKED: ReadonlySet<string | undefined> = new Set([
  "CIRCUIT_OPEN",
  "COOLING_DOWN",
  "RATE_LIMITED",
  "BULKHEAD_FULL",
]);

/** What is thrown for all of them: the one failure there was, or the last of each with the one that says most in front. */
function summed(error: Error, call: ModelCall, primary: string, config: LangGraphRunnableConfig): Error {
  const scope = namespaceOf(config);
  const record = takeFailure(error, scope);
  const modelOf = (step: string) => (step === NODE_STEP ? primary : step);
  const last = new Map<string, ErrorReport>();
  for (const { step, report } of record?.attempts ?? []) {
    const before = last.get(modelOf(step));
    if (before === undefined || !NOT_ASKED.has(report.code) || NOT_ASKED.has(before.code))
      last.set(modelOf(step), report);
  }
  if (record === undefined || last.size <= 1) {
    if (record !== undefined) recordFailure(error, record, scope);
    return error;
  }
  const failures = [...last].map(([model, { category, message }]) => ({ model, category, message }));
  const [asked] = [...last].filter(([, { code }]) => !NOT_ASKED.has(code));
  const [model, { category, status, retryAfterMs }] = asked ?? ([primary, record.report] as const);
  const own = call.failures.findLast((failure) => failure.model === model)?.error;
  const summary = new ModelsFailedError(failures, { category, status, retryAfterMs, cause: own ?? error });
  recordFailure(summary, { ...record, report: classifyError(summary) }, scope);
  return summary;
}

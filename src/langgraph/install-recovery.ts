import { Annotation, Command, type LangGraphRunnableConfig, type NodeError, Send } from "@langchain/langgraph";
import { takeFailure } from "../core/failures.js";
import { type Degradation, type FailureRecord, NODE_STEP } from "../core/records.js";
import { classifyError } from "../errors/classify.js";
import { ConfigError, NodeFailedError } from "../errors/own-errors.js";
import { attemptsOfEnded } from "./attempt-history.js";
import { setBarrierEvery } from "./checkpoint-barrier.js";
import { scopeOf } from "./effects/effect-scope.js";
import { REENTRIES, reentryOf, sealReentry } from "./envelope.js";
import { type HumanInterventionOptions, type HumanTask, humanIntervention } from "./human-intervention.js";
import {
  attachErrorHandler,
  type BuilderLike,
  beforeCompile,
  builderOf,
  failedTaskNamespace,
  functionOfNode,
  hasRecovery,
  routesByCommand,
  wasThrownHere,
} from "./internals.js";
import { DEGRADATIONS } from "./provenance.js";
import { nextRung, resilientMark } from "./resilient.js";

export interface RecoveryOptions extends HumanInterventionOptions {
  /** So many supersteps make a barrier to go back to, named "step 10"; none by default. See checkpointBarrier. */
  readonly barrierEvery?: number;
  /** Name of the human node in the graph; default "humanIntervention". */
  readonly humanNode?: string;
  /** A node of your own in place of the built-in one, for instance from nodes/human-intervention.ts. */
  readonly node?: (task: HumanTask, config: LangGraphRunnableConfig) => Command | Promise<Command>;
}

/**
 * Puts the human rung into a graph: adds the human node, gives every decorated node an error handler and the edge to
 * the human node that Studio draws, and declares the channel `degradations`. Call it once, after the last `addNode` and
 * before `compile`. Each subgraph installs its own.
 *
 * A node with an error handler of its own keeps it.
 *
 * @returns the builder
 * @throws ConfigError for something that is not a StateGraph, one without decorated nodes, one that has a recovery, or
 * a decorated node that LangGraph is to retry as well; from `compile` for a decorated node that was added later
 */
export function installRecovery<B extends object>(builder: B, options: RecoveryOptions = {}): B {
  const { humanNode = "humanIntervention", node, barrierEvery, ...asked } = options;
  if (barrierEvery !== undefined && !(Number.isInteger(barrierEvery) && barrierEvery > 0))
    throw new ConfigError(
      `installRecovery(): option "barrierEvery" has to be a whole number of supersteps from 1 on, not ${String(barrierEvery)}`,
    );
  const inner = builderOf(builder);
  if (inner === undefined)
    throw new ConfigError("installRecovery(): expected a StateGraph before compile(); got something else");
  if (hasRecovery(inner))
    throw new ConfigError("installRecovery(): the graph has a recovery already; install once, after the last addNode");
  if (humanNode in inner.nodes)
    throw new ConfigError(
      `installRecovery(): the graph already has a node "${humanNode}"; install once, or choose another name with { humanNode }`,
    );
  const wrapped = decoratedNodes(inner);
  if (wrapped.length === 0)
    throw new ConfigError("installRecovery(): no node is wrapped in resilient(); add the nodes first");
  const retriedTwice = wrapped.find((name) => inner.nodes[name]?.retryPolicy !== undefined);
  if (retriedTwice !== undefined)
    throw new ConfigError(
      `installRecovery(): node "${retriedTwice}" has a retryPolicy beside resilient(), and the attempts of both would multiply; drop the retryPolicy and give resilient(node, { retry })`,
    );
  for (const option of ["timeout", "cachePolicy"] as const) {
    const twice = wrapped.find((name) => inner.nodes[name]?.[option] !== undefined);
    if (twice === undefined) continue;
    const own = option === "timeout" ? "timeout" : "cache";
    throw new ConfigError(
      `installRecovery(): node "${twice}" has a ${option} beside resilient(), which knows nothing of the rungs within it; drop it and give resilient(node, { ${own} })`,
    );
  }
  if (barrierEvery !== undefined) setBarrierEvery(builder, barrierEvery);
  addHumanNode(builder, inner, humanNode, node ?? humanIntervention(asked), wrapped);
  const handled = wrapped.filter((name) => inner.nodes[name]?.errorHandlerNode === undefined);
  attachErrorHandler(inner, handled, [humanNode], (input, error, config) =>
    onFailure(inner, humanNode, input, error, config),
  );
  beforeCompile(inner, () => {
    const late = decoratedNodes(inner).find((name) => !wrapped.includes(name));
    if (late === undefined) return;
    throw new ConfigError(
      `installRecovery(): node "${late}" was added after it, so no person would be asked about its failures; call installRecovery after the last addNode`,
    );
  });
  return builder;
}

function decoratedNodes(inner: BuilderLike): string[] {
  return Object.entries(inner.nodes).flatMap(([name, spec]) =>
    resilientMark(functionOfNode(spec)) === undefined ? [] : [name],
  );
}

async function onFailure(
  inner: BuilderLike,
  humanNode: string,
  input: unknown,
  { node: name, error }: NodeError,
  config: LangGraphRunnableConfig,
): Promise<Command> {
  const failure = wasThrownHere(error)
    ? (takeFailure(error, failedTaskNamespace(config)) ?? unrecorded(name, input, error, config))
    : await leftBehind(inner, name, input, config);
  // The record of a failure dies with its process; without its attempts the step is tried anew rather than guessed at.
  // The same holds for a failure that ended the run: whoever resumes has presumably mended what was wrong.
  if (failure === undefined) return triedAnew(name, input, config);
  // Not the error itself: LangGraph holds what it has handed to a handler for handled, and would go on as if it were.
  if (nextRung(failure) !== "human") throw new NodeFailedError(name, failure.report.category, error);
  const routes = routesByCommand(inner, name, humanNode) ? { routesByItself: true as const } : {};
  const task: HumanTask = { failure: { ...failure, node: name, ...routes, ...declaredRollback(inner, name) } };
  return new Command({ goto: [new Send(humanNode, task)] });
}

/** The same step, so that what it has done already is not done again. */
function triedAnew(node: string, given: unknown, config: LangGraphRunnableConfig): Command {
  const reentry = reentryOf(given, config);
  const { sent, update } = sealReentry({
    v: 1,
    input: given,
    attempts: [],
    decisions: [],
    scope: scopeOf(config, failedTaskNamespace(config)),
    ...reentry,
    directive: { kind: "retry" },
  });
  return new Command({ update, goto: [new Send(node, sent)] });
}

/** What is taken back before a person is asked, where the node has declared that. */
function declaredRollback(inner: BuilderLike, node: string): Pick<FailureRecord, "rollback"> {
  const spec = inner.nodes[node];
  const policy = spec === undefined ? undefined : resilientMark(functionOfNode(spec))?.policy;
  if (policy === undefined || policy.rollback === false || policy.humanAfter !== "rollback") return {};
  const { transaction } = policy;
  return { rollback: { ...policy.rollback, ...(transaction === undefined ? {} : { transaction: transaction.name }) } };
}

/** The failure of a step whose process died before a person could be asked, from the attempts it has left in the store. */
async function leftBehind(
  inner: BuilderLike,
  node: string,
  given: unknown,
  config: LangGraphRunnableConfig,
): Promise<FailureRecord | undefined> {
  const spec = inner.nodes[node];
  const mark = spec === undefined ? undefined : resilientMark(functionOfNode(spec));
  if (mark === undefined) return undefined;
  const { retry, fallback } = mark.policy;
  const declared = fallback.filter((step) => step !== "stale");
  const steps = [{ name: NODE_STEP, retry }, ...declared].filter(
    (step) => step.retry !== false && step.retry.maxAttempts > 1,
  );
  const names = steps.map((step) => step.name);
  const attempts = await attemptsOfEnded(config, failedTaskNamespace(config), mark.label, names);
  const report = attempts?.findLast((one) => one.step === NODE_STEP)?.report ?? attempts?.at(-1)?.report;
  if (attempts === undefined || report === undefined) return undefined;
  const reentry = reentryOf(given, config);
  return {
    v: 1,
    node,
    input: reentry === undefined ? given : reentry.input,
    report,
    attempts: [...(reentry?.attempts ?? []), ...attempts],
    fallbacks: declared.map((step) => step.name),
    decisions: reentry?.decisions ?? [],
    scope: reentry?.scope ?? scopeOf(config, failedTaskNamespace(config)),
    ...(reentry?.rolledBack === undefined ? {} : { rolledBack: reentry.rolledBack }),
  };
}

/** LangGraph itself refused what the node returned, after the decorator had let it go. */
function unrecorded(node: string, given: unknown, error: Error, config: LangGraphRunnableConfig): FailureRecord {
  const reentry = reentryOf(given, config);
  const report = classifyError(error);
  const message = `What node "${node}" returned was refused by the graph's state: ${report.message}`;
  return {
    v: 1,
    node,
    input: reentry === undefined ? given : reentry.input,
    report: { ...report, category: "bug", retryable: false, message },
    attempts: reentry?.attempts ?? [],
    fallbacks: [],
    decisions: reentry?.decisions ?? [],
    scope: reentry?.scope ?? scopeOf(config, failedTaskNamespace(config)),
    ...(reentry?.rolledBack === undefined ? {} : { rolledBack: reentry.rolledBack }),
  };
}

function addHumanNode(builder: object, inner: BuilderLike, name: string, node: unknown, ends: readonly string[]): void {
  const list = <T>() => Annotation<T[]>({ reducer: (before, added) => before.concat(added), default: () => [] });
  const input = Annotation.Root({
    [REENTRIES]: list<string>(),
    ...(DEGRADATIONS in inner.channels ? {} : { [DEGRADATIONS]: list<Degradation>() }),
  });
  const add = (builder as { addNode(name: string, node: unknown, options: object): unknown }).addNode;
  add.call(builder, name, node, { ends: [...ends, name], input });
}

/** The public API. */
export type { AuditEntry, AuditFilter, AuditLog, StoredAuditEntry } from "./core/audit-ports.js";
export { type Clock, systemClock } from "./core/clock.js";
export type {
  EffectEntry,
  EffectFrame,
  EffectKind,
  EffectLedger,
  EffectMove,
  EffectScope,
  EffectState,
  StoredEffect,
  WayPoint,
} from "./core/effect-ports.js";
export type {
  EventBus,
  EventContext,
  EventOf,
  EventPayloads,
  EventType,
  ResilienceEvent,
  WentBack,
} from "./core/events.js";
export { createEventBus } from "./core/events.js";
export { failureOf } from "./core/failures.js";
export type {
  InboxFilter,
  InboxItem,
  InboxLevel,
  InboxPlan,
  InboxResolution,
  InboxState,
  InboxStore,
  PendingNotice,
  StoredInboxItem,
} from "./core/inbox-ports.js";
export type { Channel, Notice, NoticeEvent } from "./core/notice-ports.js";
export { eventsOf, persistenceOf, registerCheckpointer } from "./core/persistence-of.js";
export type {
  Persistence,
  PersistenceOptions,
  PersistencePlugin,
  ThreadFilter,
  ThreadPatch,
  ThreadRecord,
  ThreadStatus,
  ThreadStore,
} from "./core/ports.js";
export type {
  AttemptRecord,
  DeclaredRollback,
  Degradation,
  Directive,
  FailureRecord,
  RetryParameters,
} from "./core/records.js";
export { type RedactLimits, redact, redactText } from "./core/redact.js";
export type {
  Pin,
  PrunedThread,
  PruneOptions,
  PruneSummary,
  Retention,
  RetentionOptions,
  RetentionRule,
} from "./core/retention-ports.js";
export { type HeldLease, type RunHold, runHoldOf } from "./core/run-hold.js";
export type {
  AttemptScope,
  AttemptStore,
  AttemptsState,
  LeaseAnswer,
  LeaseStore,
  ResultCache,
  StoredAttempts,
  StoredStream,
  StreamPart,
  StreamScope,
  StreamStore,
  Versioned,
  VersionedStore,
} from "./core/store-ports.js";
export { threadIdOf } from "./core/thread-id.js";
export type { EffectCall, OnFork, ProbeAnswer } from "./effects/effect.js";
export {
  type BackoffStrategy,
  CATEGORIES,
  CATEGORY_POLICIES,
  type Category,
  type CategoryPolicy,
  type NextRung,
} from "./errors/categories.js";
export { classifyError } from "./errors/classify.js";
export { isControlFlow, rethrowControlFlow } from "./errors/control-flow.js";
export {
  EffectForbiddenError,
  EffectInputChangedError,
  EffectNotRecordedError,
  EffectReceiptError,
  EffectRejectedError,
  EffectUnknownError,
  RollbackIncompleteError,
  RollbackInterruptedError,
  RollbackRefusedError,
  TransactionFailedError,
} from "./errors/effect-errors.js";
export type { ErrorRule, Pass } from "./errors/error-rule.js";
export type { ErrorFacts } from "./errors/facts.js";
export {
  AnswerCutError,
  AnswerDamagedError,
  ContentFilteredError,
  type FailedModel,
  InvalidToolCallError,
  ModelsFailedError,
  UnusableResponseError,
} from "./errors/model-errors.js";
export {
  AttemptTimeoutError,
  CancelledError,
  ConfigError,
  DecisionRefusedError,
  InjectedFaultError,
  InvalidInputError,
  MalformedOutputError,
  NodeFailedError,
  NonErrorThrown,
  OwnedElsewhereError,
  ResilienceError,
  RunAbortedError,
  ThreadError,
} from "./errors/own-errors.js";
export {
  CheckpointCorruptError,
  type CorruptPart,
  LeaseLostError,
  ThreadBusyError,
} from "./errors/persistence-errors.js";
export {
  AttemptsUsedUpError,
  BreakerStoreError,
  BudgetExceededError,
  BulkheadFullError,
  CircuitOpenError,
  CoolingDownError,
  DeadlineExceededError,
  DegradedInputError,
  IsolationError,
  NoStaleAnswerError,
  RateLimitedError,
} from "./errors/policy-errors.js";
export type { ErrorReport } from "./errors/report.js";
export { defineErrorRule } from "./errors/rules.js";
export { type Attempt, attempt, beginEffect } from "./langgraph/attempt-scope.js";
export { checkpointBarrier } from "./langgraph/checkpoint-barrier.js";
export { defineEffect } from "./langgraph/effects/define-effect.js";
export type { EffectFunction, EffectOptions } from "./langgraph/effects/effect-options.js";
export { type EffectOutcome, listEffects, settleEffect } from "./langgraph/effects/ledger-of-thread.js";
export { transaction } from "./langgraph/effects/transaction.js";
export { explain } from "./langgraph/explain.js";
export { type HumanInterventionOptions, type HumanTask, humanIntervention } from "./langgraph/human-intervention.js";
export { type ResolveOptions, resolveInboxItem } from "./langgraph/inbox/resolve-item.js";
export { type InboxSweep, type StartSweepOptions, startInboxSweep } from "./langgraph/inbox/start-sweep.js";
export { type SweepOptions, type SweepReport, sweepInbox } from "./langgraph/inbox/sweep.js";
export { installRecovery, type RecoveryOptions } from "./langgraph/install-recovery.js";
export { keepCheckpointer } from "./langgraph/keep-checkpointer.js";
export { type AnswerProvenance, type Restart, restartOf } from "./langgraph/model/answer-chunk.js";
export type {
  AnyChatModel,
  ModelRoute,
  ModelRouteOptions,
  ResilientModelOptions,
} from "./langgraph/model/model-options.js";
export { type ResilientCallOptions, ResilientChatModel, resilientModel } from "./langgraph/model/resilient-model.js";
export { type RequireUndegradedOptions, requireUndegraded } from "./langgraph/require-undegraded.js";
export { type DecoratedNode, type Node, resilient } from "./langgraph/resilient.js";
export type { AutomaticRollback, FallbackStep, ResilientOptions } from "./langgraph/resilient-options.js";
export { type ResilientToolOptions, resilientTool } from "./langgraph/resilient-tool.js";
export { type PlanOptions, planRollback, type RollbackOptions, rollback } from "./langgraph/rollback/rollback.js";
export type { SystemPlanOptions, SystemRollbackOptions } from "./langgraph/rollback/system.js";
export type { Touch } from "./langgraph/rollback/touched.js";
export {
  withBulkhead,
  withCache,
  withCircuitBreaker,
  withFallback,
  withRetry,
  withTimeout,
} from "./langgraph/single-rungs.js";
export { type RestoredText, restoredOf } from "./langgraph/stream-chunks.js";
export type { StreamableModel, StreamCheckpoint, StreamCheckpointOptions } from "./langgraph/stream-options.js";
export { type CheckpointedStream, streamWithCheckpoints } from "./langgraph/stream-with-checkpoints.js";
export type { LockOptions } from "./langgraph/thread-lock.js";
export type { Durability, GraphLike } from "./langgraph/threads/graph.js";
export { inspectThread, type PendingInterrupt, type ThreadInspection } from "./langgraph/threads/inspect-thread.js";
export { listThreads } from "./langgraph/threads/list-threads.js";
export { type ThreadUsage, threadUsage } from "./langgraph/threads/read-usage.js";
export type { ThreadRef } from "./langgraph/threads/resolve-thread.js";
export { type ResumeOptions, resumeThread } from "./langgraph/threads/resume-thread.js";
export type { RunOptions, RunResult } from "./langgraph/threads/run.js";
export { type RunThreadOptions, runThread } from "./langgraph/threads/run-thread.js";
export type { WhenDurableOptions } from "./persistence/durable-checkpoints.js";
export { openPersistence, registerPersistence } from "./persistence/open.js";
export { OpenedSaver } from "./persistence/opened-saver.js";
export type { Breaker } from "./policies/breaker/breaker.js";
export type { BreakerOptions } from "./policies/breaker/breaker-options.js";
export type { BreakerState } from "./policies/breaker/breaker-state.js";
export type { Override } from "./policies/breaker/breaker-transitions.js";
export { type BreakerListing, listBreakers, overrideBreaker } from "./policies/breaker/stored-breaker.js";
export type { BudgetOptions } from "./policies/budget.js";
export type { BulkheadOptions } from "./policies/bulkhead.js";
export type { CacheOptions } from "./policies/cache.js";
export {
  type IsolatedContext,
  type IsolatedNode,
  type IsolatedOptions,
  type IsolatedTarget,
  type IsolatedWork,
  isolated,
} from "./policies/isolated.js";
export { definePrice, type ModelPrice } from "./policies/prices.js";
export { type ProtectedCall, type ProtectOptions, protect } from "./policies/protect.js";
export type { RateLimitOptions } from "./policies/rate-limit.js";
export type { RetryBudgetOptions } from "./policies/retry-budget.js";
export type { RetryOptions } from "./policies/retry-options.js";
export { defineService, type Guards, type Service, type ServiceOptions } from "./policies/service.js";
export type { TimeoutOptions } from "./policies/timeout.js";
export type { Spending, Usage } from "./policies/usage.js";
export { type ApprovalAnswer, type ApprovalRequest, isApprovalRequest } from "./recovery/approval-request.js";
export { ACTIONS, type Action, type Decision } from "./recovery/decision.js";
export type { ShownEffect } from "./recovery/effects-so-far.js";
export { type ClaimOptions, claimInboxItem, releaseInboxItem } from "./recovery/inbox-change.js";
export type { ApprovalPlanOptions, InboxLevelOptions } from "./recovery/inbox-plan.js";
export { type InterventionRequest, isInterventionRequest, type StepRollback } from "./recovery/intervention-request.js";
export type { PlannedEffect, RollbackPlan, RollbackReport } from "./recovery/rollback-plan.js";
export {
  ROLLBACK_SCOPES,
  type RollbackRange,
  type RollbackScope,
  type RollbackTarget,
} from "./recovery/rollback-target.js";
export type { Suggestion } from "./recovery/suggestion.js";
export type {
  PlannedThread,
  RolledBackThread,
  SystemRollbackPlan,
  SystemRollbackReport,
} from "./recovery/system-rollback.js";

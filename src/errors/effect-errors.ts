/** Errors of what steps do to the outside world. */
import { ResilienceError, type ResilienceErrorOptions } from "./own-errors.js";

/** Which effect an error is about. */
export interface EffectPlace {
  readonly effect: string;
  readonly threadId: string;
  readonly key: string;
}

const settle = ({ threadId, key }: EffectPlace) =>
  `say what came of it with settleEffect() or "lgr effects ${threadId} --settle ${key.slice(0, 12)}", then retry`;

/** The same step asks for the same effect with another input than it did before. Nothing was called. */
export class EffectInputChangedError extends ResilienceError {
  readonly category = "bug";

  constructor(place: EffectPlace, why: string, options: ResilienceErrorOptions = {}) {
    super(
      "EFFECT_INPUT_CHANGED",
      `Effect "${place.effect}" was asked for again with another input: ${why}. The earlier receipt would be wrong, and a second call might do it twice; undo the first (rollback), or give the effect a key that tells the two apart`,
      { ...options, details: { ...place } },
    );
  }
}

/** It may have happened or not, and nothing can tell without a person. Nothing more was called. */
export class EffectUnknownError extends ResilienceError {
  readonly category = "stuck";

  constructor(place: EffectPlace, why: string, options: ResilienceErrorOptions = {}) {
    super(
      "EFFECT_UNKNOWN",
      `It is not known whether effect "${place.effect}" happened: ${why}. It is not done again blindly: look it up where it would have happened, ${settle(place)}`,
      { ...options, details: { ...place } },
    );
  }
}

/** It was done on another branch of the thread, or by undoing it half, and may not be done here. Nothing was called. */
export class EffectForbiddenError extends ResilienceError {
  readonly category = "stuck";

  constructor(place: EffectPlace, why: string, options: ResilienceErrorOptions = {}) {
    super("EFFECT_FORBIDDEN", `Effect "${place.effect}" is not done: ${why}`, { ...options, details: { ...place } });
  }
}

/** A person was asked whether it may be done, and said no. Nothing was called. */
export class EffectRejectedError extends ResilienceError {
  readonly category = "permission";

  constructor(
    place: EffectPlace,
    { by, reason }: { readonly by: string; readonly reason?: string },
    options: ResilienceErrorOptions = {},
  ) {
    const why = reason === undefined ? "" : ` (${reason})`;
    super(
      "EFFECT_REJECTED",
      `Effect "${place.effect}" is not done: ${by} rejected it${why}. A retry of the step asks again`,
      {
        ...options,
        details: { ...place, by, ...(reason === undefined ? {} : { reason }) },
      },
    );
  }
}

/** There is no place to write down what is done, so nothing is done. */
export class EffectNotRecordedError extends ResilienceError {
  readonly category = "invalid_input";

  constructor(effect: string, why: string, options: ResilienceErrorOptions = {}) {
    super("EFFECT_NOT_RECORDED", `Effect "${effect}" was not begun, for it could not be recorded: ${why}`, {
      ...options,
      details: { effect },
    });
  }
}

/** It happened, and what it gave back is kept, but is not what the effect's `output` says. */
export class EffectReceiptError extends ResilienceError {
  readonly category = "bug";

  constructor(effect: string, why: string, options: ResilienceErrorOptions = {}) {
    super(
      "EFFECT_RECEIPT",
      `Effect "${effect}" happened, but its receipt does not fit its output schema: ${why}. It is kept as it is and not done again; mend the schema and resume`,
      { ...options, details: { effect } },
    );
  }
}

/** Going back would leave something in the world, and nobody has said that it may. Nothing was undone. */
export class RollbackRefusedError extends ResilienceError {
  readonly category = "stuck";

  constructor(
    thread: string,
    standing: readonly { readonly effect: string; readonly node: string; readonly why?: string }[],
    options: ResilienceErrorOptions = {},
  ) {
    const what = standing.map(({ effect, node, why = "" }) => `"${effect}" of node "${node}": ${why}`).join("; ");
    super(
      "ROLLBACK_REFUSED",
      `Thread "${thread}" was not rolled back, for something would stay in the world: ${what}. Settle what is in doubt, or say that it may stay with { acceptStanding: true } (lgr rollback --accept-standing)`,
      { ...options, details: { thread, standing } },
    );
  }
}

/** Something could not be undone for good; the rest was. The thread stays where it was until it is. */
export class RollbackIncompleteError extends ResilienceError {
  readonly category = "stuck";

  constructor(
    thread: string,
    failed: readonly { readonly effect: string; readonly key: string; readonly why?: string }[],
    options: ResilienceErrorOptions = {},
  ) {
    const what = failed.map(({ effect, why = "" }) => `"${effect}": ${why}`).join("; ");
    super(
      "ROLLBACK_INCOMPLETE",
      `The rollback of thread "${thread}" could not be finished: ${what}. The rest is undone, and the thread does not run until this is: try again with rollback(graph, "${thread}") or lgr rollback ${thread}, or undo it by hand and say so with lgr effects ${thread} --settle <key> --undone`,
      { ...options, details: { thread, failed } },
    );
  }
}

/** A group of effects failed, and not all of it could be undone. The rest of it was. */
export class TransactionFailedError extends ResilienceError {
  readonly category = "stuck";

  constructor(
    transaction: string,
    failed: readonly { readonly effect: string; readonly key: string; readonly why?: string }[],
    options: ResilienceErrorOptions = {},
  ) {
    const what = failed.map(({ effect, why = "" }) => `"${effect}": ${why}`).join("; ");
    super(
      "TRANSACTION_FAILED",
      `Transaction "${transaction}" failed, and could not be undone whole: ${what}. A retry of the step undoes what is left, and then begins anew`,
      { ...options, details: { transaction, failed } },
    );
  }
}

/** A rollback has begun and could not go on: the database or the process's own doing. What was undone stays undone. */
export class RollbackInterruptedError extends ResilienceError {
  readonly category: string;

  /** @param category of the cause */
  constructor(thread: string, target: string, category: string, cause: Error) {
    super(
      "ROLLBACK_INTERRUPTED",
      `The rollback of thread "${thread}" to checkpoint ${target} was interrupted: ${cause.message}. What was undone stays undone, and the thread does not run until it is finished: rollback(graph, "${thread}") or lgr rollback ${thread}`,
      { cause, details: { thread, target } },
    );
    this.category = category;
  }
}

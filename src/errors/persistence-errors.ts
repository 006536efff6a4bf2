/** Errors of what runs are stored in. */
import { ResilienceError, type ResilienceErrorOptions } from "./own-errors.js";

/** Another run holds the thread. Nothing was changed. */
export class ThreadBusyError extends ResilienceError {
  readonly category = "conflict";

  constructor(threadId: string, holder: string, expiresInMs: number, options: ResilienceErrorOptions = {}) {
    super(
      "THREAD_BUSY",
      `Thread "${threadId}" is in use by ${holder}, whose lease runs for another ${Math.ceil(expiresInMs)} ms unless it is renewed; wait for it, or try again later`,
      { ...options, details: { threadId, holder, expiresInMs } },
    );
  }
}

/** The run's lease on its thread ended, by time or because another took it. What it wrote since was refused. */
export class LeaseLostError extends ResilienceError {
  readonly category = "cancelled";

  constructor(lease: string, options: ResilienceErrorOptions = {}) {
    super(
      "LEASE_LOST",
      `The lease "${lease}" is no longer held by this run (it ran out while the process was not heard of, or another run took it), so nothing more of it is stored; resume the thread to go on from its last checkpoint`,
      { ...options, details: { lease } },
    );
  }
}

/** Where something of a checkpoint is damaged. */
export interface CorruptPart {
  readonly threadId: string;
  readonly namespace: string;
  readonly checkpointId: string;
  /** The channel, the writes of a task, or the checkpoint itself. */
  readonly part: string;
  /** The checkpoint it was made from, as far as that can still be read. */
  readonly parentId?: string;
}

/** A stored checkpoint is not what was written: a row is missing, or its content does not match its checksum. */
export class CheckpointCorruptError extends ResilienceError {
  readonly category = "environment";
  readonly place: CorruptPart;
  /** What is wrong with the part. */
  readonly why: string;

  constructor(place: CorruptPart, why: string, options: ResilienceErrorOptions = {}) {
    const where = place.namespace === "" ? "" : ` (namespace "${place.namespace}")`;
    super(
      "CHECKPOINT_CORRUPT",
      `Checkpoint ${place.checkpointId} of thread "${place.threadId}"${where} is damaged: ${place.part}: ${why}. Resume from an earlier checkpoint (lgr resume ${place.threadId} --from-last-sound), or restore the database`,
      { ...options, details: { ...place } },
    );
    this.place = place;
    this.why = why;
  }
}

import { classifyError } from "../errors/classify.js";
import type { RunResult } from "../langgraph/threads/run.js";

/** What the process's exit code says. `lgr --help` prints this table. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  waitingHuman: 3,
  aborted: 4,
  notFound: 5,
  ownedElsewhere: 6,
  threadBusy: 7,
  stopped: 130,
} as const;

export const EXIT_TEXTS: readonly (readonly [number, string])[] = [
  [EXIT.ok, "done"],
  [EXIT.failed, "the run failed"],
  [EXIT.usage, "wrong usage, configuration or input"],
  [EXIT.waitingHuman, "the run waits, for a person or where the graph says"],
  [EXIT.aborted, "the run was aborted by a person"],
  [EXIT.notFound, "no such thread or checkpoint, or nothing to resume"],
  [EXIT.ownedElsewhere, "another process owns the database folder"],
  [EXIT.threadBusy, "another run has the thread"],
  [EXIT.stopped, "stopped by Ctrl-C or SIGTERM; resume to go on"],
];

const BY_CODE: Readonly<Record<string, number>> = {
  CONFIG: EXIT.usage,
  INVALID_INPUT: EXIT.usage,
  DECISION_REFUSED: EXIT.usage,
  EFFECT_NOT_OPEN: EXIT.usage,
  THREAD_EXISTS: EXIT.usage,
  THREAD_NOT_FOUND: EXIT.notFound,
  THREAD_NOT_RESUMABLE: EXIT.notFound,
  OWNED_ELSEWHERE: EXIT.ownedElsewhere,
  THREAD_BUSY: EXIT.threadBusy,
  LEASE_LOST: EXIT.threadBusy,
  RUN_ABORTED: EXIT.aborted,
  CANCELLED: EXIT.stopped,
};

export function exitCodeOf(error: unknown): number {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  const known = typeof code === "string" ? BY_CODE[code] : undefined;
  if (known !== undefined) return known;
  return classifyError(error).category === "invalid_input" ? EXIT.usage : EXIT.failed;
}

export function exitCodeOfStatus(status: RunResult["status"], error: unknown): number {
  switch (status) {
    case "succeeded":
      return EXIT.ok;
    case "waiting_human":
    case "paused":
      return EXIT.waitingHuman;
    case "failed":
      return exitCodeOf(error);
    case "aborted":
      return EXIT.aborted;
    case "drained":
      return EXIT.stopped;
  }
}

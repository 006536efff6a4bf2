import { randomUUID } from "node:crypto";
import type { StoredStream, StreamPart } from "../core/store-ports.js";
import { asError } from "../errors/own-errors.js";
import type { StreamCheckpoint } from "./stream-options.js";
import type { StreamPlace } from "./stream-place.js";
import { safeCut } from "./stream-seam.js";

export interface WriterOptions {
  readonly everyTokens: number;
  /** What earlier calls have left, to go on from. */
  readonly earlier: StoredStream | undefined;
  readonly onCheckpoint: ((checkpoint: StreamCheckpoint) => unknown) | undefined;
}

/** Saves a text while it is generated. No method throws: what cannot be saved is warned of, and the text goes on. */
export interface StreamWriter {
  /**
   * @param reported tokens of this call so far, as the provider counts them; 0 where it does not say
   * @returns what to wait for before more is generated: saving has fallen behind by an interval
   */
  add(text: string, reported: number): Promise<void> | undefined;
  /** Saves what there is. */
  flush(): Promise<void>;
  /** What this call has generated so far is void. */
  restart(): void;
  /** Saves what there is, and nothing that comes after. */
  close(): Promise<void>;
  /** Saves nothing more, and resolves when what is under way is saved. */
  abandon(): Promise<void>;
  /** Saves the rest: the text is complete. */
  finish(end: object, reported: number): Promise<void>;
}

/** OpenAI's rule of thumb for English: help.openai.com, "What are tokens and how to count them?". */
const CHARACTERS_PER_TOKEN = 4;

interface Job {
  readonly takesBack: boolean;
  run(): Promise<void>;
}

export function streamWriter({ store, scope }: StreamPlace, options: WriterOptions): StreamWriter {
  const { everyTokens, earlier, onCheckpoint } = options;
  const firstSeq = earlier?.parts ?? 0;
  /** Not yet durable, in order. A part that could not be saved stays the first: under its number it may be stored all the same. */
  let jobs: Job[] = [];
  let working: Promise<void> | undefined;
  let isFailing = false;
  let hasWarned = false;
  let isOpen = true;
  /** Another writer after each restart, so that a part which is void cannot be taken for one that is not. */
  let writer = randomUUID();
  let seq = firstSeq;
  /** Not yet in a part. */
  let buffer = "";
  /** What the parts of this call hold. */
  let cutOff = { characters: 0, tokens: 0 };
  let reportedTokens = 0;
  const saidBefore = { characters: earlier?.text.length ?? 0, tokens: earlier?.tokens ?? 0 };
  let durable = saidBefore;

  /** What the provider counts beside the text, such as thoughts, must not make the text wait. */
  const isDue = () =>
    Math.max(Math.ceil(buffer.length / CHARACTERS_PER_TOKEN), reportedTokens - cutOff.tokens) >= everyTokens;

  /** Of the first so many characters that are in no part yet: what is missing to the tokens of all of this call up to there. */
  const tokensIn = (length: number) => {
    const rest = Math.floor((buffer.length - length) / CHARACTERS_PER_TOKEN);
    const estimated = Math.ceil((cutOff.characters + length) / CHARACTERS_PER_TOKEN);
    return Math.max(0, Math.max(estimated, reportedTokens - rest) - cutOff.tokens);
  };

  const stop = () => {
    isOpen = false;
    jobs = [];
  };

  const warn = (why: string) => {
    if (!hasWarned) process.emitWarning(`A text that is generated is not saved: ${why}`, "ResilienceWarning");
    hasWarned = true;
  };

  /** Ends at the first job that fails; it is tried again with the next one that comes. */
  async function work(): Promise<void> {
    try {
      for (let job = jobs[0]; job !== undefined; job = jobs[0]) {
        await job.run();
        isFailing = false;
        if (jobs[0] === job) jobs.shift();
      }
    } catch (error) {
      isFailing = true;
      warn(`${asError(error).message}. It goes on; what is lost if the process dies now is generated again`);
    }
    working = undefined;
  }

  const settled = (): Promise<void> => working ?? Promise.resolve();

  const saved = (): Promise<void> => {
    if (working === undefined && jobs.length > 0) working = work();
    return settled();
  };

  async function append(part: StreamPart): Promise<void> {
    if (!(await store.append(scope, part))) {
      warn("another process generates the same one, and has saved more of it");
      stop();
      return;
    }
    durable = { characters: durable.characters + part.text.length, tokens: durable.tokens + part.tokens };
    tell({ ...durable, finished: part.end !== undefined });
    // The steps before this one are over: what they have generated is in the thread's state.
    if (part.seq === 0) await store.clearOtherSteps(scope).catch(() => {});
  }

  async function takeBack(voided: string): Promise<void> {
    await store.truncate(scope, firstSeq, voided);
    durable = saidBefore;
  }

  function tell(checkpoint: StreamCheckpoint): void {
    const told = async () => onCheckpoint?.(checkpoint);
    told().catch((error: unknown) => {
      process.emitWarning(`onCheckpoint of a stream threw: ${String(asError(error))}`, "ResilienceWarning");
    });
  }

  function cut(length: number, tokens: number, end?: object): void {
    const after = seq === firstSeq ? earlier?.writer : writer;
    const part: StreamPart = {
      seq,
      text: buffer.slice(0, length),
      tokens,
      writer,
      ...(after === undefined ? {} : { after }),
      ...(end === undefined ? {} : { end }),
    };
    jobs.push({ takesBack: false, run: () => append(part) });
    buffer = buffer.slice(length);
    cutOff = { characters: cutOff.characters + length, tokens: cutOff.tokens + tokens };
    seq += 1;
  }

  const cutWhatThereIs = () => {
    const length = safeCut(buffer);
    if (length > 0) cut(length, tokensIn(length));
  };

  /** Tries once more where what was under way has failed. */
  async function allSaved(): Promise<void> {
    const wasWorking = working !== undefined;
    await saved();
    if (wasWorking) await saved();
  }

  const flush = (): Promise<void> => {
    if (!isOpen) return settled();
    cutWhatThereIs();
    return allSaved();
  };

  return {
    flush,
    add(text, reported) {
      if (!isOpen) return undefined;
      buffer += text;
      reportedTokens = reported;
      if (buffer === "" || !isDue()) return undefined;
      const isBehind = working !== undefined && !isFailing;
      cutWhatThereIs();
      const work = saved();
      return isBehind ? work : undefined;
    },
    restart() {
      if (!isOpen) return;
      if (seq > firstSeq) {
        const voided = writer;
        jobs = jobs.filter((job, index) => job.takesBack || (index === 0 && working !== undefined));
        jobs.push({ takesBack: true, run: () => takeBack(voided) });
        void saved();
      }
      writer = randomUUID();
      seq = firstSeq;
      buffer = "";
      cutOff = { characters: 0, tokens: 0 };
      reportedTokens = 0;
    },
    close() {
      const last = flush();
      isOpen = false;
      return last;
    },
    abandon() {
      isOpen = false;
      return settled();
    },
    finish(end, reported) {
      if (isOpen && (buffer !== "" || seq > 0)) {
        const tokens = reported > 0 ? Math.max(0, reported - cutOff.tokens) : tokensIn(buffer.length);
        cut(buffer.length, tokens, end);
      }
      isOpen = false;
      return allSaved();
    },
  };
}

/** What the tests have done in a worker thread. Each export is one piece of work. */
interface Context {
  readonly signal: AbortSignal;
}

/** Written by the worker, read by the test: what has happened so far. */
export interface Progress {
  readonly flags: Int32Array;
}

export const BEGUN = 0;
export const HEARD = 1;
export const CLEANED = 2;

export function raise(flags: Int32Array, flag: number): void {
  Atomics.store(flags, flag, 1);
  Atomics.notify(flags, flag);
}

export async function addUp(input: { readonly numbers: readonly number[] }): Promise<{ readonly sum: number }> {
  return { sum: input.numbers.reduce((sum, one) => sum + one, 0) };
}

/** Without an input: it may be called with any. */
export function answerNothing(): void {}

export default function double(input: number): number {
  return input * 2;
}

export const noFunction = 7;

export function environment(): Record<string, string | undefined> {
  return { ...process.env };
}

let calls = 0;
export function countCalls(): number {
  calls += 1;
  const global = globalThis as { leaked?: number };
  global.leaked = (global.leaked ?? 0) + 1;
  return calls + global.leaked;
}

/** Ends by itself once it has heard of the abort. */
export function untilAborted({ flags }: Progress, { signal }: Context): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => {
      raise(flags, HEARD);
      process.on("exit", () => raise(flags, CLEANED));
      reject(signal.reason);
    });
    raise(flags, BEGUN);
  });
}

/** Hears of the abort and answers nothing. */
export function deafToAbort({ flags }: Progress, { signal }: Context): Promise<never> {
  signal.addEventListener("abort", () => raise(flags, HEARD));
  raise(flags, BEGUN);
  return new Promise(() => undefined);
}

export function returnsWhenAborted({ flags }: Progress, { signal }: Context): Promise<string> {
  raise(flags, BEGUN);
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve("made it after all")));
}

export function spinForever({ flags }: Progress): never {
  raise(flags, BEGUN);
  for (;;) Math.random();
}

/** Returns its answer and then does not let its thread end. */
export function answerThenSpin(): string {
  process.on("exit", () => {
    for (;;) Math.random();
  });
  return "answered";
}

/** Raises a flag at the very end of its thread. */
export function answerAndTell({ flags }: Progress): string {
  process.on("exit", () => raise(flags, CLEANED));
  return "answered";
}

export function keepATimer(): string {
  setInterval(() => undefined, 1000);
  return "answered";
}

/** Of two calls, each waits until the other is there too: they end only side by side. */
export function meet({ flags, me }: Progress & { readonly me: number }): string {
  raise(flags, me);
  Atomics.wait(flags, 1 - me, 0);
  return `${me} met ${1 - me}`;
}

export function fillHeap(): never {
  const held: object[] = [];
  for (;;) held.push({ value: Math.random() });
}

/** Megabyte by megabyte with a breath in between, as a stream would. */
export async function fillBuffers(): Promise<never> {
  const held: Buffer[] = [];
  for (;;) {
    for (let n = 0; n < 16; n += 1) held.push(Buffer.alloc(2 ** 20, 1));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** In one go, without a breath. */
export function fillBuffersInALoop(): number {
  const held: Buffer[] = [];
  while (held.length < 2000) {
    held.push(Buffer.alloc(2 ** 20, 1));
    const until = performance.now() + 2;
    while (performance.now() < until);
  }
  return held.length;
}

/** Touches 500 MB of buffers and holds one. */
export async function churnBuffers(): Promise<number> {
  let last = Buffer.alloc(0);
  for (let n = 0; n < 500; n += 1) {
    last = Buffer.alloc(2 ** 20, n);
    if (n % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return last.length;
}

export function print(lines: number): number {
  for (let line = 1; line <= lines; line += 1) console.log(`line ${line} ${"-".repeat(100)}`);
  console.error("and one for stderr");
  return lines;
}

export function printAndThrow(lines: number): never {
  print(lines);
  throw new Error("after all that");
}

export function exit(code: number): never {
  process.exit(code);
}

export function throwLater(): Promise<never> {
  setImmediate(() => {
    throw Object.assign(new Error("nobody caught this"), { status: 503 });
  });
  return new Promise(() => undefined);
}

export function rejectLater(): Promise<never> {
  void Promise.reject(Object.assign(new Error("nobody awaited this"), { code: "ECONNRESET" }));
  return new Promise(() => undefined);
}

export function returnFunction(): () => void {
  return () => undefined;
}

export function throwInterrupt(): never {
  throw Object.assign(new Error("interrupted"), { name: "GraphInterrupt", is_bubble_up: true });
}

export function returnCommand(): unknown {
  return { lg_name: "Command", goto: ["elsewhere"] };
}

export function throwValue(value: unknown): never {
  throw value;
}

class QuotaProblem extends Error {
  readonly code = "insufficient_quota";
  get status(): number {
    return 429;
  }
}

/** Nothing of it survives structured cloning but words: a class, a getter, a code, headers and causes. */
export function failInDepth(): never {
  const refused = Object.assign(new Error("connect"), { code: "ECONNREFUSED" });
  throw Object.assign(new QuotaProblem("no money left", { cause: new TypeError("fetch failed", { cause: refused }) }), {
    headers: new Headers({ "retry-after": "7" }),
  });
}

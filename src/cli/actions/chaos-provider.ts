import { closeSync, openSync, writeSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { defaultAnswer } from "../../chaos/default-answer.js";
import { describeFault } from "../../chaos/faults.js";
import { type FaultyProvider, startFaultyProvider } from "../../chaos/faulty-provider.js";
import { type FaultyProviderOptions, parseScriptFile } from "../../chaos/provider-options.js";
import type { RequestOutcome, SeenRequest } from "../../chaos/request-log.js";
import { redact } from "../../core/redact.js";
import { ConfigError } from "../../errors/own-errors.js";
import type { GlobalOptions } from "../command-scope.js";
import { EXIT } from "../exit-codes.js";
import { createOutput, type Output } from "../output.js";
import { pause, stopRequest } from "../until-stopped.js";

export interface ChaosProviderFlags {
  readonly port?: string;
  readonly script?: string;
  readonly seed?: string;
  readonly faultRate?: string;
  readonly latency?: string;
  readonly record?: string;
}

export async function chaosProvider(flags: ChaosProviderFlags, global: GlobalOptions): Promise<number> {
  const output = createOutput(global.json === true);
  const options = await optionsOf(flags);
  const recording = openRecording(flags.record);
  try {
    const onEnded = (request: SeenRequest) => {
      recording.write(request);
      printRequest(output, request);
    };
    await using provider = await start({ ...options, answer: defaultAnswer, onEnded });
    printStart(output, provider);
    await untilStopped();
    // What is still open ends with the provider, and is counted.
    await provider.close();
    printSummary(output, provider);
    return EXIT.ok;
  } finally {
    recording.close();
  }
}

type Options = Omit<FaultyProviderOptions, "answer">;

async function optionsOf({ port, script, seed, faultRate, latency }: ChaosProviderFlags): Promise<Options> {
  const file = parseScriptFile(script ?? "--script", script === undefined ? {} : await jsonOf(script));
  return {
    ...file,
    ...(port === undefined ? {} : { port: numberOf("--port", port, { to: 65_535, whole: true }) }),
    ...(seed === undefined ? {} : { seed: numberOf("--seed", seed, { whole: true }) }),
    ...(faultRate === undefined
      ? {}
      : { faultRate: { ...file.faultRate, rate: numberOf("--fault-rate", faultRate, { to: 1 }) } }),
    ...(latency === undefined
      ? {}
      : { latency: { ...file.latency, firstTokenMs: numberOf("--latency", latency, { to: 600_000 }) } }),
  };
}

async function jsonOf(path: string): Promise<unknown> {
  const text = await readFile(path, "utf8").catch((cause: NodeJS.ErrnoException) => {
    throw new ConfigError(`--script ${path}: the file cannot be read (${cause.code ?? String(cause)})`, { cause });
  });
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ConfigError(`--script ${path} is not JSON: ${(cause as Error).message}`, { cause });
  }
}

function numberOf(option: string, text: string, { to = 2 ** 31, whole = false }): number {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (value >= 0 && value <= to && (!whole || Number.isInteger(value))) return value;
  throw new ConfigError(`${option} ${text}: expected a ${whole ? "whole " : ""}number from 0 to ${to}`);
}

async function start(options: FaultyProviderOptions): Promise<FaultyProvider> {
  try {
    return await startFaultyProvider(options);
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (syscall !== "listen") throw error;
    throw new ConfigError(`Port ${options.port} cannot be used (${code}); choose another with --port`, {
      cause: error,
    });
  }
}

interface Recording {
  write(request: SeenRequest): void;
  close(): void;
}

/** Conversations are long and deep; what is recorded of them is to be whole. */
const WHOLE = { maxText: 1_000_000, maxItems: 10_000, maxDepth: 64 };

function openRecording(path: string | undefined): Recording {
  if (path === undefined) return { write: () => undefined, close: () => undefined };
  let file: number;
  try {
    file = openSync(path, "w");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new ConfigError(`--record ${path}: the file cannot be written (${code ?? String(error)})`, { cause: error });
  }
  return {
    // At once, so that a recording is whole however the process ends.
    write: (request) => void writeSync(file, `${JSON.stringify(redact(request, WHOLE))}\n`),
    close: () => closeSync(file),
  };
}

function printStart(output: Output, provider: FaultyProvider): void {
  const { baseUrl, port } = provider;
  const script = provider.describeScript();
  output.object({ type: "provider", baseUrl, port, script });
  output.line(`Provider that misbehaves at ${baseUrl}; Ctrl-C ends it. Any key will do:`);
  output.line(`  export OPENAI_BASE_URL=${baseUrl} OPENAI_API_KEY=offline`);
  for (const line of script) output.line(`  ${line}`);
}

const OUTCOMES: Readonly<Record<RequestOutcome, string>> = {
  answered: "answered",
  faulted: "faulted",
  client_gone: "client gone",
};

function printRequest(output: Output, request: SeenRequest): void {
  const { id, model, stream, fault, outcome = "faulted", atMs, endedAtMs = atMs } = request;
  const durationMs = endedAtMs - atMs;
  output.object({ type: "request", id, model, stream, fault, outcome, atMs, durationMs });
  const what = `${printable(model)}${stream ? " (stream)" : ""}: ${describeFault(fault)}`;
  output.line(`${new Date(atMs).toISOString()}  ${what}  → ${OUTCOMES[outcome]} after ${durationMs} ms`);
}

/** What a client sends must neither colour the terminal nor look like lines of ours. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, "?").slice(0, 200);
}

function printSummary(output: Output, { requests, remaining }: FaultyProvider): void {
  const count = (outcome: RequestOutcome) => requests.filter((request) => request.outcome === outcome).length;
  const [answered, faulted, clientGone] = [count("answered"), count("faulted"), count("client_gone")];
  const unused = remaining().filter(({ times }) => times !== "always").length;
  output.object({ type: "summary", requests: requests.length, answered, faulted, clientGone, unused });
  const left = unused === 0 ? "" : `; ${unused} entries of the script were not used up`;
  output.line(
    `${requests.length} requests: ${answered} answered, ${faulted} faulted, ${clientGone} left by the client${left}`,
  );
}

async function untilStopped(): Promise<void> {
  const stop = stopRequest();
  // The wait also keeps the process alive, which the provider itself does not.
  await pause(Number.POSITIVE_INFINITY, stop.signal);
  stop.dispose();
}

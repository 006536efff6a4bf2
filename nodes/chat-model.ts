import type { ChatOpenAI } from "@langchain/openai";
import { ConfigError } from "langgraph-resilience";
import { type FaultyProvider, type FaultyProviderOptions, startFaultyProvider } from "langgraph-resilience/chaos";

/** What answers when no API key is set: the bundled OpenAI-compatible provider, over real HTTP on loopback. */
export interface OfflineModel extends Pick<FaultyProviderOptions, "answer" | "script"> {
  /** One provider is started per name and process; also the model's name, made to begin with "offline-". */
  readonly name: string;
}

export interface ChatModelOptions {
  readonly offline: OfflineModel;
  /** Model to ask for when a key is set; default OPENAI_MODEL, else "gpt-4.1-mini". */
  readonly model?: string;
}

const DEFAULT_MODEL = "gpt-4.1-mini";

const providers = new Map<string, Promise<FaultyProvider>>();

/** Whether answers come from the bundled provider: no OPENAI_API_KEY is set. */
export function isOffline(): boolean {
  return !process.env.OPENAI_API_KEY;
}

/**
 * The chat model of a graph: ChatOpenAI at OPENAI_BASE_URL when OPENAI_API_KEY is set (any text will do as the key of a
 * server that needs none), else ChatOpenAI at the bundled provider, which is started on first use.
 * It never retries by itself: the node's decorator is the only owner of retries.
 *
 * @throws ConfigError when the optional package `@langchain/openai` is not installed
 */
export async function chatModel({ offline, model }: ChatModelOptions): Promise<ChatOpenAI> {
  const { ChatOpenAI } = await openAiPackage();
  if (!isOffline()) {
    const baseURL = process.env.OPENAI_BASE_URL;
    return new ChatOpenAI({
      model: model || process.env.OPENAI_MODEL || DEFAULT_MODEL,
      maxRetries: 0,
      useResponsesApi: false,
      ...(baseURL ? { configuration: { baseURL } } : {}),
    });
  }
  warnOfIgnoredBaseUrl();
  const { baseUrl } = await offlineProvider(offline);
  return new ChatOpenAI({
    model: offline.name.startsWith("offline-") ? offline.name : `offline-${offline.name}`,
    apiKey: "offline",
    maxRetries: 0,
    useResponsesApi: false,
    configuration: { baseURL: baseUrl },
  });
}

/** The bundled provider of that name, started on first use; for progress output and tests. */
export function offlineProvider({ name, answer, script }: OfflineModel): Promise<FaultyProvider> {
  const running = providers.get(name);
  if (running !== undefined) return running;
  const started = startFaultyProvider({ answer, script: script ?? [], models: [name] });
  providers.set(name, started);
  started.catch(() => providers.delete(name));
  return started;
}

/** Loaded on first use: a project that calls other models need not have it. */
async function openAiPackage(): Promise<typeof import("@langchain/openai")> {
  try {
    return await import("@langchain/openai");
  } catch (error) {
    if ((error as { code?: unknown }).code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new ConfigError(
      "chatModel() talks through @langchain/openai, which is not installed: npm install @langchain/openai",
      { cause: error },
    );
  }
}

let warned = false;

function warnOfIgnoredBaseUrl(): void {
  if (warned || !process.env.OPENAI_BASE_URL) return;
  warned = true;
  process.emitWarning(
    `OPENAI_BASE_URL is set but OPENAI_API_KEY is not, so the bundled offline provider answers; set OPENAI_API_KEY (any text for a server that needs none) to use ${process.env.OPENAI_BASE_URL}`,
    "ResilienceWarning",
  );
}

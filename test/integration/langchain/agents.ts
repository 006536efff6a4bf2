/** Real agents on a real server: what its model says is laid down turn by turn, whatever goes wrong on the way. */
import { type BaseMessage, HumanMessage, type ToolMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { Command, type LangGraphRunnableConfig, MemorySaver } from "@langchain/langgraph";
import { createAgent } from "langchain";
import { z } from "zod";
import { type ToolCallRequest, toolCalls } from "../../../src/chaos/chat-answer.js";
import type { ChatRequest } from "../../../src/chaos/chat-request.js";
import type { FaultyProvider, FaultyProviderOptions } from "../../../src/chaos/faulty-provider.js";
import { chatOpenAi, providerFor } from "../provider/provider.js";

type AgentOptions = Parameters<typeof createAgent>[0];
type Turn = Awaited<ReturnType<FaultyProviderOptions["answer"]>>;
type Config = LangGraphRunnableConfig;

export const calling = (...calls: readonly (string | ToolCallRequest)[]): Turn =>
  toolCalls(calls.map((call) => (typeof call === "string" ? { name: call, args: {} } : call)));

/** Says what the turn has, which is told by how often the model has spoken so far: a repeated request gets the same. */
export const turnOf =
  (turns: readonly Turn[]) =>
  ({ messages }: Pick<ChatRequest, "messages">): Turn =>
    turns[messages.filter(({ role }) => role === "assistant").length] ?? "All done.";

/** The thread of each talk. */
export const THREAD = "7a0e4dc2-54f5-4a3c-9f7e-0d3a1c5b2e11";

/** A tool without arguments. */
export const toolNamed = (name: string, work: (config: Config) => unknown, fields: object = {}) =>
  tool(async (_: object, config) => work(config as Config) as string, {
    name,
    description: name,
    schema: z.object({}),
    ...fields,
  });

export interface Talk {
  readonly provider: FaultyProvider;
  readonly agent: ReturnType<typeof createAgent>;
  readonly config: { readonly configurable: { readonly thread_id: string } };
  begin(text?: string): Promise<Turned>;
  resume(answer: unknown): Promise<Turned>;
}

/** What an agent has come to. */
interface Turned {
  readonly messages: readonly BaseMessage[];
  readonly last: string;
  /** What the tools have told the model, in order. */
  readonly told: readonly ToolMessage[];
  readonly structuredResponse: unknown;
  /** The questions that are open. */
  readonly questions: readonly unknown[];
}

/** An agent whose model calls tools and speaks as the turns say. */
export async function talk(
  turns: readonly Turn[],
  options: Partial<AgentOptions> & {
    readonly faults?: FaultyProviderOptions["script"];
    /** Part of another one, whose checkpointer it shares. */
    readonly isInner?: boolean;
  } = {},
): Promise<Talk> {
  const { faults = [], isInner = false, ...agentOptions } = options;
  const provider = await providerFor({ answer: turnOf(turns), script: faults });
  const agent = createAgent({
    model: chatOpenAi(provider.baseUrl),
    ...(isInner ? {} : { checkpointer: new MemorySaver() }),
    ...agentOptions,
  } as AgentOptions);
  const config = { configurable: { thread_id: THREAD } };
  const turned = async (input: unknown): Promise<Turned> => {
    const state = (await agent.invoke(input as never, config)) as {
      messages: BaseMessage[];
      structuredResponse?: unknown;
      __interrupt__?: readonly { readonly value?: unknown }[];
    };
    return {
      messages: state.messages,
      last: state.messages.at(-1)?.text ?? "",
      told: state.messages.filter((one) => one.getType() === "tool") as ToolMessage[],
      structuredResponse: state.structuredResponse,
      questions: (state.__interrupt__ ?? []).map(({ value }) => value),
    };
  };
  return {
    provider,
    agent: agent as Talk["agent"],
    config,
    begin: (text = "Go on.") => turned({ messages: [new HumanMessage(text)] }),
    resume: (answer) => turned(new Command({ resume: answer })),
  };
}

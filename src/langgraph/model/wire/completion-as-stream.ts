interface WholeChoice {
  readonly index?: number;
  readonly finish_reason?: string | null;
  readonly logprobs?: unknown;
  readonly message?: {
    readonly content?: string | null;
    readonly tool_calls?: readonly object[] | null;
    readonly [key: string]: unknown;
  };
}

/** A whole completion as the stream that was asked for: some servers do not know how to stream, and answer all the same. */
export function completionAsStream(completion: Record<string, unknown>): string {
  const { choices, usage, ...envelope } = completion;
  const chunk = (fields: object) => ({ ...envelope, object: "chat.completion.chunk", ...fields });
  const events = (choices as readonly WholeChoice[]).map(({ index = 0, message, finish_reason, logprobs }) => {
    const { tool_calls, ...said } = message ?? {};
    const calls = (tool_calls ?? []).map((call, at) => ({ ...call, index: at }));
    const delta = { role: "assistant", ...said, ...(calls.length === 0 ? {} : { tool_calls: calls }) };
    return chunk({ choices: [{ index, delta, logprobs: logprobs ?? null, finish_reason: finish_reason ?? null }] });
  });
  const accounts = usage === undefined || usage === null ? [] : [chunk({ choices: [], usage })];
  return `${[...events, ...accounts].map((event) => `data: ${JSON.stringify(event)}\n\n`).join("")}data: [DONE]\n\n`;
}

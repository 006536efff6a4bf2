import type { CallbackManagerForToolRun } from "@langchain/core/callbacks/manager";
import type { LangGraphRunnableConfig } from "@langchain/langgraph";

/** Sync and async ones alike, as LangChain takes them. */
type AnyGenerator = Pick<AsyncGenerator | Generator, "next"> & { readonly return?: (value: unknown) => unknown };

/** A tool may report on its way by being a generator. It is read to its end here, within the attempt that it is part of. */
export async function finishedTool(
  returned: unknown,
  runManager: CallbackManagerForToolRun | undefined,
  config: LangGraphRunnableConfig,
): Promise<unknown> {
  const result = await returned;
  if (!isGenerator(result)) return result;
  const { signal } = config;
  try {
    for (;;) {
      const { done, value } = await result.next();
      if (done) return value;
      // The reports of an attempt that was given up on would be taken for those of the one in its place.
      signal?.throwIfAborted();
      await report(value, runManager);
    }
  } finally {
    await result.return?.(undefined);
  }
}

/** As LangChain does it: who listens has no say in what becomes of the tool. */
async function report(value: unknown, runManager: CallbackManagerForToolRun | undefined): Promise<void> {
  try {
    await runManager?.handleToolEvent?.(value);
  } catch (broken) {
    await runManager?.handleToolError(broken);
  }
}

function isGenerator(value: unknown): value is AnyGenerator {
  return typeof value === "object" && value !== null && typeof (value as Partial<AnyGenerator>).next === "function";
}

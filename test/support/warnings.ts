import { vi } from "vitest";

/** What the process is warned of meanwhile, instead of on its standard error. */
export async function warningsOf(work: () => Promise<unknown>): Promise<readonly string[]> {
  const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
  try {
    await work();
    return warned.mock.calls.map(([warning]) => String(warning));
  } finally {
    warned.mockRestore();
  }
}

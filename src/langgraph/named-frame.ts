/**
 * Calls `work` from an async function of this name, so that a stack trace names the node: its own function may have no
 * name, and the functions of this package say nothing about it.
 */
export function inFrame<T>(name: string, work: () => T): Promise<Awaited<T>> {
  const { [name]: frame } = {
    async [name](): Promise<Awaited<T>> {
      return await work();
    },
  };
  return (frame as () => Promise<Awaited<T>>)();
}

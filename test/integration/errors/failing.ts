/** The error that a call which has to fail ends in. */
export async function failureOf(work: () => unknown): Promise<unknown> {
  try {
    await work();
  } catch (error) {
    return error;
  }
  throw new Error("The call succeeded, and the test is about its failure");
}

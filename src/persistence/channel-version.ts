/** Ten digits: no two branches meet by chance, and each channel and node repeats them in every checkpoint. */
const fractions = 1e10;

/**
 * The version after `current`, unique to its branch. Blobs are stored under (thread, namespace, channel, version), so
 * with whole numbers a fork reuses the version of the branch it left, and reads that branch's value. The fraction
 * tells them apart, the whole part keeps the order, and a reader of whole numbers can go on from either.
 *
 * @throws on a text version, as the base class does: another implementation wrote the thread
 */
export function nextChannelVersion(current: number | undefined): number {
  if (typeof current === "string")
    throw new Error(`Channel version "${String(current)}" is text; this saver counts in numbers`);
  return Math.floor(current ?? 0) + 1 + Math.floor(Math.random() * fractions) / fractions;
}

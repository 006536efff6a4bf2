import { ConfigError } from "../errors/own-errors.js";

/**
 * Loads a package that is an optional dependency.
 *
 * @param packages what `npm i` should be given
 * @param who what needs it and what it needs, as a sentence begins
 * @throws ConfigError that says so when it is not installed
 */
export async function importOptional<T>(
  load: () => Promise<T>,
  packages: string,
  who = "This persistence needs a driver",
): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if ((error as { code?: unknown }).code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new ConfigError(`${who} that is not installed: npm i ${packages}`, { cause: error });
  }
}

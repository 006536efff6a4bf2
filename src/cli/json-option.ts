import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { ConfigError } from "../errors/own-errors.js";

/**
 * The JSON an option gives: in place, in a file (`@path`), or on standard input (`-`).
 *
 * @throws ConfigError naming the option and where the JSON breaks
 */
export async function jsonOption(option: string, given: string): Promise<unknown> {
  const source =
    given === "-" ? await text(process.stdin) : given.startsWith("@") ? await fromFile(option, given.slice(1)) : given;
  try {
    return JSON.parse(source);
  } catch (error) {
    throw new ConfigError(
      `${option} is not JSON: ${(error as Error).message}; quote it for your shell, e.g. ${option} '{"key":"value"}'`,
      { cause: error },
    );
  }
}

async function fromFile(option: string, path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new ConfigError(
      `${option} @${path}: the file cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`,
      { cause: error },
    );
  }
}

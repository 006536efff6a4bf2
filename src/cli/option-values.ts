import { CATEGORIES, type Category, isCategory } from "../errors/categories.js";
import { ConfigError } from "../errors/own-errors.js";

export function parseFaults(given: readonly string[]): Readonly<Record<string, Category>> {
  return Object.fromEntries(
    given.map((entry) => {
      const [node = "", category = "server_error"] = entry.split("=");
      if (!isCategory(category))
        throw new ConfigError(
          `--fail ${entry}: there is no category "${category}"; choose one of ${CATEGORIES.join(", ")}`,
        );
      return [node, category];
    }),
  );
}

export function positiveInteger(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new ConfigError(`${option} ${text}: expected a whole number from 1`);
  return value;
}

/** For options that may be given several times. */
export function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

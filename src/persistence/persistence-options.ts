import { z } from "zod";
import { parseOptions } from "../core/options.js";
import type { PersistenceOptions } from "../core/ports.js";
import { retentionSchema } from "./retention/retention-options.js";

const optionsSchema = z.strictObject({
  schema: z
    .string()
    .regex(/^[^"\0]{1,63}$/, "a schema name has 1 to 63 characters and no quotation mark")
    .default("public"),
  maxConnections: z.int().min(1).max(1000).default(10),
  retention: retentionSchema.optional(),
  strict: z.boolean().default(false),
});

/** @throws ConfigError naming the option at fault */
export function resolveOptions(given: PersistenceOptions | undefined): z.output<typeof optionsSchema> {
  return parseOptions("openPersistence", optionsSchema, given);
}

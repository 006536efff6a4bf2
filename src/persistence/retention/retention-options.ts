import { z } from "zod";

const dayMs = 86_400_000;

const rule = {
  keepLast: z.union([z.int().min(1).max(1_000_000), z.literal(false)]).default(100),
  ttlMs: z
    .union([
      z
        .number()
        .min(1)
        .max(36_500 * dayMs),
      z.literal(false),
    ])
    .default(7 * dayMs),
};

export const retentionSchema = z.strictObject({
  ...rule,
  onComplete: z.enum(["keep", "compact", "delete"]).default("keep"),
  everyMs: z.int().min(1000).max(dayMs).default(600_000),
});

export const pruneSchema = z.strictObject({
  ...rule,
  threadId: z.string().optional(),
  dryRun: z.boolean().default(false),
  onThread: z.custom<(thread: never) => void>((value) => typeof value === "function").optional(),
  signal: z.instanceof(AbortSignal).optional(),
});

export type RetentionSettings = z.output<typeof retentionSchema>;

/**
 * Reading of values that nobody vouches for. Errors come from other packages, other realms and checkpoints; a getter or
 * a proxy among them may throw, and what cannot be read counts as absent.
 */

export function field(of: unknown, key: string): unknown {
  if (typeof of !== "object" && typeof of !== "function") return undefined;
  try {
    return (of as Record<string, unknown> | null)?.[key];
  } catch {
    // A getter that throws tells nothing; the other facts still count.
    return undefined;
  }
}

export function object(value: unknown): object | undefined {
  return (typeof value === "object" || typeof value === "function") && value !== null ? value : undefined;
}

export function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

export function number(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

export function prototypeOf(of: object): object | null {
  try {
    return Object.getPrototypeOf(of);
  } catch {
    // A proxy may refuse.
    return null;
  }
}

export function isList(value: unknown): value is readonly unknown[] {
  try {
    return Array.isArray(value);
  } catch {
    // A revoked proxy is no list.
    return false;
  }
}

export function printed(value: unknown): string {
  try {
    return String(value);
  } catch {
    // Functions may have a toString that throws.
    return typeof value;
  }
}

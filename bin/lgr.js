#!/usr/bin/env node
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

// A clone has the sources and no build; the published package has the build and no sources. In a clone the TypeScript
// is run as it is, in this very process, with the package's own tsconfig so that its paths hold from any directory.
const source = new URL("../src/cli/main.ts", import.meta.url);
const built = new URL("../dist/src/cli/main.js", import.meta.url);
if (existsSync(source)) {
  const { register } = await import("tsx/esm/api");
  register({ tsconfig: fileURLToPath(new URL("../tsconfig.json", import.meta.url)) });
  Object.assign(globalThis, { [Symbol.for("langgraph-resilience.tsx")]: true });
  await import(source.href);
} else {
  await import(built.href);
}

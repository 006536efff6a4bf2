/** Calls one piece of work in a worker thread and prints what came of it: `program.child.ts <module> <export> <input>`. */
import { isolated } from "../../../src/policies/isolated.js";

const [module = "", name = "", input = "null"] = process.argv.slice(2);
const call = isolated<unknown, unknown>({ module: new URL(module), export: name }, { graceMs: 30_000 });
const outcome = await call(JSON.parse(input)).then(
  (value) => ({ value }),
  (error: { code?: unknown; message?: unknown }) => ({ code: error.code, message: error.message }),
);
process.stdout.write(`${JSON.stringify(outcome)}\n`);

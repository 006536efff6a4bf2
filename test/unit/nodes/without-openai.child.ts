/** Imports the nodes in a process where `@langchain/openai` is not installed, and asks for a model. */
import { register } from "node:module";

const hook = `export async function resolve(specifier, context, next) {
  if (specifier !== "@langchain/openai") return await next(specifier, context);
  throw Object.assign(new Error("Cannot find package '@langchain/openai'"), { code: "ERR_MODULE_NOT_FOUND" });
}`;
register(`data:text/javascript,${encodeURIComponent(hook)}`);

const { chatModel } = await import("../../../nodes/index.js");
const error: unknown = await chatModel({ offline: { name: "m", answer: () => "offline" } }).catch(
  (thrown: unknown) => thrown,
);
const { name, code, message } = error as { name: string; code: string; message: string };
process.stdout.write(JSON.stringify({ name, code, message }));

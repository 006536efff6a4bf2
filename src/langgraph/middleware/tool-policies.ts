/** Which policy holds for which tool of an agent. */
import type { WrapToolCallHook } from "langchain";
import type { z } from "zod";
import { offOr, parseOptions } from "../../core/options.js";
import type { middlewareSchema, ResilienceMiddlewareOptions } from "./options.js";
import { protectedTool } from "./tool-calls.js";
import { type ToolPolicy, toolPolicySchema } from "./tool-options.js";

type MiddlewarePolicy = z.output<typeof middlewareSchema>;
type ProtectedTool = ReturnType<typeof protectedTool>;

/**
 * The hook for an agent's tool calls. Each tool has guards of its own, made when it is first called, which last as long
 * as the middleware.
 *
 * @param given the options as they were given, for what `byTool` leaves to `tools`
 * @throws ConfigError at once for what is wrong with the policy of a tool
 */
export function toolCallWrapper(
  owner: string,
  given: ResilienceMiddlewareOptions,
  policy: MiddlewarePolicy,
): WrapToolCallHook {
  const byName = new Map(Object.keys(policy.byTool).map((name) => [name, policyOf(owner, name, given)] as const));
  const made = new Map<string, ProtectedTool>();
  const shared = { budget: policy.budget, clock: policy.clock, random: policy.random };
  const toolNamed = (name: string, toolPolicy: ToolPolicy): ProtectedTool => {
    const known = made.get(name);
    if (known !== undefined) return known;
    const tool = protectedTool(owner, name, { policy: toolPolicy, onFailure: policy.onToolFailure, shared });
    made.set(name, tool);
    return tool;
  };
  // A service that cannot be what the options say is to be refused at once, and not when a tool is first called.
  for (const [name, toolPolicy] of byName) if (toolPolicy !== false) toolNamed(name, toolPolicy);
  if (policy.tools !== false)
    protectedTool(owner, "any", { policy: policy.tools, onFailure: policy.onToolFailure, shared });
  return async function callTool(request, handler) {
    const { name } = request.toolCall;
    const toolPolicy = byName.get(name) ?? policy.tools;
    // A tool that only a middleware further in knows could not be told which attempt it is part of.
    if (toolPolicy === false || request.tool === undefined) return handler(request);
    return toolNamed(name, toolPolicy)(request, handler);
  };
}

function policyOf(owner: string, name: string, given: ResilienceMiddlewareOptions): ToolPolicy | false {
  const own = given.byTool?.[name];
  const merged = own === false ? false : { ...(given.tools === false ? {} : given.tools), ...own };
  return parseOptions(`${owner}: byTool.${name}`, offOr(toolPolicySchema), merged);
}

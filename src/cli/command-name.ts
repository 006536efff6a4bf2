/** How this command was called, so that the commands it prints can be pasted back. */
export function commandName(): string {
  return process.env.npm_command === "exec" ? "npx lgr" : "lgr";
}

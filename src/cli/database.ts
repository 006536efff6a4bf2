import { isAbsolute, resolve } from "node:path";
import type { Project } from "./project.js";

const PGLITE = "pglite:";
const DEFAULT_FOLDER = ".lgr/pglite";

/**
 * The address of the project's database. A folder is absolute in it, so that every command and the development server,
 * which runs in the project's folder, mean the same one: `--db` is relative to where the command is called, everything
 * else to langgraph.json.
 */
export function databaseOf(project: Project, options: { readonly db?: string }): string {
  if (options.db !== undefined) return absolute(options.db, process.cwd());
  const configured = process.env.DATABASE_URL;
  return absolute(
    configured === undefined || configured === "" ? `${PGLITE}${DEFAULT_FOLDER}` : configured,
    project.directory,
  );
}

function absolute(url: string, base: string): string {
  const folder = url.slice(PGLITE.length);
  const relative =
    url.startsWith(PGLITE) && folder !== "" && folder !== "memory" && !folder.startsWith("//") && !isAbsolute(folder);
  return relative ? `${PGLITE}${resolve(base, folder)}` : url;
}

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

interface Page {
  /** `docs/nodes.md` */
  readonly page: string;
  readonly markdown: string;
}

/** The pages in the package's root and in its docs, without the API reference, which is generated from the sources. */
export function markdownPages(root: string): Page[] {
  const isPage = (name: string) => name.endsWith(".md") && !name.startsWith("api/");
  const names = [
    ...readdirSync(root).filter(isPage),
    ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
      .filter(isPage)
      .map((name) => `docs/${name}`),
  ];
  return names.map((page) => ({ page, markdown: readFileSync(join(root, page), "utf8") }));
}

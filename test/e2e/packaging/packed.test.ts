import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { thorough } from "../../support/depth.js";
import { codeBlocks } from "../../unit/docs/code-blocks.js";

/**
 * An app outside the repository installs the packed library and runs the README's example. Nothing is fetched: the
 * peers are linked from this checkout. Optional peers are left out, until the example itself imports them.
 */

const root = fileURLToPath(new URL("../../..", import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const folder = mkdtempSync(join(tmpdir(), "lgr-packed-"));
const app = join(folder, "app");

const readme = existsSync(join(root, "README.md")) ? readFileSync(join(root, "README.md"), "utf8") : "";
const example = codeBlocks("README.md", readme).find(({ language }) => language === "ts")?.code;
const importedByExample = [...(example ?? "").matchAll(/from "((?:@[^/"]+\/)?[^/"]+)/g)].map(([, name = ""]) => name);

const isOptional = (name: string) => manifest.peerDependenciesMeta[name]?.optional === true;

beforeAll(() => {
  if (!thorough) return;
  run("npm", ["pack", "--pack-destination", folder], root);
  const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz"));
  const needed = Object.keys(manifest.peerDependencies).filter((name) => !isOptional(name));
  const linked = [...needed, ...Object.keys(manifest.dependencies), "typescript", "@types/node"];
  mkdirSync(app);
  write("package.json", {
    name: "app",
    private: true,
    type: "module",
    dependencies: {
      "langgraph-resilience": `file:../${tarball}`,
      ...Object.fromEntries(linked.map((name) => [name, pathToFileURL(join(root, "node_modules", name)).href])),
    },
  });
  write("tsconfig.json", {
    compilerOptions: {
      target: "ES2022",
      module: "NodeNext",
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: true,
      types: ["node"],
      outDir: "built",
      rootDir: "src",
    },
    include: ["src"],
  });
  mkdirSync(join(app, "src"));
  run("npm", ["install", "--offline", "--legacy-peer-deps", "--no-audit", "--no-fund"], app);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.runIf(thorough)("the packed library in an app of its own", () => {
  it("holds what is needed and no sources, tests or graphs", () => {
    const installed = join(app, "node_modules", "langgraph-resilience");
    const files = readdirSync(installed, { recursive: true, encoding: "utf8" });
    expect(readdirSync(installed).sort()).toEqual(
      ["CHANGELOG.md", "LICENSE", "README.md", "bin", "dist", "package.json"].sort(),
    );
    expect(files.filter((name) => /(?<!\.d)\.ts$|\.test\.|^dist\/(graphs|test)\b/.test(name))).toEqual([]);
  });

  it("imports by every name it exports, without optional peers", () => {
    // `/persistence` is the saver on its own and `/langchain` a middleware, which extend optional peers: they cannot do without.
    const left = ["./package.json", "./persistence", "./langchain"];
    const subpaths = Object.keys(manifest.exports).filter((subpath) => !left.includes(subpath));
    const names = subpaths.map((subpath) => `langgraph-resilience${subpath.slice(1)}`);
    const imports = names.map((name) => `console.log("${name}", Object.keys(await import("${name}")).length > 0);`);
    writeFileSync(join(app, "imports.mjs"), imports.join("\n"));
    expect(run("node", ["imports.mjs"], app).trim().split("\n")).toEqual(names.map((name) => `${name} true`));
  });

  it("brings the command, which runs from the build", () => {
    expect(run(join(app, "node_modules", ".bin", "lgr"), ["--help"], app)).toContain("Usage: lgr");
  });

  it("imports the saver on its own where the peers that it extends are installed", () => {
    for (const name of ["pg", "@langchain/langgraph-checkpoint-postgres"]) link(name);
    writeFileSync(
      join(app, "saver.mjs"),
      `const { ResilientPostgresSaver } = await import("langgraph-resilience/persistence");
       const { PostgresSaver } = await import("@langchain/langgraph-checkpoint-postgres");
       console.log(ResilientPostgresSaver.prototype instanceof PostgresSaver);`,
    );
    expect(run("node", ["saver.mjs"], app).trim()).toBe("true");
  });

  it("imports the middleware where the peer that it extends is installed", () => {
    link("langchain");
    const code = `console.log((await import("langgraph-resilience/langchain")).resilienceMiddleware().name);`;
    writeFileSync(join(app, "middleware.mjs"), code);
    expect(run("node", ["middleware.mjs"], app).trim()).toBe("resilience");
  });

  it("type-checks the README's example, and runs it against a provider", () => {
    const code = example ?? "";
    expect(code).toContain("installRecovery(builder)");
    for (const name of importedByExample.filter(isOptional)) link(name);
    const declared = readFileSync(join(root, "test/unit/docs/taken-for-granted.d.ts"), "utf8");
    writeFileSync(join(app, "src", "taken-for-granted.d.ts"), declared);
    writeFileSync(join(app, "src", "example.ts"), code);
    // what the example does "later" needs a thread that failed before; it is type-checked, not run
    const runnable = `${code.replace(/^\/\/ later[\s\S]*/m, "")}\nexport { result };\n`;
    writeFileSync(join(app, "src", "runnable.ts"), runnable);
    run("node", [join("node_modules", "typescript", "bin", "tsc")], app);
    writeFileSync(
      join(app, "run.mjs"),
      `import { startFaultyProvider } from "langgraph-resilience/chaos";
       const provider = await startFaultyProvider({
         answer: () => "Dear customer, 1250 cents are on their way.",
         script: [{ kind: "status", status: 503 }],
       });
       process.env.OPENAI_BASE_URL = provider.baseUrl;
       const { result } = await import("./built/runnable.js");
       console.log(JSON.stringify({ ...result, asked: provider.requests.length }));
       process.exit(0);`,
    );
    const result = JSON.parse(run("node", ["run.mjs"], app));
    expect(result).toMatchObject({ status: "succeeded", asked: 2, values: { cents: 1250 } });
    expect(result.values.letter).toContain("1250 cents are on their way");
  });
});

function link(name: string): void {
  const at = join(app, "node_modules", name);
  mkdirSync(dirname(at), { recursive: true });
  if (!existsSync(at)) symlinkSync(join(root, "node_modules", name), at, "junction");
}

function write(name: string, content: object): void {
  writeFileSync(join(app, name), JSON.stringify(content, null, 2));
}

function run(command: string, args: string[], cwd: string): string {
  const env = { ...process.env, OPENAI_API_KEY: "none", DATABASE_URL: "memory:" };
  const done = spawnSync(command, args, { cwd, encoding: "utf8", env });
  if (done.status !== 0)
    throw new Error(`${command} ${args.join(" ")}\n${done.error ?? ""}${done.stdout}${done.stderr}`);
  return done.stdout;
}

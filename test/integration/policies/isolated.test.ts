/** Worker threads in real processes: how they are started, what they print, what they hold, and when they end. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { resilient } from "../../../src/langgraph/resilient.js";
import { isolated } from "../../../src/policies/isolated.js";
import { FakeClock } from "../../support/fake-clock.js";
import { CLONE, runLgr } from "../../support/run-lgr.js";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const support = new URL("../../support/isolated/", import.meta.url);
const work = new URL("work.js", support).href;
const program = fileURLToPath(new URL("program.child.ts", support));

async function run(flags: readonly string[], args: readonly string[], env: NodeJS.ProcessEnv = {}, cwd = root) {
  const child = spawn(process.execPath, [...flags, ...args], {
    cwd,
    env: { PATH: process.env.PATH, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);
  const lines = stdout.trimEnd().split("\n");
  if (code !== 0) throw new Error(`ended with ${code}:\n${stdout}${stderr}`);
  return { lines, stderr, outcome: JSON.parse(lines.find((line) => line.startsWith("{")) ?? "") as unknown };
}

const added = { value: { sum: 6 } };
const addUp = [work, "addUp", '{"numbers":[1,2,3]}'];

describe("a TypeScript module is loaded in the worker", () => {
  it("when the process runs with --import tsx, flags of V8 or not", async () => {
    const flags = ["--max-old-space-size=512", "--import", "tsx"];
    expect((await run(flags, [program, ...addUp])).outcome).toEqual(added);
  });

  it("when tsx comes from NODE_OPTIONS, which the worker does not see", async () => {
    expect((await run([], [program, ...addUp], { NODE_OPTIONS: "--import tsx" })).outcome).toEqual(added);
  });

  it("when the process was started by the command tsx", async () => {
    const tsx = join(root, "node_modules/tsx/dist/cli.mjs");
    expect((await run([], [tsx, program, ...addUp])).outcome).toEqual(added);
  });

  it("when tsx was registered by a string that runs as a module", async () => {
    const source = `const { register } = await import("tsx/esm/api"); register(); process.argv.splice(1, 0, "");
      await import(${JSON.stringify(pathToFileURL(program).href)});`;
    expect((await run(["--input-type=module", "-e", source], ["--", ...addUp])).outcome).toEqual(added);
  });

  it("when lgr loads the graph that calls it", async () => {
    const config = fileURLToPath(new URL("langgraph.json", support));
    const parameters = ["--config", config, "--db", "memory:", "--json", "run", "adding"];
    const result = await runLgr([...parameters, "--input", '{"numbers":[1,2,3]}'], CLONE);
    expect(result.objects().at(-1), result.stderr).toMatchObject({ status: "succeeded", values: { sum: 6 } });
  });
});

describe("compiled, on plain Node", () => {
  const folder = mkdtempSync(join(tmpdir(), "lgr-isolated-"));
  const app = join(folder, "main.mjs");
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  beforeAll(() => {
    for (const layer of ["errors", "core", "policies"]) compile(join(root, "src", layer), join(folder, "src", layer));
    mkdirSync(join(folder, "node_modules"));
    symlinkSync(join(root, "node_modules/zod"), join(folder, "node_modules/zod"));
    writeFileSync(join(folder, "package.json"), '{"type":"module"}');
    writeFileSync(
      join(folder, "work.js"),
      "export const addUp = ({ numbers }) => ({ sum: numbers.reduce((a, b) => a + b) });",
    );
    writeFileSync(join(folder, "work.cjs"), "exports.default = (n) => n + 1; exports.__esModule = true;");
    writeFileSync(join(folder, "typed.ts"), "enum Answer { sum = 6 }\nexport default (): Answer => Answer.sum;");
    writeFileSync(
      app,
      `import { isolated } from "./src/policies/isolated.js";
       const [file, name, input] = process.argv.slice(2);
       const call = isolated({ module: new URL(file, import.meta.url), export: name });
       console.log(JSON.stringify(await call(JSON.parse(input)).then(
         (value) => ({ value }), ({ code, message }) => ({ code, message }))));`,
    );
  });

  it("a JavaScript module needs no tsx", async () => {
    expect((await run([], [app, "./work.js", "addUp", '{"numbers":[1,2,3]}'], {}, folder)).outcome).toEqual(added);
  });

  it("a CommonJS module works too", async () => {
    expect((await run([], [app, "./work.cjs", "default", "1"], {}, folder)).outcome).toEqual({ value: 2 });
  });

  it("a TypeScript module says that tsx is missing", async () => {
    const { outcome } = await run([], [app, "./typed.ts", "default", "1"], {}, folder);
    if ((process.features as { typescript?: unknown }).typescript) {
      expect(outcome).toMatchObject({ code: "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX" });
    } else {
      expect(outcome).toEqual({ code: "CONFIG", message: expect.stringContaining("npm install --save-dev tsx") });
    }
  });

  it("a TypeScript module is loaded by the tsx that the process was started with, wherever that is", async () => {
    const loader = pathToFileURL(join(root, "node_modules/tsx/dist/loader.mjs")).href;
    const { outcome } = await run(["--import", loader], [app, "./typed.ts", "default", "1"], {}, folder);
    expect(outcome).toEqual({ value: 6 });
  });
});

/** As the build does: TypeScript becomes JavaScript, the rest is copied. */
function compile(from: string, to: string): void {
  for (const file of readdirSync(from, { recursive: true, encoding: "utf8" })) {
    mkdirSync(dirname(join(to, file)), { recursive: true });
    if (file.endsWith(".js")) cpSync(join(from, file), join(to, file));
    if (!file.endsWith(".ts")) continue;
    const options = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, verbatimModuleSyntax: true };
    const { outputText } = ts.transpileModule(readFileSync(join(from, file), "utf8"), { compilerOptions: options });
    writeFileSync(join(to, file.replace(/\.ts$/, ".js")), outputText);
  }
}

describe("what the work prints", () => {
  it("goes through, all of it", async () => {
    const { lines, stderr, outcome } = await run(["--import", "tsx"], [program, work, "print", "3000"]);
    expect(lines.filter((line) => line.startsWith("line "))).toHaveLength(3000);
    expect(stderr).toContain("and one for stderr");
    expect(outcome).toEqual({ value: 3000 });
  });

  it("goes through when the work fails after it", async () => {
    const { lines, outcome } = await run(["--import", "tsx"], [program, work, "printAndThrow", "3000"]);
    expect(lines.filter((line) => line.startsWith("line "))).toHaveLength(3000);
    expect(outcome).toMatchObject({ message: "after all that" });
  });
});

describe("a rejection that nobody awaited", () => {
  it("fails the call also where the process only warns of such", async () => {
    const flags = ["--unhandled-rejections=warn", "--import", "tsx"];
    const { outcome } = await run(flags, [program, work, "rejectLater"]);
    expect(outcome).toEqual({ code: "ECONNRESET", message: "nobody awaited this" });
  });
});

describe("buffers, which the heap's limit does not count", () => {
  const call = (name: string) =>
    isolated<number, number>({ module: new URL(work), export: name }, { maxMemoryMb: 32 })(0);
  const outOfMemory = {
    code: "ERR_WORKER_OUT_OF_MEMORY",
    message: expect.stringMatching(/MB in buffers, with a limit of 32 MB; raise maxMemoryMb/),
  };

  it("are bounded while the work breathes in between", async () => {
    await expect(call("fillBuffers")).rejects.toMatchObject(outOfMemory);
  });

  it.runIf("getHeapStatistics" in Worker.prototype)(
    "are bounded in a loop, where Node can look from outside",
    async () => {
      await expect(call("fillBuffersInALoop")).rejects.toMatchObject(outOfMemory);
    },
  );

  it("may be many, as long as few are held at once", async () => {
    expect(await call("churnBuffers")).toBe(2 ** 20);
  });
});

describe("inside resilient()", () => {
  it("an attempt that runs out of time ends the thread, a loop in it or not", async () => {
    const started: Worker[] = [];
    const note = (worker: Worker) => void started.push(worker);
    process.on("worker", note);
    const clock = new FakeClock();
    const spin = isolated<unknown, never>({ module: new URL(work), export: "spinForever" }, { clock });
    const node = resilient(spin, { retry: false, timeout: { baseMs: 5000 }, clock });
    const flags = new Int32Array(new SharedArrayBuffer(12));
    const settled = expect(node({ flags }, {})).rejects.toMatchObject({ code: "ATTEMPT_TIMEOUT" });
    while (Atomics.load(flags, 0) === 0) await clock.settle();
    await clock.advance(5000);
    await settled;
    await clock.advance(500);
    while (started[0]?.threadId !== -1) await clock.settle();
    process.off("worker", note);
    expect(started).toHaveLength(1);
  });
});

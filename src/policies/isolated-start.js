/**
 * The first file of a worker thread. In JavaScript because it runs before anything that reads TypeScript; hooks of the
 * main thread, `node --import tsx` among them, do not reach into workers.
 */
import { workerData } from "node:worker_threads";

/** @type {import("./isolated-messages.js").WorkerStart} */
const { port, entry, needsTypeScript, tsconfig } = workerData;

if (!needsTypeScript || (await loadTypeScript())) {
  await import(entry);
} else {
  port.postMessage({ kind: "answer", answer: { kind: "no_typescript" } });
  process.exit();
}

/** @returns {Promise<boolean>} whether this thread can load TypeScript from now on */
async function loadTypeScript() {
  const tsx = await importTsx();
  tsx?.register(tsconfig === undefined ? {} : { tsconfig });
  // Node that strips types by itself loads plain TypeScript.
  return tsx !== undefined || Boolean(/** @type {{ typescript?: unknown }} */ (process.features).typescript);
}

/** The one that is installed, or the one that this process was started with (`npx tsx` brings its own). */
async function importTsx() {
  try {
    return await import("tsx/esm/api");
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== "ERR_MODULE_NOT_FOUND") throw error;
    const loader = process.execArgv.find((given) => /\/tsx\/dist\/loader\.mjs$/.test(given));
    const url = loader === undefined ? undefined : new URL("esm/api/index.mjs", loader.replace(/^--import=/, ""));
    return url === undefined
      ? undefined
      : /** @type {typeof import("tsx/esm/api")} */ (await import(/** @type {string} */ (url.href)));
  }
}

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { chatModel, isOffline, offlineProvider } from "../../../nodes/chat-model.js";
import { startFaultyProvider } from "../../../src/chaos/faulty-provider.js";
import { classifyError } from "../../../src/errors/classify.js";

let names = 0;
/** A provider is kept per name and process, so each test has a name of its own. */
const offline = (script: Parameters<typeof offlineProvider>[0]["script"] = []) => {
  names += 1;
  return { name: `analyst-${names}`, answer: () => "offline: from the bundled provider", script };
};

const server = async (status?: number) => {
  const provider = await startFaultyProvider({
    answer: () => "from the server of OPENAI_BASE_URL",
    script: status === undefined ? [] : [{ kind: "status", status }],
  });
  onTestFinished(() => provider.close());
  return provider;
};

beforeEach(() => {
  for (const name of ["OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL"]) vi.stubEnv(name, undefined);
});
afterEach(() => vi.unstubAllEnvs());

describe("with OPENAI_API_KEY", () => {
  beforeEach(() => void vi.stubEnv("OPENAI_API_KEY", "sk-any"));

  it("asks the server of OPENAI_BASE_URL and never the bundled provider", async () => {
    const { baseUrl, requests } = await server();
    vi.stubEnv("OPENAI_BASE_URL", baseUrl);
    expect(isOffline()).toBe(false);
    const own = offline();
    const model = await chatModel({ offline: own });
    expect((await model.invoke("hello")).text).toBe("from the server of OPENAI_BASE_URL");
    expect(requests.map((request) => request.model)).toEqual(["gpt-4.1-mini"]);
    expect((await offlineProvider(own)).requests).toEqual([]);
  });

  it.each([
    ["the option", "gpt-x", "gpt-env", "gpt-x"],
    ["OPENAI_MODEL", undefined, "gpt-env", "gpt-env"],
    ["the default where OPENAI_MODEL is set to nothing", undefined, "", "gpt-4.1-mini"],
  ])("asks for the model of %s", async (_what, model, environment, asked) => {
    const { baseUrl, requests } = await server();
    vi.stubEnv("OPENAI_BASE_URL", baseUrl);
    vi.stubEnv("OPENAI_MODEL", environment);
    await (await chatModel({ offline: offline(), ...(model && { model }) })).invoke("hello");
    expect(requests[0]?.model).toBe(asked);
  });

  it("never retries by itself: one request an attempt", async () => {
    const { baseUrl, requests } = await server(503);
    vi.stubEnv("OPENAI_BASE_URL", baseUrl);
    const error: unknown = await (await chatModel({ offline: offline() }))
      .invoke("hello")
      .catch((thrown: unknown) => thrown);
    expect(classifyError(error)).toMatchObject({ category: "server_error", status: 503 });
    expect(requests).toHaveLength(1);
  });
});

describe("without a key", () => {
  it("is answered by the bundled provider, one per name, on its script and without retries", async () => {
    expect(isOffline()).toBe(true);
    const own = offline([{ kind: "status", status: 429 }]);
    const [model, again] = await Promise.all([chatModel({ offline: own }), chatModel({ offline: own })]);
    const provider = await offlineProvider(own);
    expect(classifyError(await model.invoke("hello").catch((thrown: unknown) => thrown)).category).toBe("rate_limit");
    expect(provider.requests).toHaveLength(1);
    expect((await again.invoke("hello")).text).toBe("offline: from the bundled provider");
    expect(provider.requests.map((request) => request.model)).toEqual([`offline-${own.name}`, `offline-${own.name}`]);
    expect(provider.baseUrl).toMatch(/^http:\/\/127\.0\.0\.1:/);
  });

  it("an empty key is no key", () => {
    vi.stubEnv("OPENAI_API_KEY", "");
    expect(isOffline()).toBe(true);
  });

  it("leaves the server of OPENAI_BASE_URL alone and warns once that it does", async () => {
    const { baseUrl, requests } = await server();
    vi.stubEnv("OPENAI_BASE_URL", baseUrl);
    const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
    onTestFinished(() => warn.mockRestore());
    expect((await (await chatModel({ offline: offline() })).invoke("hello")).text).toContain("bundled");
    await chatModel({ offline: offline() });
    expect(requests).toEqual([]);
    expect(warn).toHaveBeenCalledTimes(1);
    expect(String(warn.mock.calls[0]?.[0])).toMatch(
      /OPENAI_BASE_URL is set but OPENAI_API_KEY is not.*set OPENAI_API_KEY/,
    );
  });
});

describe("where @langchain/openai is not installed", () => {
  it("the nodes load all the same and chatModel says what to install", async () => {
    const child = fileURLToPath(new URL("without-openai.child.ts", import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", child]);
    expect(JSON.parse(stdout)).toEqual({
      name: "ConfigError",
      code: "CONFIG",
      message: expect.stringContaining("npm install @langchain/openai"),
    });
  });
});

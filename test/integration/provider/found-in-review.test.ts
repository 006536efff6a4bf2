/** What a review found wrong with the provider. */
import { describe, expect, it, vi } from "vitest";
import { startFaultyProvider } from "../../../src/chaos/faulty-provider.js";
import { ANSWER, ask, completionOf, outcomesOf, providerFor, QUESTION } from "./provider.js";

describe("a listener that throws harms nobody else:", () => {
  it("onEnded is warned of, and the provider goes on", async () => {
    const warned = vi.spyOn(process, "emitWarning").mockReturnValue(undefined);
    const provider = await providerFor({
      onEnded: () => {
        throw new Error("disk full");
      },
    });
    expect((await completionOf(ask(provider.baseUrl))).text).toBe(ANSWER);
    await outcomesOf(provider);
    expect((await completionOf(ask(provider.baseUrl))).text).toBe(ANSWER);
    await outcomesOf(provider);
    expect(warned.mock.calls.map(([text]) => String(text))).toEqual(
      Array(2).fill("onEnded of a provider threw: Error: disk full"),
    );
    warned.mockRestore();
  });

  it.each([
    ["a request comes", () => true],
    ["one ends", ({ endedAtMs }: { readonly endedAtMs?: number }) => endedAtMs !== undefined],
  ])("a condition that throws when %s fails the wait for it, and no other", async (_when, isTime) => {
    const provider = await providerFor();
    const thrown = provider
      .waitForRequest((request) => {
        if (isTime(request)) throw new TypeError("nope");
        return false;
      })
      .catch((error: unknown) => error);
    const other = provider.waitForRequest(1);
    expect((await completionOf(ask(provider.baseUrl))).text).toBe(ANSWER);
    expect(await thrown).toEqual(new TypeError("nope"));
    expect(await other).toMatchObject({ id: "offline-1" });
  });
});

describe("a name that is misspelt is refused:", () => {
  it.each(["scripts", "faultrate", "window"])("option %s", async (name) => {
    await expect(startFaultyProvider({ answer: () => "", [name]: [] })).rejects.toThrow(
      expect.objectContaining({ code: "CONFIG", message: expect.stringContaining(`Unrecognized key: "${name}"`) }),
    );
  });

  it("which model a fault is for, that would hold for all", async () => {
    const provider = await providerFor();
    const fault = { kind: "status", status: 503 } as const;
    expect(() => provider.setFault(fault, { modle: "m-2" } as never)).toThrow(/Unrecognized key: "modle"/);
    expect((await ask(provider.baseUrl, QUESTION)).status).toBe(200);
  });
});

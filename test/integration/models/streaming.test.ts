/** What the reader of a stream sees, and what happens when he goes. */
import { classifyError, resilientModel, restartOf } from "langgraph-resilience";
import { describe, expect, it } from "vitest";
import {
  ANSWER,
  finishEvent,
  lines,
  misbehaving,
  OPENING,
  openAi,
  rawServer,
  streamed,
  textEvent,
  usageEvent,
} from "../../support/models.js";
import { halfOf } from "../provider/provider.js";

const HALF = halfOf(ANSWER);

describe("a stream", () => {
  it("brings each token as it comes", async () => {
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const server = await rawServer(async (response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(lines(OPENING, textEvent("first ")));
      await released;
      response.end(lines(textEvent("second"), finishEvent(), usageEvent(2), "[DONE]"));
    });
    let text = "";
    for await (const piece of await resilientModel([openAi(server, "a")]).stream("q")) {
      text += piece.text;
      // The rest is not even sent before this has been read.
      if (text === "first ") release();
    }
    expect(text).toBe("first second");
  });

  it("says when what was shown is void, and joined without a thought is the answer", async () => {
    const provider = await misbehaving({ script: [{ kind: "cut_stream", when: { model: "a" } }] });
    const { whole, restarts, pieces } = await streamed(resilientModel([openAi(provider, "a"), openAi(provider, "b")]));
    expect(whole).toMatchObject({ text: ANSWER, usage_metadata: { output_tokens: 16 } });
    expect(restarts).toMatchObject([{ model: "a", category: "malformed_output", droppedCharacters: HALF.length }]);
    const at = pieces.findIndex((piece) => restartOf(piece) !== undefined);
    const shown = (some: typeof pieces) => some.map(({ text }) => text).join("");
    expect(shown(pieces.slice(0, at))).toBe(HALF);
    expect(shown(pieces.slice(at))).toBe(ANSWER);
    expect(whole.id).toBe(pieces.findLast(({ text }) => text !== "")?.id);
  });

  it("shows nothing that is not in the answer where it is held back", async () => {
    const provider = await misbehaving({ script: [{ kind: "cut_stream", times: 2, when: { model: "a" } }] });
    const chain = resilientModel([openAi(provider, "a"), openAi(provider, "b")], { streaming: "held" });
    const { pieces, restarts } = await streamed(chain);
    expect(pieces.map(({ text }) => text).join("")).toBe(ANSWER);
    expect(restarts).toEqual([]);
  });
});

describe("a reader who goes", () => {
  it("ends the request, and no other model is asked", async () => {
    const provider = await misbehaving({ script: [{ kind: "stall", times: "always" }] });
    for await (const piece of await resilientModel([openAi(provider, "a"), openAi(provider, "b")]).stream("q"))
      if (piece.text !== "") break;
    await provider.waitForRequest(({ outcome }) => outcome === "client_gone");
    expect(provider.requests).toHaveLength(1);
  });

  it("ends the call in his own words when he says so by a signal", async () => {
    const provider = await misbehaving({ script: [{ kind: "hang", times: "always" }] });
    const model = resilientModel([openAi(provider, "a"), openAi(provider, "b")]);
    const leaving = new AbortController();
    const asked = expect(model.invoke("q", { signal: leaving.signal })).rejects.toThrow("I have to go");
    await provider.waitForRequest(1);
    leaving.abort(new Error("I have to go"));
    await asked;
    await provider.waitForRequest(({ outcome }) => outcome === "client_gone");
    expect(provider.requests).toHaveLength(1);
  });

  it("has cancelled it where he gives no reason, streamed too", async () => {
    const provider = await misbehaving({ script: [{ kind: "stall", times: "always" }] });
    const model = resilientModel([openAi(provider, "a"), openAi(provider, "b")]);
    const leaving = new AbortController();
    const asked = streamed(model, "q", { signal: leaving.signal }).catch(
      (error: unknown) => classifyError(error).category,
    );
    await provider.waitForRequest(1);
    leaving.abort();
    expect(await asked).toBe("cancelled");
    expect(provider.requests).toHaveLength(1);
  });

  it("asks nobody where he is gone already", async () => {
    const provider = await misbehaving();
    const asked = resilientModel([openAi(provider, "a")]).invoke("q", { signal: AbortSignal.abort(new Error("gone")) });
    await expect(asked).rejects.toThrow("gone");
    expect(provider.requests).toHaveLength(0);
  });
});

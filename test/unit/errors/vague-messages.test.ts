import { describe, expect, it } from "vitest";
import { classifyError } from "../../../src/errors/classify.js";

/** As the OpenAI client reports a server that nobody runs: undici's error around that of the socket. */
const refused = () => {
  const socket = Object.assign(new Error("connect ECONNREFUSED 127.0.0.1:4010"), { code: "ECONNREFUSED" });
  return new Error("Connection error.", { cause: new TypeError("fetch failed", { cause: socket }) });
};

describe("the message of a report", () => {
  it("goes down to the first words that say something", () => {
    expect(classifyError(refused())).toMatchObject({
      category: "network",
      message: "Connection error.: connect ECONNREFUSED 127.0.0.1:4010",
    });
  });

  it("keeps what there is where nothing beneath says more", () => {
    const error = new Error("Connection error.", { cause: new TypeError("fetch failed") });
    expect(classifyError(error).message).toBe("Connection error.: fetch failed");
  });
});

/** What is taken for granted of the inner parts of LangChain's models: one request an attempt, and the model untouched. */
import { AzureChatOpenAI, ChatOpenAI } from "@langchain/openai";
import { resilientModel } from "langgraph-resilience";
import { describe, expect, it } from "vitest";
import { singleAttempt } from "../../../../src/langgraph/model/single-attempt.js";
import { openAi, type RawServer, rawServer } from "../../../support/models.js";

const RETRIES = { maxRetries: 1 };

const refusing = () =>
  rawServer((response) => {
    response.writeHead(500, { "content-type": "application/json", "retry-after-ms": "1" });
    response.end('{"error":{"message":"out of order"}}');
  });

const azure = ({ baseUrl }: RawServer) =>
  new AzureChatOpenAI({
    ...RETRIES,
    model: "a",
    azureOpenAIApiKey: "x",
    azureOpenAIApiDeploymentName: "a",
    azureOpenAIApiVersion: "2024-10-21",
    azureOpenAIBasePath: `${baseUrl.replace("/v1", "")}/openai/deployments`,
  });

const makers = {
  "a ChatOpenAI": (server: RawServer) => openAi(server, "a", RETRIES),
  "one for the Responses API": (server: RawServer) =>
    new ChatOpenAI({
      ...RETRIES,
      model: "a",
      apiKey: "x",
      useResponsesApi: true,
      configuration: { baseURL: server.baseUrl },
    }),
  "one with tools bound to it": (server: RawServer) => openAi(server, "a", RETRIES).bindTools([]),
  "one with a config": (server: RawServer) => openAi(server, "a", RETRIES).withConfig({ tags: ["mine"] }),
  "an AzureChatOpenAI": azure,
};

describe.each(Object.entries(makers))("%s that retries by itself", (_name, make) => {
  it("is asked once an attempt within a chain", async () => {
    const server = await refusing();
    const chain = resilientModel([make(server)], { retry: false });
    await expect(chain.invoke("q")).rejects.toThrow("out of order");
    expect(server.requests).toHaveLength(1);
    expect(server.requests[0]).toMatchObject({ stream: true });
  });

  it("is one and the same for all chains", async () => {
    const given = make(await refusing());
    expect(singleAttempt(given)).toBe(singleAttempt(given));
    expect(singleAttempt(given)).not.toBe(given);
  });
});

describe("the model that was given", () => {
  it("still has its retries", async () => {
    const server = await refusing();
    const given = openAi(server, "a", RETRIES);
    await expect(resilientModel([given], { retry: false }).invoke("q")).rejects.toThrow();
    await expect(given.invoke("q")).rejects.toThrow();
    expect(server.requests).toHaveLength(1 + 1 + RETRIES.maxRetries);
  });
});

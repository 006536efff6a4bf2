/** The outside world of effect tests does what it says. */
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createFolder, type TestFolder } from "../../support/databases.js";
import { startPaymentProcess } from "../../support/payment-process.js";
import { type PaymentServer, startPaymentServer } from "../../support/payment-server.js";

/** @returns status and body, or "no answer" */
async function ask({ url }: PaymentServer, path: string, body?: object, key?: string) {
  const method = body === undefined ? "GET" : "POST";
  try {
    const response = await fetch(`${url}${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(key === undefined ? {} : { headers: { "Idempotency-Key": key } }),
    });
    return [response.status, await response.json()];
  } catch {
    return "no answer";
  }
}

const charge = (server: PaymentServer, key?: string, cents = 900) =>
  ask(server, "/effects/charge", { input: { cents } }, key);
const charged = { id: "effect-1", name: "charge", input: { cents: 900 } };

describe.each([{ honoursKeys: true }, { honoursKeys: false }])("with $honoursKeys for keys", ({ honoursKeys }) => {
  let server: PaymentServer;
  beforeEach(async () => {
    server = await startPaymentServer({ honoursKeys });
  });
  afterEach(() => server.close());
  const count = async () => (await server.entries()).length;

  it("answers a key that came before as it says", async () => {
    expect(await charge(server, "key/1")).toEqual([201, charged]);
    expect(await charge(server, "key/1")).toEqual([201, { ...charged, id: honoursKeys ? "effect-1" : "effect-2" }]);
    expect(await count()).toBe(honoursKeys ? 1 : 2);
    expect((await charge(server, "key/1", 1))[0]).toBe(honoursKeys ? 422 : 201);
    expect(await ask(server, "/effects/by-key/key%2F1")).toEqual([200, charged]);
    expect((await ask(server, "/effects/by-key/other"))[0]).toBe(404);
  });

  it("undoes once what it did", async () => {
    await charge(server, "key");
    const undo = (id: string, key: string) => ask(server, "/effects/charge/undo", { id }, key);
    const undone = [201, { id: "undo-2", name: "charge", input: { id: "effect-1" } }];
    expect((await undo("effect-9", "undo-key"))[0]).toBe(404);
    expect(await undo("effect-1", "undo-key")).toEqual(undone);
    const again = await undo("effect-1", "undo-key");
    if (honoursKeys) expect(again).toEqual(undone);
    else expect(again[0]).toBe(409);
    expect((await undo("effect-1", "another key"))[0]).toBe(409);
    expect((await server.entries()).map(({ kind, id, key }) => [kind, id, key])).toEqual([
      ["effect", "effect-1", "key"],
      ["undo", "undo-2", "undo-key"],
    ]);
  });

  it("fails as often as it is told, before the effect or after it, with an answer or without", async () => {
    await server.setFaults({ failNext: { charge: { status: 503, times: 2 } } });
    expect([(await charge(server))[0], (await charge(server))[0], await count()]).toEqual([503, 503, 0]);
    await server.setFaults({ failNext: { charge: { status: 500, afterEffect: true } } });
    expect([(await charge(server))[0], await count()]).toEqual([500, 1]);
    await server.setFaults({
      failNext: { charge: { status: 0, afterEffect: true }, "by-key": { status: 502 } },
      delayMs: 5,
    });
    expect([await charge(server, "lost"), await count()]).toEqual(["no answer", 2]);
    expect((await ask(server, "/effects/by-key/lost"))[0]).toBe(502);
    expect((await ask(server, "/effects/by-key/lost"))[0]).toBe(200);
  });
});

describe("in a process of its own", () => {
  let folder: TestFolder;
  beforeEach(() => {
    folder = createFolder();
  });
  afterEach(() => folder.remove());

  it("still knows what it acknowledged after its machine has died, and ends with its input", async () => {
    const options = { honoursKeys: true, logFile: join(folder.path, "log") };
    const first = await startPaymentProcess(options);
    await first.setFaults({ failNext: { charge: { status: 0, afterEffect: true } } });
    expect(await charge(first, "key")).toBe("no answer");
    await first.kill();
    appendFileSync(options.logFile, '{"kind":"eff');
    const second = await startPaymentProcess(options);
    expect(await charge(second, "key")).toEqual([201, charged]);
    expect(await second.entries()).toEqual([{ kind: "effect", key: "key", ...charged }]);
    await charge(second, "key 2");
    await second.close();
    const third = await startPaymentServer(options);
    expect((await third.entries()).map(({ key }) => key)).toEqual(["key", "key 2"]);
    await third.close();
  });
});
